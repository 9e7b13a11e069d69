"""How the race is laid out at a given width, as a table. Pure: rows and a width in, text and styles out.

A column is as wide as what stands in it, and at least so wide that nothing moves while figures come in. Which columns
there are is decided by width alone. The bars show speed, the longest for the fastest; the dots show every run by how
far it is from its row's median, on one scale for all rows, so that a run that is unlike the others stands apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, set_cell_size

from speedtest_tui.core import format as figures
from speedtest_tui.core.format import LOOKS, Mood
from speedtest_tui.core.race.row import (
    ACTIVE_PHASES,
    Row,
    look,
    next_run,
    place_mark,
    place_of,
    quality,
    quality_mood,
    quality_title,
    reason,
    relative,
    runs_done,
)
from speedtest_tui.core.race.statistics import rtfx
from speedtest_tui.ui.widgets.line_text import fit, fit_middle

EIGHTHS = " ▏▎▍▌▋▊▉"
LEVELS = " ▁▂▃▄▅▆▇█"
"""Parts of a cell from the left, and from the bottom."""

CURSOR = "▸"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

BAR_MIN, BAR_WANTED, BAR_MAX = 8, 15, 48
DOTS_MIN, DOTS_MAX = 12, 20

NAME_MIN, NAME_WANTED = 13, 30
GAP = 2
MARK = 4
"""Cells of what is recommended ("★"), of the glyph or rank ("1="), and the space behind it."""

Span = tuple[str, str]
"""Text and the style it is drawn in; an empty style is the widget's own."""

STYLE_NOW, STYLE_BEST, STYLE_NEEDS_YOU, STYLE_FAILED = "$text-accent", "$text-success", "$text-warning", "$text-error"
FILL_NOW, FILL_BEST, FILL_QUIET = "$accent", "$success", "$primary"
"""For text, whose contrast the theme takes care of, and for areas."""

STYLES: dict[Mood, str] = {
    "good": STYLE_BEST, "now": STYLE_NOW, "needs-you": STYLE_NEEDS_YOU, "bad": STYLE_FAILED, "quiet": "",
}  # fmt: skip
"""How each mood is drawn, on every screen."""


def _errors(row: Row) -> float | None:
    return row.wer if row.wer is not None else None if row.agreement is None else 1 - row.agreement


SORTS: dict[str, Callable[[Row], object]] = {
    "state": place_of,
    "name": lambda row: row.label,
    "median": lambda row: row.median_s,
    "rtfx": lambda row: row.median_s,
    "quality": _errors,
    "memory": lambda row: row.peak_memory or None,
    "first": lambda row: row.first_s,
    "load": lambda row: row.load_s,
    "import": lambda row: row.import_s,
}
"""By what rows can be sorted, the best first; those without a value come last. "state" is the order of rank."""


def sorted_rows(rows: Sequence[Row], column: str, *, backwards: bool = False) -> tuple[Row, ...]:
    """The rows, which stand in order of rank, by another column."""
    value = SORTS[column]
    known = [row for row in rows if value(row) is not None]
    order = sorted(known, key=value, reverse=backwards)  # type: ignore[arg-type]
    return (*order, *(row for row in rows if value(row) is None))


LEAST_REACH = 0.02
"""Runs that differ less are as good as alike: the scale of the dots does not make more of them."""

SPREAD = 6
"""Cells of half an interval: "±0.003"."""

MINIMUM = {"median": 8, "±": 15, "quality": 6, "state": 13, "rtfx": 6, "memory": 8, "first": 8, "load": 8, "import": 8}
TITLES = {
    "name": "candidate", "import": "import", "load": "load", "first": "first", "bar": "speed", "median": "median",
    "rtfx": "RTFx", "memory": "memory", "state": "state",
}  # fmt: skip
ORDER = ("import", "load", "first", "bar", "dots", "median", "rtfx", "quality", "memory", "state")
"""The columns behind the name, from left to right."""


