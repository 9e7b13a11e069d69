"""A session's results as a table on a terminal or in plain text."""

from __future__ import annotations

import sys
from typing import Any

from speedtest_tui.core import figures
from speedtest_tui.core.sessions.document import Document
from speedtest_tui.core.sessions.export import median, ordered, relative, weights

PLAIN_WIDTH = 132
"""Columns where the output is no terminal and so has no width of its own."""

COLUMNS = (
    "#", "backend", "median ±95 %", "RTFx", "relative", "import", "load", "first", "memory", "WER", "weights",
)  # fmt: skip

MARK = {"ok": "✓", "cancelled": "–"}
STYLE = {"ok": "green", "cancelled": "yellow"}


def print_results(document: Document) -> None:
    """Print the table, the transcripts, the remarks and the verdict on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    clip, plan = document["clip"], document["plan"]
    console.print(
        Text(
            f"{clip['name']} · {figures.seconds(clip['seconds'])} · size {plan['size']} · "
            f"{plan['runs']} runs, {plan['order']}"
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in COLUMNS:
        left = title in ("backend", "relative", "weights")
        table.add_column(title, justify="left" if left else "right", no_wrap=title != "weights")
    for result in ordered(document):
        if result["runs_s"]:
            table.add_row(*map(Text, _cells(result)))
    if table.row_count:
        console.print(table)
    for result in ordered(document):
        mark = Text(f"{MARK.get(result['status'], '✗')} ", style=STYLE.get(result["status"], "red"))
        name = Text(f"{result['backend']}  ", style="bold")
        if result["status"] == "ok":
            console.print(mark, name, Text(result["text"] or "(no text)"), sep="")
        else:
            error = result["error"] or {"message": "", "hint": ""}
            hint = f": {error['hint']}" if error["hint"] else ""
            console.print(mark, name, Text(f"{result['status']}: {error['message']}{hint}"), sep="")
        if own := figures.measured(result.get("figures") or {}):
            console.print(Text(f"    {own}", style="dim"))
        for warning in result["warnings"]:
            console.print(Text(f"    ! {warning}", style="yellow"))
    for remark in (*clip["warnings"], *document["notes"]):
        console.print(Text(f"! {remark}", style="yellow"))
    console.print(Text(document["verdict"]["sentence"], style="bold"))


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(result["rank"] or figures.DASH),
        result["backend"],
        median(result),
        figures.rtfx(result["rtfx"]),
        relative(result),
        figures.seconds(result["import_s"]),
        figures.seconds(result["load_s"]),
        figures.seconds(result["first_s"]),
        figures.megabytes(result["peak_rss_mb"]),
        figures.percent(result["wer"]),
        weights(result),
    )
