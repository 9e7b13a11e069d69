"""One backend's line in the race."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widget import Widget

from speedtest_tui.core.bench.row import Row
from speedtest_tui.ui.widgets.bar_layout import STYLE_NEEDS_YOU, Scale, Span, line

REMARK = "!"
"""After the name of a row with warnings, such as that other weights ran; it stands before each of them elsewhere."""


class BackendBar(Widget):
    """Draws a row: name, bar, time. Give it a state with `show`; it keeps no clock of its own."""

    DEFAULT_CSS = "BackendBar { height: 1; }"

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row
        self._runs = 1
        self._now = row.since
        self._scale = Scale(1.0, 1.0)
        self.tooltip = said(row)

    def show(self, row: Row, runs: int, now: float, scale: Scale) -> None:
        """Draw this row as it is at `now`, bars against `scale`."""
        if row is not self._row:
            self.tooltip = said(row)
        self._row, self._runs, self._now, self._scale = row, runs, now, scale
        self.refresh()

    def render(self) -> Content:
        spans = line(self._row, self.size.width, self._runs, self._now, self._scale)
        if self._row.warnings:
            spans[1:2] = remarked(*spans[1])
        return Content.assemble(*((text, style) if style else text for text, style in spans))


def said(row: Row) -> Content | None:
    """All that is to be said of a row, for those who point at it: its line may be cut, and has no room for warnings."""
    lines = [f"{row.backend}: {row.error.message}", row.error.hint] if row.error else []
    if row.warnings and not lines:
        lines = [row.backend]
    lines += [f"{REMARK} {warning}" for warning in row.warnings]
    # As content, not markup: what libraries write may have brackets in it.
    return Content("\n".join(filter(None, lines))) if lines else None


def remarked(name: str, style: str) -> tuple[Span, Span, Span]:
    """A name, padded to its column, with the mark after it; the column keeps its width."""
    width, text = cell_len(name), name.rstrip()
    text = set_cell_size(text, min(cell_len(text) + 1, width - 1))
    return (text, style), (REMARK, STYLE_NEEDS_YOU), (" " * (width - cell_len(text) - 1), "")
