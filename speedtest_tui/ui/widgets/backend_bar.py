"""One backend's line in the race."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from speedtest_tui.core.bench.row import Row
from speedtest_tui.ui.widgets.bar_layout import Scale, line


class BackendBar(Widget):
    """Draws a row: name, bar, time. Give it a state with `show`; it keeps no clock of its own."""

    DEFAULT_CSS = "BackendBar { height: 1; }"

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row
        self._runs = 1
        self._now = row.since
        self._scale = Scale(1.0, 1.0)

    def show(self, row: Row, runs: int, now: float, scale: Scale) -> None:
        """Draw this row as it is at `now`, bars against `scale`."""
        if row is not self._row:
            # The line may be cut; its whole text can be had by pointing at it.
            self.tooltip = f"{row.backend}: {row.error.message}\n{row.error.hint}".strip() if row.error else None
        self._row, self._runs, self._now, self._scale = row, runs, now, scale
        self.refresh()

    def render(self) -> Content:
        spans = line(self._row, self.size.width, self._runs, self._now, self._scale)
        return Content.assemble(*((text, style) if style else text for text, style in spans))
