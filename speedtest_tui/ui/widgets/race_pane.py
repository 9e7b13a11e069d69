"""The race: a table with a row for each candidate, the verdict below; rows can be selected, sorted and opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core.race.plan import Plan, progress
from speedtest_tui.core.race.row import RaceSnapshot, Row, answer_line
from speedtest_tui.core.race.verdict import NANO_NOTE, nano
from speedtest_tui.ui.widgets.bar_layout import REMARK, SORTS, STYLE_NOW, Span, Table, sorted_rows

NANO_LINE = "nano compares overhead only · s chooses real models"


class TableLine(Widget):
    """A line of the table: it draws the spans that it was given."""

    def __init__(self, index: int = -1) -> None:
        super().__init__()
        self.index = index
        self._spans: list[Span] = []

    def show(self, spans: list[Span]) -> None:
        if spans != self._spans:
            self._spans = spans
            self.refresh()

    def render(self) -> Content:
        return Content.assemble(*((text, style) if style else text for text, style in self._spans))


class RaceHeader(TableLine):
    """Column titles over the rows; a click on one sorts by it."""

    DEFAULT_CSS = "RaceHeader { height: 1; }"


class CandidateLine(TableLine):
    """A row of the race; pointing at it explains its error and warnings in full."""

    DEFAULT_CSS = "CandidateLine { height: 1; }"

    def explain(self, row: Row) -> None:
        if row.error is not self._explained[0] or row.warnings != self._explained[1]:
            self._explained = row.error, row.warnings
            self.tooltip = explanation(row)

    _explained: tuple[object, object] = (None, ())

    def on_resize(self) -> None:
        pane = self.parent.parent if self.parent else None  # none once it has been replaced
        if not self.index and isinstance(pane, RacePane):  # all have one width
            pane.lay_out()


class RacePane(Vertical, can_focus=True):
    """Shows a snapshot, and ticks between snapshots. Rows keep their place while the race runs."""

    BORDER_TITLE = "Race"
    ALLOW_MAXIMIZE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "select(-1)", "select", show=False),
        Binding("down", "select(1)", "select", show=False),
        Binding("home", "select(-1000)", "first", show=False),
        Binding("end", "select(1000)", "last", show=False),
        Binding("pageup", "select(-5)", "up", show=False),
        Binding("pagedown", "select(5)", "down", show=False),
        Binding("right", "screen.details", "details", show=False),
    ]

    @dataclass
    class Selected(Message):
        """Another row is selected."""

    def __init__(self, rows: Sequence[Row], plan: Plan) -> None:
        super().__init__(id="race")
        self._rows = tuple(rows)
        self._lines = [CandidateLine(index) for index in range(len(rows))]
        self._snapshot: RaceSnapshot | None = None
        self._plan, self._clip_s, self._now = plan, 0.0, 0.0
        self._table = Table(self._rows, 0, plan.runs)
        self._selected = ""
        self.sort, self.backwards = "state", False

    def compose(self) -> ComposeResult:
        yield RaceHeader()
        with VerticalScroll(id="bars", can_focus=False):
            yield from self._lines
        with Vertical(id="answer"):
            yield Static(id="verdict")
            yield Static(id="remarks")
            yield Static(id="statistics")
        yield Static(id="since")

    def wait(self, rows: Sequence[Row], plan: Plan) -> None:
        """Show who will race, before a race."""
        self._snapshot = None
        self.remove_class("-racing", "-ended")
        self._remark(rows)
        self._fill(rows, plan, 0.0, rows[0].since if rows else 0.0)

    def show(self, snapshot: RaceSnapshot, plan: Plan, clip_s: float, now: float, since: str = "") -> None:
        """Take a snapshot over; rows keep their place while the race runs and are sorted after it."""
        self._snapshot = snapshot
        self.set_class(not snapshot.ended, "-racing")
        self.set_class(snapshot.ended, "-ended")
        self._fill(snapshot.ordered(), plan, clip_s, now)
        found = snapshot.verdict
        if snapshot.ended:
            self.query_one("#verdict", Static).update(Content(answer_line(found) or found.sentence))
        self.query_one("#statistics", Static).update(Content(found.sentence if found.answer else ""))
        self._remark(snapshot.rows, snapshot.notes)
        self.query_one("#since", Static).update(Content(since))

    def _remark(self, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
        """Show what belongs to the race as a whole; of toy models first, at any time."""
        lines = [NANO_LINE] if nano(rows) else []
        lines += [f"{REMARK} {note}" for note in notes if note != NANO_NOTE]
        remarks = self.query_one("#remarks", Static)
        remarks.update(Content("\n".join(lines)))
        remarks.display = bool(lines)
        self.set_class(bool(lines), "-remarked")

    def _fill(self, rows: Sequence[Row], plan: Plan, clip_s: float, now: float) -> None:
        ended = self._snapshot is not None and self._snapshot.ended
        shown = sorted_rows(rows, self.sort, backwards=self.backwards) if ended else tuple(rows)
        self._rows, self._plan, self._clip_s = shown, plan, clip_s
        if len(self._lines) != len(shown):
            self._lines = [CandidateLine(index) for index in range(len(shown))]
            container = self.query_one("#bars")
            container.remove_children()
            container.mount_all(self._lines)
        for line, row in zip(self._lines, shown, strict=True):
            line.explain(row)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Let the clocks of rows at work move on."""
        width = self.query_one("#bars").scrollable_content_region.width
        moving = self.app.animation_level != "none"
        self._now = now
        self._table = table = Table(
            self._rows, width, self._plan.runs, self._clip_s, now, self.sort, self.backwards, moving, self._selected
        )
        self.query_one(RaceHeader).show([span for span, _ in table.header()])
        for index, line in enumerate(self._lines):
            line.show(table.line(index))
            line.set_class(self._rows[index].candidate == self._selected, "-selected")
        if self._snapshot is not None and not self._snapshot.ended:
            found = progress(self._snapshot, self._plan, self._clip_s, now)
            share = found.done / found.total if found.total else 0.0
            done = round(share * width)
            self.query_one("#verdict", Static).update(Content.styled("━" * done + "╌" * (width - done), STYLE_NOW))

    def lay_out(self) -> None:
        """Its rows have another width."""
        self.tick(self._now)

    # Which row is meant, and in which order they stand.

    @property
    def selected(self) -> int:
        """Which row is selected, from above; the first one where nobody has selected any."""
        names = [row.candidate for row in self._rows]
        return names.index(self._selected) if self._selected in names else 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they stand."""
        return self._rows

    @property
    def runs(self) -> int:
        """Timed runs of each."""
        return self._plan.runs

    def select(self, index: int) -> None:
        """Select the row at this place, and have it in sight."""
        if self._rows:
            index = max(0, min(len(self._rows) - 1, index))
            self._selected = self._rows[index].candidate
            self.tick(self._now)
            self._lines[index].scroll_visible(animate=False)
            self.post_message(self.Selected())

    def action_select(self, step: int) -> None:
        self.select(self.selected + step if self._selected or step != 1 else 0)

    def sort_by(self, column: str) -> None:
        """Sort by a column, the other way round where that is so already. It shows once the race has ended."""
        self.backwards = column == self.sort and not self.backwards
        self.sort = column
        if self._snapshot is not None:
            self._fill(self._snapshot.ordered(), self._plan, self._clip_s, self._now)
        self.tick(self._now)

    def next_sort(self) -> None:
        """Sort by the next of the columns that are shown."""
        shown = [name for name in SORTS if name in self._table.widths or name in ("state", "name")]
        at = shown.index(self.sort) if self.sort in shown else -1
        self.sort = self.sort if self.sort in shown else ""
        self.sort_by(shown[(at + 1) % len(shown)])

    async def on_click(self, event: events.Click) -> None:
        if isinstance(event.widget, RaceHeader):
            at = 0
            for (text, _), column in self._table.header():
                at += len(text)
                if event.x < at:
                    if column:
                        self.sort_by(column)
                    break
        elif isinstance(event.widget, CandidateLine):
            self.select(event.widget.index)
            if event.chain == 2:
                await self.screen.run_action("details")


def explanation(row: Row) -> Content | None:
    """Error and warnings of a row in full, as its tooltip: the line may be cut, and has no room for warnings."""
    lines = [f"{row.label}: {row.error.advice.what}", row.error.advice.todo] if row.error else []
    if row.warnings and not lines:
        lines = [row.label]
    lines += [f"{REMARK} {warning}" for warning in row.warnings]
    # As content, not markup: what libraries write may have brackets in it.
    return Content("\n".join(filter(None, lines))) if lines else None
