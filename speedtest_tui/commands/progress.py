"""Live progress of a race on standard error: one line a backend on a terminal, nothing where it is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from speedtest_tui.core import figures
from speedtest_tui.core.bench.describe import MARKS, headline
from speedtest_tui.core.bench.row import ACTIVE_PHASES, Row
from speedtest_tui.core.bench.supervisor import Race

if TYPE_CHECKING:
    from rich.table import Table

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
