"""One row of a race, with everything that is known of it, above the dashboard; it follows a race that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Static

from speedtest_tui.core.race.row import Row, against
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.row_details import details

if TYPE_CHECKING:
    from speedtest_tui.ui.widgets.race_pane import RacePane
    from speedtest_tui.ui.widgets.result_panes import Marks


def show_row(pane: RacePane, marks: Marks) -> None:
    """Show everything about the row that is selected; the one that was shown last is selected afterwards."""
    if pane.rows:
        shown = RowScreen(pane.rows, pane.selected, pane.runs, marks)
        pane.app.push_screen(shown, lambda index: None if index is None else pane.select(index))


def follow(pane: RacePane, marks: Marks) -> None:
    """Where that is shown, show how it is by now."""
    if isinstance(screen := pane.app.screen, RowScreen) and pane.rows:
        screen.show(pane.rows, pane.runs, marks)


class RowScreen(Once, ModalScreen[int]):
    """Left with the place of the row that was shown last."""

    CSS_PATH = "row.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,e,q", "leave", "close", id="close-row", tooltip="Back to the dashboard"),
        Binding("left", "turn(-1)", "previous", id="previous-row", tooltip="The candidate above"),
        Binding("right", "turn(1)", "next", id="next-row", tooltip="The candidate below"),
    ]

    def __init__(self, rows: Sequence[Row], index: int, runs: int, marks: Marks) -> None:
        super().__init__()
        self._rows, self._index, self._runs, self._marks = tuple(rows), index, runs, marks

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="row") as pane:
            pane.border_subtitle = "← → other candidates · esc closes"
            yield Static()

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def show(self, rows: Sequence[Row], runs: int, marks: Marks) -> None:
        """Take over how the race stands by now; the same candidate stays in sight."""
        names = [row.candidate for row in rows]
        name = self._rows[self._index].candidate
        self._rows, self._runs, self._marks = tuple(rows), runs, marks
        self._index = names.index(name) if name in names else 0
        self._draw()

    def _draw(self) -> None:
        for text in self.query("#row Static").results(Static):  # none before it is composed, nor once it is closed
            pane = self.query_one("#row")
            row = self._rows[self._index]
            pane.border_title = f"{escape(row.label)} · {self._index + 1} of {len(self._rows)}"
            width = pane.scrollable_content_region.width
            shown = details(
                row, self._marks.get(row.candidate, ()), runs=self._runs, against=against(self._rows), width=width
            )
            text.update(shown)

    def action_turn(self, step: int) -> None:
        self._index = (self._index + step) % len(self._rows)
        self._draw()
        for pane in self.query("#row"):
            pane.scroll_home(animate=False)

    def action_leave(self) -> None:
        self.dismiss(self._index)
