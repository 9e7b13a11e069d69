"""The command line: a table of what can be typed. A command's module is imported when its name is typed."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from speedtest_tui import __version__
from speedtest_tui.cli.arguments import PROGRAM, Parser, add_clip, add_race, describe
from speedtest_tui.cli.console import EXIT_CANCELLED, EXIT_FAILED, EXIT_USAGE, complain
from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError, kept_traceback

NO_MEMORY = ("failed to map segment", "annot allocate memory", "can't start new thread")
"""What the loader of libraries (ld.so, within an ImportError) and threading say instead of a MemoryError."""


class Command(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: Parser) -> None:
        """Say what can follow the command, with a description and examples."""

    def run(self, options: argparse.Namespace) -> int:
        """Carry it out; returns the exit code. Raises UserError."""


class Entry(NamedTuple):
    """A line of the table; `part` is the Command's class where the module has several."""

    name: str
    help: str
    module: str
    part: str = ""


COMMANDS = (
    Entry("run", "race without a screen and print the results", "run"),
    Entry("record", "record from a microphone into a file", "record"),
    Entry("devices", "list the microphones", "record", "Devices"),
    Entry("doctor", "check the installation", "doctor"),
    Entry("backends", "list the backends, and what installs those that are missing", "backends"),
    Entry("check-models", "check the downloaded models", "check_models"),
    Entry("download", "download models, or resume what was interrupted", "download"),
    Entry("repair", "repair damaged, partial and misplaced models; shows a plan first", "repair"),
    Entry("convert", "convert an NVIDIA NeMo checkpoint (Parakeet, Canary) to MLX", "convert"),
    Entry("serve", "open the dashboard in a browser", "serve"),
    Entry("sessions", "list, show, compare and export finished races", "sessions"),
)


class CommandParser(Parser):
    """A command's parser, empty until it is typed."""

    entry: Entry | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        if self.entry is not None:
            command = load(self.entry)
            command.add_arguments(self)
            self.set_defaults(command=command.run)
            self.entry = None
        return super().parse_known_args(args, namespace)


def load(entry: Entry) -> Command:
    """Import a command."""
    module = import_module(f"speedtest_tui.cli.{entry.module}")
    return cast(Command, getattr(module, entry.part)() if entry.part else module)


def build_parser() -> Parser:
    """The parser of everything; without a command the options are the dashboard's."""
    parser = Parser(prog=PROGRAM)
    describe(parser, "Which local speech-to-text is fastest on this machine?", "--demo", "run talk.wav --size small")
    parser.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="print the version",
    )
    add_clip(parser.add_mutually_exclusive_group(), "--audio")
    add_race(parser)
    parser.add_argument("--ascii", action="store_true", help="draw the dashboard in plain ASCII")
    parser.set_defaults(command=_dashboard)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=CommandParser)
    for entry in COMMANDS:
        commands.add_parser(entry.name, help=entry.help).entry = entry
    return parser


def _dashboard(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.dashboard import dashboard

    return dashboard(options)


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; every error that a user can correct becomes one line on stderr."""
    try:
        code = _carried_out(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        complain(str(error))
        return EXIT_USAGE
    except KeyboardInterrupt:
        complain("cancelled")
        return EXIT_CANCELLED
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # the reader of our output left (`| head`): nothing is wrong
    except OSError as error:
        # What no command foresaw of a place that may not be read, a working folder that is gone, or a full disk that
        # standard output goes to; only the first has a name.
        where = error.filename or ("the working folder" if error.errno == errno.ENOENT else "standard output")
        complain(f"{where}: {error.strerror or error}: check that it can be used")
        return EXIT_FAILED
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            complain("there is not enough memory: close other programs, or raise the limit (`ulimit -v`)")
        else:
            complain(f"it failed ({type(error).__name__}: {error}): {kept_traceback()}")
        return EXIT_FAILED
    finally:
        _settle()


def _carried_out(arguments: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may have fewer characters than our texts
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as done:  # of argparse, behind help or a complaint
        return done.code if isinstance(done.code, int) else EXIT_USAGE
    locations.check()
    code: int = options.command(options)
    return code


def _settle() -> None:
    """Let the interpreter end without a word and with our code: what cannot be written any more is given up."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
