"""A session's results as a table on a terminal or in plain text.

Live progress of a race on standard error: one line a backend on a terminal, nothing where it is no terminal.

Results in the forms that were asked for, to files or to standard output.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtest_tui.cli.main import complain
from speedtest_tui.core import disk as atomic
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.race.row import ACTIVE_PHASES, MARKS, Row, headline
from speedtest_tui.core.race.supervisor import Race
from speedtest_tui.core.sessions import export
from speedtest_tui.core.sessions.document import Document, Result
from speedtest_tui.core.sessions.export import median, relative, weights

if TYPE_CHECKING:
    from rich.table import Table


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
    clip, plan = document.clip, document.plan
    console.print(
        Text(f"{clip.name} · {figures.seconds(clip.seconds)} · size {plan.size} · {plan.runs} runs, {plan.order}")
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in COLUMNS:
        left = title in ("backend", "relative", "weights")
        table.add_column(title, justify="left" if left else "right", no_wrap=title != "weights")
    for result in document.ordered:
        if result.runs_s:
            table.add_row(*map(Text, _cells(result)))
    if table.row_count:
        console.print(table)
    for result in document.ordered:
        mark = Text(f"{MARK.get(result.status, '✗')} ", style=STYLE.get(result.status, "red"))
        name = Text(f"{result.backend}  ", style="bold")
        if result.status == "ok":
            console.print(mark, name, Text(result.text or "(no text)"), sep="")
        else:
            console.print(mark, name, Text(result.reason), sep="")
        if own := figures.measured(result.figures):
            console.print(Text(f"    {own}", style="dim"))
        for warning in result.warnings:
            console.print(Text(f"    ! {warning}", style="yellow"))
    for remark in (*clip.warnings, *document.notes):
        console.print(Text(f"! {remark}", style="yellow"))
    console.print(Text(document.verdict.sentence, style="bold"))


def _cells(result: Result) -> tuple[str, ...]:
    return (
        str(result.rank or figures.DASH),
        result.backend,
        median(result),
        figures.rtfx(result.rtfx),
        relative(result),
        figures.seconds(result.import_s),
        figures.seconds(result.load_s),
        figures.seconds(result.first_s),
        figures.megabytes(result.peak_rss_mb),
        figures.percent(result.wer),
        weights(result),
    )


REFRESH_HZ = 8


def watch(race: Race) -> None:
    """Show the race until it ends. Raises KeyboardInterrupt as it comes."""
    if not sys.stderr.isatty():
        while race.is_alive():
            race.join(0.2)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=REFRESH_HZ, transient=True) as live:
        while race.is_alive():
            live.update(_lines(race))
            race.join(1 / REFRESH_HZ)


def _lines(race: Race) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=False)
    for row in race.snapshot.rows:
        glyph, style = MARKS[row.status or ("active" if row.phase in ACTIVE_PHASES else "waiting")]
        table.add_row(Text(glyph, style=style), Text(row.backend), Text(headline(row, race.plan.runs)), _clock(row))
    return table


def _clock(row: Row) -> str:
    return figures.seconds(time.monotonic() - row.since) if row.phase in ACTIVE_PHASES else ""


FORMS = {"json": export.to_json, "csv": export.to_csv, "markdown": export.to_markdown}


def requested(options: argparse.Namespace) -> dict[str, str]:
    """Form -> file, or "-" for standard output.

    Raises UserError for what cannot work, before anything is measured for it.
    """
    outputs = {form: target for form in FORMS if (target := getattr(options, form))}
    if list(outputs.values()).count("-") > 1:
        raise UserError("two results for standard output", "give files to all forms but one")
    for target in outputs.values():
        if target != "-" and not Path(target).absolute().parent.is_dir():
            raise UserError(f"cannot write {target}", "its folder does not exist")
    return outputs


def write(outputs: dict[str, str], documents: Sequence[Document]) -> bool:
    """Write the asked-for forms; with several documents JSON becomes a list and the others follow one another.

    Returns whether all could be written; what could not is named on stderr.
    """
    whole = True
    for form, target in outputs.items():
        render: Any = FORMS[form]
        if form == "json" and len(documents) > 1:
            text = render(documents)
        else:
            text = "\n".join(render(document) for document in documents)
        if target == "-":
            sys.stdout.write(text)
            continue
        try:
            atomic.write_text(Path(target).absolute(), text)
        except OSError as error:
            complain(f"{target} could not be written ({error.strerror or error}): choose another file")
            whole = False
    return whole
