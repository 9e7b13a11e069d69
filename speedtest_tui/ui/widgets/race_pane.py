"""The race: one bar a backend, all on one scale, and the verdict below."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core.bench.row import RaceSnapshot, Row
from speedtest_tui.ui.widgets.backend_bar import BackendBar
from speedtest_tui.ui.widgets.bar_layout import header, scale_of


class RaceHeader(Widget):
    """Column titles over the bars."""

    DEFAULT_CSS = "RaceHeader { height: 1; }"

    def render(self) -> Content:
        return Content(header(self.size.width))


class RacePane(Vertical, can_focus=True):
    """Shows a snapshot, and ticks between snapshots."""

    BORDER_TITLE = "Race"
    ALLOW_MAXIMIZE = True

    def __init__(self, rows: Sequence[Row], runs: int) -> None:
        super().__init__(id="race")
        self._rows = tuple(rows)
        self._runs = runs

    def compose(self) -> ComposeResult:
        yield RaceHeader()
        with VerticalScroll(id="bars", can_focus=False):
            for row in self._rows:
                yield BackendBar(row)
        yield Static(id="verdict")

    def wait(self, rows: Sequence[Row], runs: int) -> None:
        """Show who will race, before a race."""
        self._runs = runs
        self.remove_class("-ended")
        self.query_one("#verdict", Static).update()
        if [row.backend for row in rows] != [row.backend for row in self._rows] or len(rows) != len(self._rows):
            self.replace(rows)
        else:
            self._rows = tuple(rows)
            self.tick(rows[0].since if rows else 0.0)

    def show(self, snapshot: RaceSnapshot, runs: int, now: float, since: str = "") -> None:
        """Take a snapshot over; rows keep their place while the race runs and stand in their order of rank after it."""
        rows = snapshot.ordered()
        self._rows, self._runs = rows, runs
        bars = list(self.query(BackendBar))
        if len(bars) != len(rows):
            self.replace(rows)
            return
        self.tick(now)
        self.query_one("#verdict", Static).update(Content(self._remarks(snapshot, since)))
        self.set_class(snapshot.ended, "-ended")

    def replace(self, rows: Sequence[Row]) -> None:
        """Show other backends than before."""
        self._rows = tuple(rows)
        container = self.query_one("#bars")
        container.remove_children()
        container.mount_all(BackendBar(row) for row in rows)

    def tick(self, now: float) -> None:
        """Let the clocks and bars of rows at work move on."""
        scale = scale_of(self._rows, now)
        for bar, row in zip(self.query(BackendBar), self._rows, strict=False):
            bar.show(row, self._runs, now, scale)

    @staticmethod
    def _remarks(snapshot: RaceSnapshot, since: str) -> str:
        sentence = snapshot.verdict.sentence if snapshot.ended else ""
        return "\n".join(filter(None, (sentence, *snapshot.notes, since)))
