"""What a background job is doing to models: a line for each of its rows, with a bar where its share is known."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from speedtest_tui.ui.widgets.bar_layout import (
    FILL_NOW,
    STYLE_BEST,
    STYLE_FAILED,
    STYLE_NEEDS_YOU,
    STYLE_NOW,
    Span,
    bar,
)
from speedtest_tui.ui.widgets.line_text import column, fit, printable, wrap
from speedtest_tui.ui.workers.jobs import JobRow, JobState, JobView

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


def job_lines(row: JobRow, width: int) -> list[Content]:
    """The same, with as many further lines as a failure needs: it says what to do, and that must not be cut off."""
    if row.state != "failed" or cell_len(row.text) + cell_len(row.message) + 4 <= width:
        return [Content.assemble(*job_line(row, width))]
    first = Content.assemble(*job_line(replace(row, message=" "), width))
    return [first, *(Content.styled(f"    {line}", STYLE_FAILED) for line in wrap(printable(row.message), width - 4))]


class JobLines(Widget):
    """The rows."""

    DEFAULT_CSS = "JobLines { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._view: JobView | None = None

    def show(self, view: JobView) -> None:
        grown = self._view is None or [row.state for row in self._view.rows] != [row.state for row in view.rows]
        grown = grown or view.over
        self._view = view
        self.refresh(layout=grown)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """For the width that it is going to have, which is not yet its own when it is laid out anew."""
        return len(self._drawn(width))

    def render(self) -> Content:
        return Content("\n").join(self._drawn(self.size.width))

    def _drawn(self, width: int) -> list[Content]:
        if self._view is None or width <= 0:
            return []
        lines = [line for row in self._view.rows for line in job_lines(row, width)]
        if self._view.over and self._view.sentence:
            style = STYLE_NEEDS_YOU if self._view.problem else "bold"
            lines += [Content.styled(line, style) for line in wrap(printable(self._view.sentence), width)]
        return lines


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
