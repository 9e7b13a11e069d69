"""The race: one bar a backend, all on one scale, and the verdict below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core.race.row import RaceSnapshot, Row, answer_line
from speedtest_tui.core.race.verdict import NANO_NOTE, nano
from speedtest_tui.ui.widgets.bar_layout import STYLE_NEEDS_YOU, Scale, Span, header, line, scale_of


class RaceHeader(Widget):
    """Column titles over the bars."""

    DEFAULT_CSS = "RaceHeader { height: 1; }"

    quality = reactive("")
    """What the rows' error rates or agreements are called; "" without any."""

    def render(self) -> Content:
        return Content(header(self.size.width, self.quality))


class RacePane(Vertical, can_focus=True):
    """Shows a snapshot, and ticks between snapshots."""

    BORDER_TITLE = "Race"
    ALLOW_MAXIMIZE = True

    def __init__(self, rows: Sequence[Row], runs: int) -> None:
        super().__init__(id="race")
        self._rows = tuple(rows)
        self._bars = [BackendBar(row) for row in rows]
        self._runs = runs

    def compose(self) -> ComposeResult:
        yield RaceHeader()
        with VerticalScroll(id="bars", can_focus=False):
            yield from self._bars
        yield Static(id="verdict")
        yield Static(id="remarks")
        yield Static(id="statistics")
        yield Static(id="since")

    def wait(self, rows: Sequence[Row], runs: int) -> None:
        """Show who will race, before a race."""
        self._runs = runs
        self.remove_class("-ended")
        self._remark(rows)
        if [(row.candidate, row.label) for row in rows] != [(row.candidate, row.label) for row in self._rows]:
            self.replace(rows)
        else:
            self._rows = tuple(rows)
            self.tick(rows[0].since if rows else 0.0)

    def show(self, snapshot: RaceSnapshot, runs: int, now: float, since: str = "") -> None:
        """Take a snapshot over; rows keep their place while the race runs and stand in their order of rank after it."""
        rows = snapshot.ordered()
        self._rows, self._runs = rows, runs
        if len(self._bars) != len(rows):
            self.replace(rows)
        self.tick(now)
        found = snapshot.verdict
        self.query_one("#verdict", Static).update(Content(answer_line(found) or found.sentence))
        self.query_one("#statistics", Static).update(Content(found.sentence if found.answer else ""))
        self._remark(rows, snapshot.notes)
        self.query_one("#since", Static).update(Content(since))
        self.set_class(snapshot.ended, "-ended")

    def _remark(self, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
        """Show what belongs to the race as a whole; of toy models first, at any time."""
        lines = [NANO_LINE] if nano(rows) else []
        lines += [f"{REMARK} {note}" for note in notes if note != NANO_NOTE]
        remarks = self.query_one("#remarks", Static)
        remarks.update(Content("\n".join(lines)))
        remarks.display = bool(lines)

    def replace(self, rows: Sequence[Row]) -> None:
        """Show other backends than before."""
        self._rows = tuple(rows)
        self._bars = [BackendBar(row) for row in rows]
        container = self.query_one("#bars")
        container.remove_children()
        container.mount_all(self._bars)

    def tick(self, now: float) -> None:
        """Let the clocks and bars of rows at work move on."""
        scale = scale_of(self._rows, now)
        self.query_one(RaceHeader).quality = scale.quality
        for bar, row in zip(self._bars, self._rows, strict=False):
            bar.show(row, self._runs, now, scale)


NANO_LINE = "nano compares overhead only · s chooses real models"
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
        self.tooltip = explanation(row)

    def show(self, row: Row, runs: int, now: float, scale: Scale) -> None:
        """Draw this row as it is at `now`, bars against `scale`."""
        if row is not self._row:
            self.tooltip = explanation(row)
        self._row, self._runs, self._now, self._scale = row, runs, now, scale
        self.refresh()

    def render(self) -> Content:
        spans = line(self._row, self.size.width, self._runs, self._now, self._scale)
        if self._row.warnings:
            spans[1:2] = remarked(*spans[1])
        return Content.assemble(*((text, style) if style else text for text, style in spans))


def explanation(row: Row) -> Content | None:
    """Error and warnings of a row in full, as its tooltip: the line may be cut, and has no room for warnings."""
    lines = [f"{row.label}: {row.error.advice.what}", row.error.advice.todo] if row.error else []
    if row.warnings and not lines:
        lines = [row.label]
    lines += [f"{REMARK} {warning}" for warning in row.warnings]
    # As content, not markup: what libraries write may have brackets in it.
    return Content("\n".join(filter(None, lines))) if lines else None


def remarked(name: str, style: str) -> tuple[Span, Span, Span]:
    """A name, padded to its column, with the mark after it; the column keeps its width."""
    width, text = cell_len(name), name.rstrip()
    text = set_cell_size(text, min(cell_len(text) + 1, width - 1))
    return (text, style), (REMARK, STYLE_NEEDS_YOU), (" " * (width - cell_len(text) - 1), "")