@dataclass(frozen=True)
class Table:
    """All rows of a race at one moment, to be drawn in `width` cells.

    runs: timed runs of each; clip_s: seconds of the clip, 0 where it is not known
    sort: the column by which rows are sorted; moving: whether a spinner may turn; selected: a candidate, or ""
    """

    rows: tuple[Row, ...]
    width: int
    runs: int
    clip_s: float = 0.0
    now: float = 0.0
    sort: str = "state"
    backwards: bool = False
    moving: bool = True
    selected: str = ""

    @cached_property
    def medians(self) -> list[float | None]:
        return [row.median_s for row in self.rows]

    @cached_property
    def cells(self) -> list[dict[str, str]]:
        """What stands in the columns of each row that are plain text."""
        return [self._cells(row, median) for row, median in zip(self.rows, self.medians, strict=True)]

    def _cells(self, row: Row, median: float | None) -> dict[str, str]:
        speed = row.rtfx or (rtfx(self.clip_s, median) if self.clip_s and median else None)
        spread = figures.half_width(row.median.low, row.median.high) if row.median else ""
        found = {
            "import": figures.seconds(row.import_s),
            "load": figures.seconds(row.load_s),
            "first": figures.seconds(row.first_s),
            "median": figures.seconds(median),
            "rtfx": figures.rtfx(speed),
            "quality": quality(row),
            "memory": figures.megabytes(row.peak_memory / 1e6 if row.peak_memory else None),
        }
        if not row.status:  # what is not known yet is no more than an empty cell
            found = {name: "" if text == figures.DASH else text for name, text in found.items()}
        # The median keeps its place when its interval comes.
        spread = f"{found['median']} {spread:{SPREAD}}" if row.median else found["median"] + " " * (SPREAD + 1)
        return {**found, "±": spread, "name": row.label, "state": self.state(row)}

    @cached_property
    def widths(self) -> dict[str, int]:
        """Cells of the columns that there are, in order of their importance."""

        def need(name: str) -> int:
            return max((cell_len(cells[name]) for cells in self.cells), default=0)

        least = {name: max(cells, need(name) if name != "state" else 0) for name, cells in MINIMUM.items()}
        found: dict[str, int] = {}
        room, full = self.width - MARK, False
        # A name may take what is left by the two figures that matter most.
        figures_too = least["median"] + least["quality"] + 2 * GAP
        found["name"] = max(NAME_MIN, min(need("name") + 1, NAME_WANTED, room - figures_too))
        room -= found["name"]

        def add(name: str, least: int, most: int = 0) -> None:
            """Make a column at least so wide, where there is room for that, and up to `most`.

            Where one has no room, none that matters less comes.
            """
            nonlocal room, full
            have = found.get(name, -GAP)
            full = full or (have < 0 and room < least - have)
            if room >= least - have and max(least, most) > have and not (full and have < 0):
                found[name] = min(have + room, max(least, most))
                room -= found[name] - have

        for name in ("median", "quality", "state", "rtfx"):
            add(name, least[name])
        add("bar", BAR_MIN)
        if "median" in found:
            add("median", max(least["±"], found["median"]))
        add("dots", DOTS_MIN)
        if "bar" in found:
            add("bar", 0, BAR_WANTED)
        for name in ("first", "memory"):
            add(name, least[name])
        add("name", 0, need("name") + 1)
        for name in ("load", "import"):
            add(name, least[name])
        for name, most in (("dots", DOTS_MAX), ("bar", BAR_MAX)):
            if name in found:
                add(name, 0, most)
        return found

    @cached_property
    def reach(self) -> float:
        """By which share of its median the farthest run of all differs from it: what the dots' scale reaches to."""
        both = [(row.runs_s, middle) for row, middle in zip(self.rows, self.medians, strict=True) if middle]
        return min(
            1.0, max([LEAST_REACH, *(max(max(runs) / middle - 1, 1 - min(runs) / middle) for runs, middle in both)])
        )

    @cached_property
    def fastest_s(self) -> float:
        return min((median for median in self.medians if median), default=0.0)

    def header(self) -> list[tuple[Span, str]]:
        """The titles above the rows, aligned as their columns are; with each the column that it sorts by, or ""."""
        arrow = "▴" if self.backwards else "▾"
        found: list[tuple[Span, str]] = [((" " * MARK, ""), "")]
        for name in ("name", *ORDER):
            cells = self.widths.get(name, 0)
            if not cells:
                continue
            if name == "dots":
                title = f"runs ±{figures.percent(self.reach)}"
            else:
                title = quality_title(self.rows) if name == "quality" else TITLES[name]
                title += " ±95 %" if name == "median" and cells >= MINIMUM["±"] else ""
            if self.sort == name and name != "state":
                title += arrow
            left = name in ("name", "bar", "dots", "state")
            text = fit(title, cells) if left else right(fit(title, cells), cells)
            gap = "" if name == "name" else " " * GAP
            found.append(((gap + set_cell_size(text, cells), ""), name if name in SORTS else "state"))
        return found

    def line(self, index: int) -> list[Span]:
        """One row, as spans of `width` cells or less."""
        row, median, cells, widths = self.rows[index], self.medians[index], self.cells[index], self.widths
        spans = [self.mark(row), *_name(row, widths["name"])]
        used = sum(cell_len(text) for text, _ in spans)
        if row.status not in ("", "ok") and not row.runs_s:
            style = STYLES[look(row).mood]
            return [*spans, (" " * GAP, ""), (fit(outcome(row), self.width - used - GAP), style)]
        for name in ORDER:
            size = widths.get(name, 0)
            if not size:
                continue
            spans.append((" " * GAP, ""))
            if name == "bar":
                spans.append((speed_bar(self.fastest_s / median if median else 0.0, size), _fill(row)))
            elif name == "dots":
                spans.append((dots(row.runs_s, median or 0.0, self.reach, size), ""))
            elif name == "median":
                spans.append((right(cells["±" if size >= MINIMUM["±"] else name], size), ""))
            elif name == "state":
                style = STYLE_NOW if row.phase in ACTIVE_PHASES else STYLE_BEST if row.rank == 1 else ""
                style = style if row.status in ("", "ok") else STYLES[look(row).mood]
                spans.append((set_cell_size(fit(cells[name], size), size), style))
            else:
                style = STYLES[quality_mood(row)] if name == "quality" else ""
                spans.append((right(cells[name], size), style))
        return spans

    def mark(self, row: Row) -> Span:
        """The glyph before a row: its rank once there is one, a spinner while it is at work, else its state."""
        shown = look(row)
        turning = self.moving and not row.status and row.phase in ACTIVE_PHASES
        glyph = SPINNER[int(self.now * 8) % len(SPINNER)] if turning else shown.glyph
        text, style = f" {glyph}", STYLES[shown.mood]
        if row.rank:
            text, style = place_mark(row), STYLE_BEST if row.rank == 1 or row.recommended else ""
        text = set_cell_size(text, MARK)
        return (f"{text[:-1]}{CURSOR}" if row.candidate == self.selected and text.endswith(" ") else text), style

    def state(self, row: Row) -> str:
        """What a row is doing and for how long, or how it ended; in few cells."""
        size, done = MINIMUM["state"], runs_done(row, self.runs)
        if row.status not in ("", "ok"):
            return f"{done}/{self.runs} runs" if done < self.runs else LOOKS[row.status].word
        if row.phase in ACTIVE_PHASES:
            # A pulse warms up as well, for the run that comes at once.
            timed = row.phase == "running" or (row.phase == "warming" and done)
            word = f"run {next_run(row, self.runs)}/{self.runs}" if timed else DOING[row.phase]
            clock = f"{word} {figures.ticking(self.now - row.since)}"
            return word if len(clock) > size or row.phase == "preparing" else clock
        if row.rank:
            return relative(row)
        if done:
            return f"{done}/{self.runs} runs"
        return {"loaded": "loaded", "resting": "warm", "ended": "finished"}.get(row.phase, "waiting")


