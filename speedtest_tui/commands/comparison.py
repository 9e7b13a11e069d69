"""Two sessions next to each other, as a table on a terminal or in plain text."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING

from speedtest_tui.commands.table import PLAIN_WIDTH
from speedtest_tui.core import figures
from speedtest_tui.core.sessions.compare import BackendChange, Change, Comparison, TextChange, factor_words
from speedtest_tui.core.sessions.store import Session

if TYPE_CHECKING:
    from rich.text import Text

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
    started = datetime.datetime.fromisoformat(document["started"]).astimezone()
    clip = document["clip"]
    facts = (
        session.name,
        f"{started:%Y-%m-%d %H:%M}",
        f"{clip['name']}, {figures.seconds(clip['seconds'])}",
        f"size {document['plan']['size']}",
        f"{document['plan']['runs']} runs",
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
