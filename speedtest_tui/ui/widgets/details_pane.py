"""What exactly ran: weights, precision, decoding options, memory over time. For screens with room to spare."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from speedtest_tui.core import format as figures
from speedtest_tui.core.race.row import Row
from speedtest_tui.ui.widgets.clip_pane import LEVELS

TRACE_CELLS = 40


def sparkline(trace: Sequence[int], cells: int = TRACE_CELLS) -> str:
    """Memory over time, scaled to its own peak; the whole trace, however long, in at most `cells` cells."""
    if not trace or max(trace) <= 0:
        return ""
    peak = max(trace)
    cells = min(cells, len(trace))
    highest = [max(trace[i * len(trace) // cells : max((i + 1) * len(trace) // cells, 1)]) for i in range(cells)]
    return "".join(LEVELS[max(1, round(value / peak * 8))] for value in highest)


def details(row: Row) -> Content:
    """Everything known of one row, a few lines."""
    parts: list[Content | tuple[str, str] | str] = [(row.backend, "bold")]
    if row.loaded:
        parts += ["\n  ", " · ".join(filter(None, (row.loaded.source, row.loaded.revision[:12])))]
        facts = [row.loaded.device, row.loaded.dtype]
        if row.loaded.bits:
            facts.append(f"{row.loaded.bits:.1f} bits")
        if row.loaded.parameters:
            facts.append(f"{row.loaded.parameters / 1e6:.1f} M parameters")
        parts += ["\n  ", " · ".join(filter(None, facts))]
        parts += ["\n  ", " · ".join(f"{key} {value}" for key, value in row.loaded.options)]
        if row.location:
            parts += ["\n  ", str(row.location.path or row.loaded.files[0])]
    elif row.spec:
        parts += ["\n  ", row.spec.source]
    if row.figures:
        parts += ["\n  ", figures.measured(row.figures)]
    if row.memory_trace:
        parts += ["\n  memory ", (sparkline(row.memory_trace), "$primary")]
        parts.append(f" peak {figures.megabytes(row.peak_rss / 1e6)}")
        if row.device_peak:
            parts.append(f", device {figures.megabytes(row.device_peak / 1e6)}")
    for warning in row.warnings:
        parts += ["\n  ", (f"! {warning}", "$text-warning")]
    return Content.assemble(*parts)


class DetailsPane(VerticalScroll):
    """One block a backend."""

    BORDER_TITLE = "Details"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="details")
        self._machine = ""
        self._shown: tuple[Row, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="details-text")

    def show_machine(self, sentence: str) -> None:
        """Name the machine at the top."""
        self._machine = sentence
        self.show(self._shown)

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; costs nothing while the pane is not displayed."""
        self._shown = tuple(rows)
        if self.display:
            blocks = [Content(self._machine), *map(details, rows)]
            self.query_one("#details-text", Static).update(Content("\n\n").join(blocks))
