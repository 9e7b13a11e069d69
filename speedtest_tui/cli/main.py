"""The command line: what can be typed, and which module carries it out. Imports nothing heavy by itself."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.catalogue import SIZES
from speedtest_tui import __version__
from speedtest_tui.cli import check_models, convert, download, repair
from speedtest_tui.core.errors import UserError

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 0, 1, 2, 130

DEMO_RUNS = 3
"""The demo is to show the program, not to settle a question: fewer runs than the default."""


class Parser(argparse.ArgumentParser):
    """Argument errors in the program's own form: one line, exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(message, f"see `{self.prog} --help`")


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; every error that a user can mend becomes one line on stderr."""
    try:
        options = build_parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except UserError as error:
        complain(str(error))
        return EXIT_USAGE
    except KeyboardInterrupt:
        complain("cancelled")
        return EXIT_CANCELLED
    except BrokenPipeError:
        # The reader of our output left (`| head`): nothing is wrong, and Python must not complain while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def complain(message: str) -> None:
    """One line on stderr, as all errors are printed."""
    print(f"speedtest-tui: {' '.join(message.split())}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="speedtest-tui", description="Which local speech-to-text is fastest on this machine?")
    parser.add_argument("--version", action="version", version=f"speedtest-tui {__version__}")
    _add_clip(parser.add_mutually_exclusive_group(), "--audio")
    _add_race(parser)
    parser.add_argument("--ascii", action="store_true", help="draw the dashboard in plain ASCII")
    parser.set_defaults(command=_dashboard)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)

    race = commands.add_parser("run", help="race without a screen and print the table")
    _add_clip(race, "audio")
    _add_race(race)
    race.add_argument("--warmup", type=int, metavar="N", help="transcriptions before the timed runs (default 1)")
    race.add_argument("--order", choices=("interleaved", "sequential"), default="interleaved")
    race.add_argument("--language", metavar="CODE", help="language of the clip, such as en; detected where left out")
    race.add_argument("--reference", metavar="TEXT|@FILE", help="what is really said, for the word error rate")
    race.add_argument("--timeout", type=float, metavar="S", help="seconds that a backend may go without progress")
    _add_forms(race)
    race.add_argument("--no-save", action="store_true", help="do not keep the session")
    race.set_defaults(command=_run)

    record = commands.add_parser("record", help="record from a microphone into a file")
    record.add_argument("out", type=Path, metavar="OUT.wav", help="a .wav or .flac file, 16 kHz mono")
    record.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds")
    record.add_argument("--device", metavar="NAME", help="name, part of a name or number; see `devices`")
    record.add_argument("--silence-stop", type=float, metavar="S", help="stop after S seconds of silence")
    record.add_argument("--force", action="store_true", help="replace an existing file")
    record.add_argument("--recover", action="store_true", help="write what a killed program was recording instead")
    record.set_defaults(command=_record)

    devices = commands.add_parser("devices", help="microphones that can be recorded from")
    devices.add_argument("--json", action="store_true", help="JSON on standard output")
    devices.set_defaults(command=_devices)

    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and how to mend it")
    doctor.add_argument("--json", action="store_true", help="JSON on standard output")
    doctor.set_defaults(command=_doctor)

    for command in (check_models, download, repair, convert):
        command.add_parser(commands)
    _add_serve(commands)
    _add_sessions(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> None:
    serve = commands.add_parser("serve", help="open the dashboard in a browser")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s, this machine)")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="default %(default)s; 0 for any free one")
    _add_clip(serve.add_mutually_exclusive_group(), "--audio")
    _add_race(serve)
    serve.set_defaults(command=_serve)


def _add_sessions(commands: argparse._SubParsersAction[Parser]) -> None:
    sessions = commands.add_parser("sessions", help="finished races")
    actions = sessions.add_subparsers(required=True, metavar="ACTION", parser_class=Parser)
    listing = actions.add_parser("list", help="all sessions, the newest first")
    listing.add_argument("--json", action="store_true", help="JSON on standard output")
    listing.set_defaults(command=_sessions_list)
    show = actions.add_parser("show", help="one session's results")
    show.add_argument("name", help='its name, the beginning of it, or "last"')
    show.add_argument("--json", action="store_true", help="JSON on standard output")
    show.set_defaults(command=_sessions_show)
    comparing = actions.add_parser("compare", help="what became faster, slower or different between two sessions")
    comparing.add_argument("name", metavar="A", help="one session, named as for `show`")
    comparing.add_argument("other", metavar="B", nargs="?", help="another; the one before on the same clip or plan")
    comparing.add_argument("--json", action="store_true", help="JSON on standard output")
    comparing.set_defaults(command=_sessions_compare)
    exporting = actions.add_parser("export", help="one session as JSON, CSV or Markdown (without a form: Markdown)")
    exporting.add_argument("name", help="a session, named as for `show`")
    _add_forms(exporting)
    exporting.set_defaults(command=_sessions_export)


def _add_clip(parser: argparse._ActionsContainer, audio: str) -> None:
    parser.add_argument("--demo", action="store_true", help="the built-in clip")
    if audio.startswith("-"):
        parser.add_argument(audio, type=Path, metavar="FILE", help="an audio or video file")
    else:
        parser.add_argument(audio, type=Path, nargs="*", metavar="AUDIO", help="audio or video files")


def _add_race(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", metavar="SIZE", help=f"model size: {', '.join(SIZES)} (default nano)")
    parser.add_argument("--backends", metavar="A,B", help="which implementations; all usual ones where left out")
    parser.add_argument("--runs", type=int, metavar="N", help="timed transcriptions each (default 5, demo 3)")
    option_help = "set what one backend has to set, such as parakeet-mlx.beam=4; may be given several times"
    parser.add_argument("--option", action="append", metavar="BACKEND.NAME=VALUE", help=option_help)


def _add_forms(parser: argparse.ArgumentParser) -> None:
    for form in ("json", "csv", "markdown"):
        parser.add_argument(f"--{form}", metavar="FILE", help=f"write the result as {form}; - for standard output")


def backend_names(text: str | None) -> list[str] | None:
    """ "a, b" as ["a", "b"]; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _dashboard(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.dashboard import dashboard

    return dashboard(options)


def _run(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.run import run_races

    return run_races(options)


def _record(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.record import record

    return record(options)


def _devices(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.devices import devices

    return devices(options)


def _doctor(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.doctor import doctor

    return doctor(options)


def _serve(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.serve import serve

    return serve(options)


def _sessions_list(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.sessions import list_sessions

    return list_sessions(options)


def _sessions_show(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.sessions import show_session

    return show_session(options)


def _sessions_compare(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.sessions import compare_sessions

    return compare_sessions(options)


def _sessions_export(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.sessions import export_session

    return export_session(options)
