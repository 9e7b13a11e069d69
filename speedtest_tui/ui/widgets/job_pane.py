"""What a background job is doing to models: a line for each of its rows, with a bar where its share is known."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from speedtest_tui.ui.jobs import JobRow, JobState, JobView
from speedtest_tui.ui.widgets.bar_layout import (
    FILL_NOW,
    STYLE_BEST,
    STYLE_FAILED,
    STYLE_NEEDS_YOU,
    STYLE_NOW,
    Span,
    bar,
)
from speedtest_tui.ui.widgets.line_text import column, fit

GLYPHS: dict[JobState, tuple[str, str]] = {
    "waiting": ("·", ""),
    "running": ("▶", STYLE_NOW),
    "done": ("✓", STYLE_BEST),
    "failed": ("✗", STYLE_FAILED),
    "cancelled": ("–", STYLE_NEEDS_YOU),
    "skipped": ("–", ""),
}


def job_line(row: JobRow, width: int) -> list[Span]:
    """One row in `width` cells: text, bar, figures or message."""
    glyph, style = GLYPHS[row.state]
    said = row.message or row.figures or row.state
    cells = max(0, min(24, width - 72)) if row.state == "running" and row.share is not None else 0
    room = max(0, width - 2 - cells - (1 if cells else 0))
    # What it is about and what is said of it share the line; whichever is short leaves its room to the other.
    text = max(room - cell_len(said) - 2, min(room * 3 // 5, cell_len(row.text) + 2))
    text = min(text, cell_len(row.text) + 2)
    spans: list[Span] = [(f"{glyph} ", style), (column(fit(row.text, text - 2), text), "")]
    if cells and row.share is not None:
        spans += [(bar(row.share, cells), FILL_NOW), (" ", "")]
    spans.append((fit(said, max(0, room - text)), style))
    return spans


class JobLines(Widget):
    """The rows."""

    DEFAULT_CSS = "JobLines { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._view: JobView | None = None

    def show(self, view: JobView) -> None:
        grown = self._view is None or len(self._view.rows) != len(view.rows) or view.over
        self._view = view
        self.refresh(layout=grown)

    def render(self) -> Content:
        if self._view is None:
            return Content()
        lines = [Content.assemble(*job_line(row, self.size.width)) for row in self._view.rows]
        if self._view.over:
            style = STYLE_NEEDS_YOU if self._view.problem else "bold"
            lines.append(Content.styled(self._view.sentence, style))
        return Content("\n").join(lines)


class JobPane(VerticalScroll):
    """A job in a frame; hidden until there is one."""

    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="job")
        self.display = False
        self._lines = JobLines()

    def compose(self) -> ComposeResult:
        yield self._lines

    def show(self, view: JobView) -> None:
        """Show the state of a job; the row at work stays in sight."""
        self.display = True
        self.border_title = Content(view.title).markup
        self.border_subtitle = "" if view.over else "esc cancels"
        self._lines.show(view)
        if view.over:
            self.call_after_refresh(self.scroll_end, animate=False)
        at = next((index for index, row in enumerate(view.rows) if row.state == "running"), None)
        if at is not None and not (self.scroll_y <= at < self.scroll_y + max(1, self.size.height)):
            self.scroll_to(y=max(0, at - 1), animate=False)