DOING = {
    "preparing": "finding model", "starting": "start", "importing": "import", "loading": "load", "warming": "warm-up",
}  # fmt: skip

REMARK = "!"
"""After the name of a row with warnings, such as that other weights ran; it stands before each of them elsewhere."""


def _name(row: Row, width: int) -> list[Span]:
    """A row's label, cut in its middle where it is too long: both ends say something."""
    text = fit_middle(row.label, width - 1)
    rest = " " * max(0, width - cell_len(text) - 1)
    return [(text, "bold"), (REMARK if row.warnings else " ", STYLE_NEEDS_YOU), (rest, "")]


def _fill(row: Row) -> str:
    if row.phase in ACTIVE_PHASES:
        return FILL_NOW
    return FILL_BEST if row.rank == 1 else FILL_QUIET


def bar(share: float, cells: int) -> str:
    """A bar of eighth blocks: `share` of `cells`, at least one eighth for anything above nothing."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells)


def speed_bar(share: float, cells: int) -> str:
    """A bar of half the height of its line, so that it stays apart from its neighbours; it grows by half cells."""
    halves = max(1, round(min(1.0, share) * cells * 2)) if share > 0 else 0
    return ("▄" * (halves // 2) + "▖" * (halves % 2)).ljust(cells)


DOT_BITS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""The dots of a braille cell, U+2800: its left column from below, and its right one."""


def dots(runs: Sequence[float], middle: float, reach: float, cells: int) -> str:
    """A dot for each run: their median in the middle, `reach` as a share of it at both ends. Dots of one place are
    piled up; from the fourth on they are one."""
    piles = [0] * (cells * 2)
    for run in runs:
        share = max(-1.0, min(1.0, (run / middle - 1) / reach))
        piles[int((share + 1) / 2 * (cells * 2 - 1) + 0.5)] += 1
    found = []
    for cell in range(cells):
        bits = sum(sum(column[: piles[cell * 2 + side]]) for side, column in enumerate(DOT_BITS))
        found.append(chr(0x2800 + bits) if bits else " ")
    return "".join(found)


def right(text: str, width: int) -> str:
    """Text against the right edge of a column."""
    return " " * max(0, width - cell_len(text)) + text if cell_len(text) <= width else set_cell_size(text, width)


def outcome(row: Row) -> str:
    """How a row ended without a result, and what to do about it in the dashboard."""
    if row.status != "missing-model" or (row.error and row.error.kind not in LOOKS):
        return reason(row)
    shown = look(row)
    # What is damaged is repaired among the caches.
    return f"{shown.word} · press {'c' if shown.mood == 'bad' else 'd'}"
