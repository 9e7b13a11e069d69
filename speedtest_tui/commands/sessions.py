"""`speedtest-tui sessions`: the finished races on disk."""

from __future__ import annotations

import argparse
import datetime
import sys
from dataclasses import asdict

from speedtest_tui.cli import EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.commands import outputs
from speedtest_tui.commands.comparison import print_comparison
from speedtest_tui.commands.table import print_results
from speedtest_tui.core import figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions import store
from speedtest_tui.core.sessions.compare import age, compare, previous_of
from speedtest_tui.core.sessions.export import to_json


def list_sessions(options: argparse.Namespace) -> int:
    """Print all sessions, the newest first. A damaged one is named on stderr and makes the exit code 1."""
    found = list(store.sessions())
    whole = [session for session in found if isinstance(session, store.Session)]
    damaged = [session for session in found if isinstance(session, store.DamagedSession)]
    if options.json:
        lines = [
            {
                "name": session.name,
                "path": str(session.folder),
                **{key: session.document[key] for key in ("started", "state", "clip", "plan", "verdict")},
            }
            for session in whole
        ]
        sys.stdout.write(to_json({"schema": 1, "sessions": lines, "damaged": [d.name for d in damaged]}))
    elif whole:
        _print(whole)
    elif not damaged:
        print("No sessions yet. `speedtest-tui run --demo` makes one.")
    for session in damaged:
        complain(f"session {session.name} is damaged: {session.reason}; its folder is {session.folder}")
    return EXIT_FAILED if damaged else EXIT_OK


def _print(sessions: list[store.Session]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from speedtest_tui.commands.table import PLAIN_WIDTH

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("session", "started", "clip", "length", "size", "result"):
        table.add_column(title, no_wrap=title != "result", justify="right" if title == "length" else "left")
    for session in sessions:
        document = session.document
        started = datetime.datetime.fromisoformat(document["started"]).astimezone()
        cells = (
            session.name,
            f"{started:%Y-%m-%d %H:%M}",
            document["clip"]["name"],
            figures.seconds(document["clip"]["seconds"]),
            document["plan"]["size"],
            ("cancelled · " if document["state"] == "cancelled" else "") + document["verdict"]["sentence"],
        )
        table.add_row(*map(Text, cells))
    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False).print(table)


def show_session(options: argparse.Namespace) -> int:
    """Print one session as `run` printed it, or its JSON."""
    session = store.find(options.name)
    if options.json:
        sys.stdout.write(to_json(session.document))
    else:
        print_results(session.document)
        print(f"Saved in {session.folder}")
    return EXIT_OK


def compare_sessions(options: argparse.Namespace) -> int:
    """Print what changed between two sessions; the one that began earlier is "before", however they are given."""
    one = store.find(options.name)
    other = store.find(options.other) if options.other else previous_of(one, store.sessions())
    if other is None:
        raise UserError(f"no earlier session has {one.name}'s clip or backends at the same size", "name another one")
    if one.name == other.name:
        raise UserError(f"both names mean {one.name}", "name two sessions, or one to compare it with the one before")
    before, after = sorted((one, other), key=age)
    comparison = compare(before.document, after.document)
    if options.json:
        sys.stdout.write(to_json({"schema": 1, "before": before.name, "after": after.name, **asdict(comparison)}))
    else:
        print_comparison(comparison, before, after)
    return EXIT_OK


def export_session(options: argparse.Namespace) -> int:
    """Write one session in the forms asked for; as Markdown on standard output where none is."""
    forms = outputs.requested(options) or {"markdown": "-"}
    return EXIT_OK if outputs.write(forms, [dict(store.find(options.name).document)]) else EXIT_FAILED
