"""What a job is doing to models: a line for each of its rows, with a bar where its share is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from speedtest_tui.core.format import LOOKS, one_line
from speedtest_tui.core.jobs.job import JobRow, JobView, words
from speedtest_tui.ui.widgets.bar_layout import FILL_NOW, STYLE_FAILED, STYLE_NEEDS_YOU, STYLES, Span, bar
from speedtest_tui.ui.widgets.line_text import column, fit, wrap

if TYPE_CHECKING:
    from speedtest_tui.core.jobs.repair import Repaired


def job_line(row: JobRow, note: str, width: int) -> list[Span]:
    """One row in `width` cells: title, bar, and its note."""
    glyph, _, mood = LOOKS[row.state]
    share = row.share if row.state == "running" else None
    cells = max(0, min(24, width - 72)) if share is not None else 0
    room = max(0, width - 2 - cells - (1 if cells else 0))
    # Title and note share the line; whichever is short leaves its room to the other.
    title = max(room - cell_len(note) - 2, min(room * 3 // 5, cell_len(row.title) + 2))
    title = min(title, cell_len(row.title) + 2)
    spans: list[Span] = [(f"{glyph} ", STYLES[mood]), (column(fit(row.title, title - 2), title), "")]
    if cells and share is not None:
        spans += [(bar(share, cells), FILL_NOW), (" ", "")]
    spans.append((fit(note, max(0, room - title)), STYLES[mood]))
    return spans


def job_lines(row: JobRow, width: int) -> list[Content]:
    """The same, with as many further lines as a failure needs: it says what to do, and that must not be cut off."""
    note = words(row)
    if row.state != "failed" or cell_len(row.title) + cell_len(note) + 4 <= width:
        return [Content.assemble(*job_line(row, note, width))]
    first = Content.assemble(*job_line(row, " ", width))
    return [first, *(Content.styled(f"    {line}", STYLE_FAILED) for line in wrap(one_line(note), width - 4))]


def summary(view: JobView) -> str:
    """How a job ended; of a repair that replaced something also how to take it back."""
    entry = cast("Repaired", view.result).progress.entry if view.kind == "repair" and view.result else ""
    return f"{view.summary} · u undoes what was replaced" if entry else view.summary


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
        """For the width that it is going to have, which is not yet its own when it is laid out again."""
        return len(self._drawn(width))

    def render(self) -> Content:
        return Content("\n").join(self._drawn(self.size.width))

    def _drawn(self, width: int) -> list[Content]:
        if self._view is None or width <= 0:
            return []
        lines = [line for row in self._view.rows for line in job_lines(row, width)]
        if self._view.over and self._view.summary:
            style = STYLE_NEEDS_YOU if self._view.needs_you else "bold"
            lines += [Content.styled(line, style) for line in wrap(one_line(summary(self._view)), width)]
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
        self.border_title = Content(f"{view.title} {view.subject}".rstrip()).markup
        self.border_subtitle = "" if view.over else "esc cancels"
        self._lines.show(view)
        if view.over:
            self.call_after_refresh(self.scroll_end, animate=False)
        at = next((index for index, row in enumerate(view.rows) if row.state == "running"), None)
        if at is not None and not (self.scroll_y <= at < self.scroll_y + max(1, self.size.height)):
            self.scroll_to(y=max(0, at - 1), animate=False)
