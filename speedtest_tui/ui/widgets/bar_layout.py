"""How one row of the race is laid out at a given width. Pure: widths in, text and styles out; no widget in here.

The columns and their order of importance: name, bar, time, RTFx, WER where there is one, relative speed; then, as width
allows, memory, first, load, import. The bar takes what is left, up to BAR_MAX cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from speedtest_tui.core import format as figures
from speedtest_tui.core.format import LOOKS, Mood
from speedtest_tui.core.race.row import (
    ACTIVE_PHASES,
    Row,
    look,
    place_mark,
    quality,
    quality_mood,
    quality_title,
    reason,
    relative,
)
from speedtest_tui.ui.widgets.line_text import fit

EIGHTHS = " ▏▎▍▌▋▊▉"
LEVELS = " ▁▂▃▄▅▆▇█"
"""Parts of a cell from the left, and from the bottom."""

BAR_MIN, BAR_MAX = 12, 60
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


@dataclass(frozen=True)
class Columns:
    """Widths in cells of the columns that fit; 0 for one that does not."""

    name: int
    bar: int
    time: int
    rtfx: int
    wer: int
    relative: int
    memory: int
    first: int
    load: int
    imported: int


def columns(width: int, wer: bool = False) -> Columns:
    """Choose columns for a row of `width` cells; `wer`: whether any row has an error rate."""
    name = 15 if width >= 70 else 13
    time, rtfx, relative = 17, 7, 13
    rates = 6 if wer else 0
    chosen = {"memory": 0, "first": 0, "load": 0, "imported": 0}

    def left() -> int:
        shown = [name, time, rtfx, rates, relative, *(size for size in chosen.values() if size)]
        return width - MARK - sum(size + GAP for size in shown if size)

    if left() < BAR_MIN:
        relative = 0
    if left() < BAR_MIN:
        rtfx = 0
    if left() < BAR_MIN:
        rates = 0
    for column in chosen:
        chosen[column] = 8
        if left() < BAR_MIN + 10:
            chosen[column] = 0
            break
    return Columns(name, max(0, min(BAR_MAX, left())), time, rtfx, rates, relative, **chosen)


def bar(share: float, cells: int) -> str:
    """A bar of eighth blocks: `share` of `cells`, at least one eighth for anything above nothing."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells)


def right(text: str, width: int) -> str:
    """Text against the right edge of a column."""
    return " " * max(0, width - cell_len(text)) + text if cell_len(text) <= width else set_cell_size(text, width)


def header(width: int, quality: str = "") -> str:
    """The titles above the rows, aligned as their columns are."""
    c = columns(width, bool(quality))
    titles = [
        " " * MARK + set_cell_size("backend", c.name),
        right("import", c.imported) if c.imported else "",
        right("load", c.load) if c.load else "",
        right("first", c.first) if c.first else "",
        set_cell_size("run", c.bar),
        right("median ±95 %", c.time),
        right("RTFx", c.rtfx) if c.rtfx else "",
        right(quality, c.wer) if c.wer else "",
        right("memory", c.memory) if c.memory else "",
        "relative" if c.relative else "",
    ]
    return set_cell_size((" " * GAP).join(title for title in titles if title), width)


@dataclass(frozen=True)
class Scale:
    """What a full bar stands for, in seconds: the slowest run, and the longest wait of each kind so far.

    quality: what the rows' error rates or agreements are called, so that all leave room for them; "" without any
    """

    run_s: float
    wait_s: float
    quality: str = ""


def scale_of(rows: Sequence[Row], now: float) -> Scale:
    """One scale for all rows, so that their bars can be compared; it grows with a run that takes longer."""
    runs = [row.median_s or 0.0 for row in rows]
    runs += [now - row.since for row in rows if row.phase == "running"]
    waits = [value or 0.0 for row in rows for value in (row.import_s, row.load_s, row.first_s)]
    waits += [now - row.since for row in rows if row.phase in ACTIVE_PHASES and row.phase != "running"]
    return Scale(max(runs, default=0.0) or 1.0, max(*waits, 1.0) if waits else 1.0, quality_title(rows))


def line(row: Row, width: int, runs: int, now: float, scale: Scale) -> list[Span]:
    """One row as spans that are `width` cells wide or narrower."""
    c = columns(width, bool(scale.quality))
    glyph, style = mark(row)
    spans: list[Span] = [(set_cell_size(glyph, MARK), style), (set_cell_size(row.label, c.name), "bold")]

    def add(text: str, style: str = "") -> None:
        spans.append((" " * GAP, ""))
        spans.append((text, style))

    for size, value in ((c.imported, row.import_s), (c.load, row.load_s), (c.first, row.first_s)):
        if size:
            add(right(figures.seconds(value), size))
    used = sum(cell_len(text) for text, _ in spans)
    if row.status not in ("", "ok"):
        add(fit(outcome(row), width - used - GAP), style)
        return spans
    add(bar(_share(row, now, scale), c.bar), _bar_style(row))
    add(right(_time(row, runs, now), c.time), STYLE_NOW if row.phase in ACTIVE_PHASES else "")
    if c.rtfx:
        add(right(figures.rtfx(row.rtfx), c.rtfx))
    if c.wer:
        add(right(quality(row), c.wer), STYLES[quality_mood(row)])
    if c.memory:
        add(right(figures.megabytes(row.peak_memory / 1e6 if row.peak_memory else None), c.memory))
    if c.relative:
        add(set_cell_size(relative(row), c.relative), STYLE_BEST if row.rank == 1 else "")
    return spans


def mark(row: Row) -> Span:
    """The glyph before a row: its rank once there is one, else its state."""
    if row.rank:
        return place_mark(row), STYLE_BEST if row.rank == 1 or row.recommended else ""
    shown = look(row)
    return f" {shown.glyph}", STYLES[shown.mood]


def outcome(row: Row) -> str:
    """How a row ended without a result, and what to do about it in the dashboard."""
    if row.status != "missing-model" or (row.error and row.error.kind not in LOOKS):
        return reason(row)
    shown = look(row)
    # What is damaged is repaired among the caches.
    return f"{shown.word} · press {'c' if shown.mood == 'bad' else 'd'}"


def _share(row: Row, now: float, scale: Scale) -> float:
    if row.phase == "running":
        return (now - row.since) / scale.run_s
    if row.phase in ACTIVE_PHASES:
        return (now - row.since) / scale.wait_s
    return (row.median_s or 0.0) / scale.run_s


def _bar_style(row: Row) -> str:
    if row.phase in ACTIVE_PHASES:
        return FILL_NOW
    return FILL_BEST if row.rank == 1 else FILL_QUIET


def _time(row: Row, runs: int, now: float) -> str:
    """What a row is doing and for how long, or its median and interval."""
    elapsed = figures.ticking(now - row.since)
    if row.phase == "running":
        return f"run {len(row.runs_s) + 1}/{runs} {elapsed}"
    if row.phase == "preparing":
        return "finding the model"
    if row.phase in ACTIVE_PHASES:
        return f"{'warm-up' if row.phase == 'warming' else row.phase} {elapsed}"
    if row.runs_s:
        spread = f" {figures.half_width(row.median.low, row.median.high)}" if row.median else ""
        return (
            f"{figures.seconds(row.median_s)}{spread}"
            if row.phase == "ended"
            else (f"{len(row.runs_s)}/{runs} {figures.seconds(row.median_s)}")
        )
    return {"loaded": "loaded", "resting": "warm", "ended": "finished"}.get(row.phase, "waiting")
