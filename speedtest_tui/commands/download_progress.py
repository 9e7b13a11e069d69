"""Downloads on standard error while they run: live lines on a terminal, else a line for whatever is worth one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from speedtest_tui.core.caches.download.describe import MARKS, headline, share, size, speed, titled
from speedtest_tui.core.caches.download.queue import Downloads
from speedtest_tui.core.caches.download.request import DownloadRow

if TYPE_CHECKING:
    from rich.console import Group

REFRESH_HZ = 8
BAR_CELLS = 20
TELL_SHARE = 0.25
"""Where there is no terminal, a long download says a word at every quarter."""


def watch(downloads: Downloads) -> None:
    """Show downloads until they have ended. Raises KeyboardInterrupt as it comes."""
    if not downloads.rows:
        return
    if not sys.stderr.isatty():
        told: dict[int, tuple[str, str, int]] = {}
        while True:
            ended = downloads.join(1 / REFRESH_HZ)
            for index, row in enumerate(downloads.rows):
                _tell(index, row, told)
            if ended:
                return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=REFRESH_HZ, transient=True) as live:
        while not downloads.join(1 / REFRESH_HZ):
            live.update(_lines(downloads.rows))


def _tell(index: int, row: DownloadRow, told: dict[int, tuple[str, str, int]]) -> None:
    """Print what has changed since the last time, if it is worth a line."""
    quarter = int((share(row) or 0) / TELL_SHARE) if row.state == "fetching" else 0
    state = "fetching" if row.state in ("resolving", "checking") else row.state
    old = told.get(index, ("waiting", "", 0))
    if row.note and row.note != old[1]:
        print(f"{row.request.name}: {row.note}", file=sys.stderr)
    if state != old[0] and not row.ended and state == "fetching":
        print(f"{row.request.name}: fetching into {row.request.root}", file=sys.stderr)
    elif quarter > old[2] and not row.ended:
        print(f"{row.request.name}: {size(row)}, {speed(row)}".rstrip(", "), file=sys.stderr)
    told[index] = (state, row.note, max(quarter, old[2]))


def _lines(rows: tuple[DownloadRow, ...]) -> Group:
    """A line for each download, cut off at the terminal's edge, and one below it for what is being done."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for row in rows:
        glyph, style = MARKS[row.state]
        figures = () if row.ended else filter(None, (_bar(row), size(row), speed(row)))
        words = (titled(row) if row.ended else row.request.name, *figures)
        lines.append(Text.assemble((glyph, style), "  ", "  ".join(words)))
        if not row.ended and row.state != "waiting":
            lines.append(Text(f"   {headline(row)}"))
        if not row.ended and row.note:
            lines.append(Text(f"   {row.note}"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _bar(row: DownloadRow) -> str:
    part = share(row)
    if part is None:
        return ""
    cells = int(part * BAR_CELLS)
    return "━" * cells + "╌" * (BAR_CELLS - cells)
