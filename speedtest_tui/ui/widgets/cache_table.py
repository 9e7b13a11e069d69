"""The tables of the cache screen, problems with their fixes and everything on disk, and the lines in them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable

from speedtest_tui.core.format import LOOKS, Look, Mood, amount, one_line
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.locations import short
from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.status import CACHE_NAMES, CacheName, CacheState
from speedtest_tui.core.repair.step import Note, Step
from speedtest_tui.ui.widgets.bar_layout import STYLES
from speedtest_tui.ui.widgets.line_text import fit

Cells = tuple[str, ...]


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
    """Rows by key: shown again, the cursor stays on its row and that row at its place on the screen.

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
                yield Text(fit(one_line(text), width), style, no_wrap=True)

    def _style(self, mood: Mood) -> Style | str:
        # DataTable draws Rich's text, which does not know the theme's colours by name.
        if not STYLES[mood]:
            return ""
        return Style(color=Color.parse(self.app.theme_variables[STYLES[mood].removeprefix("$")]).rich_color)


@dataclass(frozen=True)
class ProblemLine:
    """One problem: what it is, and the step that repairs it; `step` is None where nothing does."""

    key: str
    glyph: str
    word: str
    mood: Mood
    model: str
    cache: str
    fix: str
    details: tuple[str, ...]
    step: Step | None = None


def key_of(step: Step) -> str:
    """What stays the same when the caches are read again."""
    return f"{step.kind} {step.path} {step.target or ''}"


def problem_lines(overview: CacheOverview) -> tuple[ProblemLine, ...]:
    """All problems: those whose repair is proposed, then those whose repair is optional, then those without one.

    That a model is nowhere at all is no problem: `d` offers those.
    """
    plan = overview.plan
    steps = [*plan.chosen, *plan.offered]
    return (
        *(_of_step(step, overview) for step in steps),
        *(_of_note(note, overview) for note in plan.notes if note.cache),
    )


def _of_step(step: Step, overview: CacheOverview) -> ProblemLine:
    state = _state(overview, step.model, step.cache)
    if state is not None and state.state not in ("complete", "missing", "not-applicable"):
        glyph, word, mood = LOOKS[state.state]
        why = state.detail
    else:
        glyph, word, mood = LOOKS.get(step.kind, LOOKS["partial"])
        why = ""
    gain = f"frees {amount(step.free_bytes)} once the trash is emptied" if step.free_bytes else ""
    details = tuple(filter(None, (f"{step.model}: {why}" if why else "", step.what, short(step.path), gain)))
    name = step.short_name
    return ProblemLine(key_of(step), glyph, word, mood, name, CACHE_NAMES[step.cache], step.does, details, step)


def _of_note(note: Note, overview: CacheOverview) -> ProblemLine:
    state = _state(overview, note.model, note.cache) if note.cache else None
    plain = Look("·", "note", "quiet") if note.harmless else Look("✗", "note", "needs-you")
    glyph, word, mood = LOOKS[state.state] if state else plain
    cache = CACHE_NAMES[note.cache] if note.cache else ""
    key = f"note {note.model} {note.cache} {note.advice.what}"
    name = note.model.rpartition("/")[2]
    return ProblemLine(key, glyph, word, mood, name, cache, note.advice.todo, (note.advice.what, note.advice.todo))


def _state(overview: CacheOverview, model: str, cache: CacheName | None) -> CacheState | None:
    for report in overview.reports:
        for one in (report, report.fallback):
            if one is not None and one.spec is not None and one.spec.source == model and cache is not None:
                return one.state(cache)
    return None


@dataclass(frozen=True)
class StoredLine:
    """One thing in a cache."""

    key: str
    name: str
    cache: str
    what: str
    files: str
    size: str
    when: str
    faults: tuple[str, ...]


def stored_lines(overview: CacheOverview) -> tuple[StoredLine, ...]:
    """Everything in the caches, the largest first."""
    return tuple(_stored(row) for row in sorted(overview.stored, key=lambda row: -row.bytes))


def _stored(row: Stored) -> StoredLine:
    files = len(row.files) or len({file.place for snapshot in row.snapshots for file in snapshot.files})
    when = f"{datetime.datetime.fromtimestamp(row.modified):%Y-%m-%d}" if row.modified else ""
    what = row.kind if row.layout == "hub" and row.kind != "model" else row.layout
    faults = tuple(fault.detail for fault in row.faults)
    return StoredLine(
        str(row.path), row.name, CACHE_NAMES[row.cache], what, f"{files:,}", amount(row.bytes), when, faults
    )


def use_lines(uses: tuple[CacheUse, ...], trash_bytes: int) -> list[tuple[str, str, str, str]]:
    """Name, size, free space and place of each cache."""
    lines = []
    for use in uses:
        size = amount(use.bytes) if use.exists else "not there"
        free = f"{amount(use.free)} free" if use.free is not None else ""
        place = short(use.root)
        lines.append((CACHE_NAMES[use.cache], size, free, f"{place}  ✗ {use.problem.what}" if use.problem else place))
    if trash_bytes:
        lines.append(("trash", amount(trash_bytes), "", "t empties it"))
    return lines


def summary(overview: CacheOverview, lines: tuple[ProblemLine, ...]) -> str:
    """ "4 problems · 3.4 GB to download · 1.9 GB to gain"."""
    if not overview.done:
        return f"► reading, {len(overview.stored):,} found"
    problems = sum(line.step is None or not line.step.optional for line in lines)
    missing = sum(step.download_bytes or 0 for step in overview.plan.chosen)
    gain = sum(duplicate.reclaimable for duplicate in overview.duplicates)
    parts = [f"{problems} problem{'' if problems == 1 else 's'}" if problems else "✓ no problems found"]
    parts += [f"{amount(missing)} to download"] if missing else []
    parts += [f"{amount(gain)} in duplicates"] if gain else []
    return " · ".join(parts)
