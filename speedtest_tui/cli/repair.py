"""`speedtest-tui repair`: mend what the caches hold; without --apply only say how.

Imports nothing heavy by itself: the command line asks it for its options at every start.
"""

from __future__ import annotations

import argparse
from typing import Any

from backends.catalogue import SIZES
from speedtest_tui.core.errors import UserError


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command and its options to the command line."""
    parser = commands.add_parser("repair", help="mend damaged, partial and misplaced models; first the plan")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--size", metavar="SIZE", help=f"model size: {', '.join(SIZES)} (all where left out)")
    scope.add_argument("--all", action="store_true", help="also what no backend asks for")
    parser.add_argument("--backends", metavar="A,B", help="which implementations; all where left out")
    parser.add_argument("--checksum", action="store_true", help="first compare files with their hashes, offline")
    parser.add_argument("--apply", action="store_true", help="carry the plan out")
    parser.add_argument("--verify", action="store_true", help="with --apply: load the repaired models afterwards")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that --verify may go without progress")
    parser.add_argument("--merge-duplicates", action="store_true", help="let equal files take their space once")
    parser.add_argument("--symlinks", action="store_true", help="with --merge-duplicates: by links across disks")
    parser.add_argument("--tidy", action="store_true", help="also move what does not belong there to the trash")
    tasks = parser.add_mutually_exclusive_group()
    tasks.add_argument("--copy", metavar="SOURCE", help="copy a model to another cache: a repository or .pt file")
    tasks.add_argument("--move", metavar="SOURCE", help="move a model to another cache")
    tasks.add_argument("--undo", nargs="?", const="", metavar="ID", help="take a repair back, the last one by itself")
    tasks.add_argument("--trash", action="store_true", help="list what repairs have kept, and how large it is")
    tasks.add_argument("--empty-trash", action="store_true", help="delete what repairs have kept, for good")
    parser.add_argument("--to", choices=("local", "hf", "whisper"), help="where to with --copy and --move")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=_repair)


def _repair(options: argparse.Namespace) -> int:
    _refuse_contradictions(options)
    from speedtest_tui.cli import repair_run
    from speedtest_tui.cli import trash as repair_trash

    if options.trash or options.empty_trash or options.undo is not None:
        return repair_trash.run(options)
    return repair_run.repair(options)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Raises UserError for options that mean nothing together."""
    if bool(options.copy or options.move) != bool(options.to):
        raise UserError(
            "--copy and --move need --to, and it needs one of them", "give both, as in --copy NAME --to local"
        )
    if options.verify and not options.apply:
        raise UserError("--verify without --apply", "add --apply; `speedtest-tui check-models --verify` only checks")
    if options.symlinks and not options.merge_duplicates:
        raise UserError("--symlinks without --merge-duplicates", "add --merge-duplicates")
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        raise UserError(f"a time-out of {options.timeout:g} s", "choose more than 0")
