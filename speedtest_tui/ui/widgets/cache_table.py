"""The list of the cache screen: problems with their fixes, or everything that is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable

from speedtest_tui.core.caches.wording import Mood
from speedtest_tui.ui.screens.cache_rows import ProblemLine, StoredLine
from speedtest_tui.ui.widgets.line_text import fit, printable

Cells = tuple[str, ...]

VARIABLES: dict[Mood, str] = {
    "good": "text-success",
    "now": "text-accent",
    "needs-you": "text-warning",
    "bad": "text-error",
}
"""The theme's colours; DataTable draws Rich's text, which does not know them by name."""


def problem_widths(room: int) -> dict[str, int]:
    """Cells of each column; model and fix share what is left."""
    widths = {" ": 3, "state": 14, "cache": 7 if room >= 90 else 0}
    left = room - sum(width + 2 for width in widths.values() if width) - 4
    model = max(12, min(44, left * 2 // 5))
    return {" ": 3, "state": 14, "model": model, "cache": widths["cache"], "fix": max(10, left - model)}


def problem_cells(line: ProblemLine, chosen: bool) -> Cells:
    """As many cells as there are columns, those that are not shown included."""
    box = "" if line.step is None else "[x]" if chosen else "[ ]"
    return (box, f"{line.glyph} {line.word}", line.model, line.cache, line.fix)


def stored_widths(room: int) -> dict[str, int]:
    widths = {"kind": 10, "cache": 7, "files": 7 if room >= 90 else 0, "size": 9, "changed": 10 if room >= 100 else 0}
    left = room - sum(width + 2 for width in widths.values() if width) - 2
    return {"name": max(12, left), **widths}


def stored_cells(line: StoredLine) -> Cells:
    name = f"✗ {line.name}" if line.faults else line.name
    return (name, line.what, line.cache, line.files, line.size, line.when)


class CacheTable(DataTable[Text]):
    """Rows by key: shown anew, the cursor stays on its row and that row at its place on the screen.

    coloured: the number of the column that is drawn in the colour of the row's mood
    """

    class WidthChanged(Message):
        """Fill it again."""

    def __init__(self, name: str, title: str, coloured: int) -> None:
        super().__init__(id=name, cursor_type="row")
        self.border_title = title
        self._coloured = coloured
        self._rows: dict[str, Cells] = {}
        self._moods: dict[str, Mood] = {}
        self._widths: dict[str, int] = {}

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._fill(self._rows, self._widths))

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())

    @property
    def here(self) -> str:
        """The key of the row under the cursor, or nothing."""
        if not self.row_count:
            return ""
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value or ""

    def show_problems(self, lines: Sequence[ProblemLine], chosen: Mapping[str, bool]) -> None:
        """Problems with their boxes."""
        rows = {line.key: problem_cells(line, chosen.get(line.key, False)) for line in lines}
        self._moods = {line.key: line.mood for line in lines}
        self._show(rows, problem_widths(self.scrollable_content_region.width))

    def show_stored(self, lines: Sequence[StoredLine]) -> None:
        """Everything."""
        rows = {line.key: stored_cells(line) for line in lines}
        self._moods = {line.key: "needs-you" if line.faults else "quiet" for line in lines}
        self._show(rows, stored_widths(self.scrollable_content_region.width))

    def _show(self, rows: dict[str, Cells], widths: dict[str, int]) -> None:
        same = widths == self._widths
        if same and list(rows) == list(self._rows):
            self._update(rows)
        elif same and list(rows)[: len(self._rows)] == list(self._rows):
            known = len(self._rows)
            self._update({key: rows[key] for key in self._rows})
            self._add(dict(list(rows.items())[known:]))
        else:
            self._fill(rows, widths)
        self._rows = rows

    def _fill(self, rows: dict[str, Cells], widths: dict[str, int]) -> None:
        here = self.here
        row, above = self.cursor_row, self.cursor_row - self.scroll_offset.y
        self.clear(columns=True)
        self._widths = widths
        for name, width in widths.items():
            if width:
                self.add_column(name, width=width, key=name)
        self._add(rows)
        if self.row_count:
            row = self.get_row_index(here) if here in rows else min(row, self.row_count - 1)
            self.move_cursor(row=row, scroll=False)
            self.call_after_refresh(self.scroll_to, y=max(0, row - above), animate=False)

    def _add(self, rows: Mapping[str, Cells]) -> None:
        for key, cells in rows.items():
            self.add_row(*self._drawn(key, cells), key=key)

    def _update(self, rows: Mapping[str, Cells]) -> None:
        names = [name for name, width in self._widths.items() if width]
        for key, cells in rows.items():
            if cells != self._rows.get(key):
                for name, text in zip(names, self._drawn(key, cells), strict=True):
                    self.update_cell(key, name, text)

    def _drawn(self, key: str, cells: Cells) -> Iterator[Text]:
        for at, (text, width) in enumerate(zip(cells, self._widths.values(), strict=True)):
            if width:
                style = self._style(self._moods.get(key, "quiet")) if at == self._coloured else ""
                yield Text(fit(printable(text), width), style, no_wrap=True)

    def _style(self, mood: Mood) -> Style | str:
        if mood not in VARIABLES:
            return ""
        return Style(color=Color.parse(self.app.theme_variables[VARIABLES[mood]]).rich_color)
