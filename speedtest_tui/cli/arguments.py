"""What several commands take, and how a wrong argument is answered: in one line, with what to do."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

from backends.catalogue import SIZES
from backends.registry import BUILT_IN, default_backends
from speedtest_tui.core.errors import UserError, alike

PROGRAM = "speedtest-tui"
SIZE_NAMES = ", ".join(SIZES)
BACKEND_NAMES = ", ".join(entry.name for entry in default_backends(BUILT_IN))
KINDS: dict[Any, str] = {int: "a whole number", float: "a number"}

HELP_WIDTH = 78
DEMO_RUNS = 3
"""The demo is to show the program, not to settle a question: fewer runs than the default."""


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print a usage and exit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs = {"formatter_class": argparse.RawDescriptionHelpFormatter, "exit_on_error": False, **kwargs}
        super().__init__(*args, **kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        try:
            found, unknown = super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            self.error(f"{error.argument_name}: {error.message}" if error.argument_name else error.message)
        if unknown:
            self.error(self._unknown(unknown[0].partition("=")[0]))
        return found, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse keeps it to itself where that cannot be written

    def error(self, message: str) -> Any:
        raise UserError(message, f"see `{self.prog} --help`")

    def _unknown(self, word: str) -> str:
        name = self.prog.removeprefix(PROGRAM).strip()
        if not word.startswith("-"):
            return f"{name or PROGRAM} takes no {word!r}"
        has = f"{name} has" if name else "there is"
        options = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        near = alike(word.lstrip("-"), options)
        return f"{has} no option {word}" + (f" (did you mean --{near.replace(' or ', ' or --')}?)" if near else "")

    def _match_argument(self, action: argparse.Action, arg_strings_pattern: str) -> int:
        try:
            return super()._match_argument(action, arg_strings_pattern)
        except argparse.ArgumentError:
            return int(self.error(f"{_name(action)} needs a value"))

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            return self.error(f"{_name(action)} takes {KINDS.get(action.type, 'another value')}, not {arg_string!r}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = alike(str(value), known)
        if isinstance(action, argparse._SubParsersAction):
            what = f"no {action.metavar.lower() if isinstance(action.metavar, str) else 'command'} is called {value!r}"
            raise UserError(what, f"did you mean {near}?" if near else f"see `{self.prog} --help`")
        self.error(f"{_name(action)} takes {' or '.join(known)}, not {str(value)!r}")


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else str(action.metavar or action.dest)


def describe(parser: argparse.ArgumentParser, description: str, *examples: str) -> None:
    """What `--help` says above the options, and the examples below them, each without the program's name."""
    parser.description = textwrap.fill(description, HELP_WIDTH)
    lines = [f"  {PROGRAM} {example}" for example in examples]
    parser.epilog = "\n".join(("examples:" if len(lines) > 1 else "example:", *lines))


def add_clip(parser: argparse._ActionsContainer, audio: str) -> None:
    """--demo, and `audio`: an option for one file, or else any number of files."""
    parser.add_argument("--demo", action="store_true", help="use the built-in clip")
    if audio.startswith("-"):
        parser.add_argument(audio, type=Path, metavar="FILE", help="an audio or video file")
    else:
        parser.add_argument(
            audio,
            nargs="*",
            metavar="AUDIO",
            help="audio or video files, - for standard input; or one folder or manifest (JSONL, CSV, TSV) of clips",
        )


def add_race(parser: argparse._ActionsContainer) -> None:
    """What is raced, and how often: the same for `run` and the dashboard."""
    add_size(parser, default=SIZES[0])
    add_backends(parser)
    parser.add_argument(
        "--model", action="append", metavar="BACKEND:MODEL",
        help="one candidate, e.g. canary-mlx:nano?beam=4; may be given several times, alone or beside the above",
    )  # fmt: skip
    parser.add_argument(
        "--shortlist", metavar="NAME", help="the candidates that were kept under this name in the dashboard (b, then w)"
    )
    parser.add_argument("--runs", type=int, metavar="N", help=f"timed runs of each (default: 5, demo: {DEMO_RUNS})")
    parser.add_argument(
        "--max-wer", type=float, metavar="PERCENT",
        help="wrong words up to which a text is good enough (default: 2 more than in the best)",
    )  # fmt: skip
    parser.add_argument(
        "--option", action="append", metavar="BACKEND.NAME=VALUE",
        help="backend setting, e.g. canary-mlx.beam=4; may be given several times",
    )  # fmt: skip


def add_size(parser: argparse._ActionsContainer, *, default: str) -> None:
    """--size; the default is only said, the command fills it in."""
    parser.add_argument(
        "--size", metavar="A,B",
        help=f"model sizes: {SIZE_NAMES}; or names such as tiny.en, org/name on the hub, a folder (default: {default})",
    )  # fmt: skip


def add_backends(parser: argparse._ActionsContainer) -> None:
    """--backends."""
    parser.add_argument("--backends", metavar="A,B", help=f"backends: {BACKEND_NAMES} (default: all)")


def add_json(parser: argparse._ActionsContainer) -> None:
    """--json without a file."""
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def add_forms(parser: argparse._ActionsContainer) -> None:
    """One option with a file for each form of a result."""
    for form, title in (
        ("json", "JSON"), ("csv", "CSV"), ("markdown", "Markdown"), ("html", "a page with plots"),
        ("svg", "a picture to share"),
    ):  # fmt: skip
        parser.add_argument(f"--{form}", metavar="FILE", help=f"write the result as {title}; - for standard output")


def backend_names(text: str | None) -> list[str] | None:
    """ "a, b" as ["a", "b"]; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def size_names(text: str) -> list[str]:
    """The same of sizes, among which a path may have commas of its own. Raises UserError where there is none."""
    try:
        found = [text] if "," in text and Path(text).expanduser().exists() else backend_names(text)
    except (OSError, RuntimeError, ValueError):
        found = [text]
    if not found:
        raise UserError(f"--size {text!r} names no size", f"choose from {SIZE_NAMES}, or leave the option out")
    return found


def check_seconds(option: str, value: float | None) -> None:
    """Raises UserError unless `value` is None or a time above 0 that ends."""
    if value is not None and not 0 < value < float("inf"):
        raise UserError(f"{option} takes seconds above 0, not {value:g}", "choose a larger number")
