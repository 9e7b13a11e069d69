"""`speedtest-tui sessions`: the finished races on disk.

Two sessions next to each other, as a table on a terminal or in plain text.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from speedtest_tui.cli import console as outputs
from speedtest_tui.cli.console import PLAIN_WIDTH, print_results
from speedtest_tui.cli.main import EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions import store
from speedtest_tui.core.sessions.compare import (
    BackendChange,
    Change,
    Comparison,
    TextChange,
    age,
    compare,
    factor_words,
    previous_of,
)
from speedtest_tui.core.sessions.export import to_json
from speedtest_tui.core.sessions.store import Session

if TYPE_CHECKING:
    from rich.text import Text


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
                **{key: getattr(session.document, key) for key in ("started", "state", "clip", "plan", "verdict")},
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

    from speedtest_tui.cli.console import PLAIN_WIDTH

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("session", "started", "clip", "length", "size", "result"):
        table.add_column(title, no_wrap=title != "result", justify="right" if title == "length" else "left")
    for session in sessions:
        document = session.document
        started = document.begun
        cells = (
            session.name,
            f"{started:%Y-%m-%d %H:%M}",
            document.clip.name,
            figures.seconds(document.clip.seconds),
            document.plan.size,
            ("cancelled · " if document.state == "cancelled" else "") + document.verdict.sentence,
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
    return EXIT_OK if outputs.write(forms, [store.find(options.name).document]) else EXIT_FAILED


FACTOR = "factor\n(95 %)"
COLUMNS = ("backend", "change", FACTOR, "median", "WER", "text")

MARKS: dict[Change, tuple[str, str]] = {
    "faster": ("↑", "green"),
    "slower": ("↓", "red"),
    "same": ("=", ""),
    "unclear": ("?", "yellow"),
    "new": ("+", "cyan"),
    "gone": ("–", "yellow"),
    "failed": ("✗", "red"),
}
"""Glyph and colour of each change; its word stands beside them."""

TEXTS: dict[TextChange | None, str] = {
    "same": "same",
    "punctuation": "punctuation",
    "words": "other words",
    None: figures.DASH,
}


def print_comparison(comparison: Comparison, before: Session, after: Session) -> None:
    """Print both sessions' names, the table, what else differs and the headline on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    for title, session in (("before", before), ("after", after)):
        console.print(Text(f"{title:6}  {_label(session)}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    errors_known = any(row.wer_before is not None or row.wer_after is not None for row in comparison.backends)
    columns = [column for column in COLUMNS if column != "WER" or errors_known]
    for title in columns:
        table.add_column(title, no_wrap=title != FACTOR)
    for row in comparison.backends:
        glyph, style = MARKS[row.change]
        cells = {"backend": Text(row.backend), "change": Text(f"{glyph} {row.change}", style), **_cells(row)}
        table.add_row(*(cells[title] for title in columns))
    if table.row_count:
        console.print(table)
    for difference in comparison.differences:
        console.print(Text(f"! {difference.sentence}", style="yellow"))
    for row in comparison.backends:
        for sentence in (row.detail, *(difference.sentence for difference in row.differences)):
            if sentence:
                console.print(Text(f"! {row.backend}: {sentence}", style="yellow"))
    for remark in comparison.remarks:
        console.print(Text(f"! {remark}", style="yellow"))
    console.print(Text(comparison.headline, style="bold"))


def _label(session: Session) -> str:
    document = session.document
    started = document.begun
    clip = document.clip
    facts = (
        session.name,
        f"{started:%Y-%m-%d %H:%M}",
        f"{clip.name}, {figures.seconds(clip.seconds)}",
        f"size {document.plan.size}",
        f"{document.plan.runs} runs",
    )
    return " · ".join(facts)


def _cells(row: BackendChange) -> dict[str, Text]:
    from rich.text import Text

    cells = (
        factor_words(row.factor) if row.factor else figures.DASH,
        _step(figures.seconds(row.before_s), figures.seconds(row.after_s)),
        _step(figures.percent(row.wer_before), figures.percent(row.wer_after)),
        TEXTS[row.text],
    )
    return dict(zip(COLUMNS[2:], map(Text, cells), strict=True))


def _step(before: str, after: str) -> str:
    """ "0.200 s → 0.300 s"; a single dash where neither is known."""
    return before if before == after == figures.DASH else f"{before} → {after}"
