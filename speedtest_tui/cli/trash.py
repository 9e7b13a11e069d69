"""`repair --undo`, `--trash` and `--empty-trash`: what repairs have kept, and what becomes of it."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from speedtest_tui.cli.console import EXIT_FAILED, EXIT_OK, complain, print_json
from speedtest_tui.core import disk, locations
from speedtest_tui.core.format import amount
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.undo import Undone, find, undo


def run(options: argparse.Namespace) -> int:
    """Carry out the one of the three that was asked for. 1 where something could not be put back."""
    if options.undo is not None:
        return _undo(options.undo, options.json)
    return _empty(options.json) if options.empty_trash else _list(options.json)


def _undo(name: str, json: bool) -> int:
    entry = find(name)
    done = undo(entry)
    if json:
        print_json({"schema": 1, "entry": entry.id, **_undone(done)})
    else:
        print(f"{entry.what}: {len(done.reverted)} changes taken back")
        if done.id:
            print(f"`speedtest-tui repair --undo {done.id}` has them again.")
    for sentence in done.left:
        complain(sentence)
    return EXIT_OK if done.complete else EXIT_FAILED


def _undone(done: Undone) -> dict[str, Any]:
    return {
        "undo": done.id or None,
        "reverted": [str(path) for path in done.reverted],
        "left": list(done.left),
        "complete": done.complete,
    }


def _list(json: bool) -> int:
    entries = trash.entries()
    if json:
        lines = [
            {
                "id": entry.id,
                "what": entry.what,
                "started": entry.started,
                "undone": entry.undone,
                "bytes": entry.bytes,
                "folders": [str(folder) for folder in entry.folders],
                "changes": [{"path": str(change.path), "kept": change.kept or None} for _, change in entry.changes],
            }
            for entry in entries
        ]
        print_json({"schema": 1, "entries": lines})
        return EXIT_OK
    for entry in entries:
        started = datetime.datetime.fromisoformat(entry.started).astimezone()
        state = ", undone" if entry.undone else ""
        print(f"{entry.id}  {started:%Y-%m-%d %H:%M}  {amount(entry.bytes):>9}  {entry.what}{state}")
    if not entries:
        print("The trash is empty: no repair has replaced anything.")
        return EXIT_OK
    free = disk.free(locations.trash_folder())
    room = "" if free is None else f", {amount(free)} free"
    print(f"{amount(sum(entry.bytes for entry in entries))} in all{room}.")
    print("`speedtest-tui repair --empty-trash` deletes it for good.")
    return EXIT_OK


def _empty(json: bool) -> int:
    freed = trash.empty()
    left = trash.entries()
    if json:
        print_json({"schema": 1, "freed": freed, "left": [entry.id for entry in left]})
    else:
        print(f"{amount(freed)} freed.")
    for entry in left:
        complain(f"{entry.folders[0]} could not be emptied: look at its permissions")
    return EXIT_FAILED if left else EXIT_OK
