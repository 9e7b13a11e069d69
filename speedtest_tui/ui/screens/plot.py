"""Speed over errors of a finished race, drawn with characters: further up is faster, further left is better.

`layout` is pure: points and a size in, lines of styled text out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from speedtest_tui.core import format as figures
from speedtest_tui.core.race.row import Row, errors_of
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_NOW, Span
from speedtest_tui.ui.widgets.line_text import fit, wrap

BEST, UNBEATEN, BEATEN = figures.LOOKS["recommended"].glyph, "●", "○"
KEY = ((BEST, "recommended"), (UNBEATEN, "unbeaten"), (BEATEN, "beaten"))
AXIS = 7
"""Cells of the figures beside the vertical axis, and of the axis."""

LOG_FROM = 10
"""Where the fastest is that many times as fast as the slowest, the axis is logarithmic."""

NAME_MAX = 24


@dataclass(frozen=True)
class Point:
    """A row: its speed, its share of wrong words, and whether it is recommended or nobody beats it in both."""

    name: str
    rtfx: float
    error: float
    recommended: bool = False
    pareto: bool = False

    @property
    def mark(self) -> Span:
        if self.recommended:
            return BEST, STYLE_BEST
        return (UNBEATEN, STYLE_NOW) if self.pareto else (BEATEN, "")


def points_of(rows: Sequence[Row]) -> list[Point]:
    """The ranked rows whose text could be judged, by a reference or else by agreement."""
    return [
        Point(figures.one_line(row.label), row.rtfx, error, row.recommended, row.pareto)
        for row in rows
        if row.rank and row.rtfx and row.rtfx > 0 and (error := errors_of(row, rows)) is not None
    ]


def layout(points: Sequence[Point], width: int, height: int, title: str = "WER") -> list[list[Span]]:
    """Lines of `width` cells, `height` of them. Every point is named: beside its mark, or below, behind a letter.

    What is recommended is placed first and drawn over what shares its cell.
    """
    order = sorted(points, key=lambda point: (not point.recommended, not point.pareto, -point.rtfx))
    below: list[str] = []
    cells: dict[tuple[int, int], Span] = {}
    while True:  # what has no room beside its mark is named below, which takes room from the plot
        cells, lettered = _drawn(order, width, height - len(below), title)
        lines = wrap(" ".join(f"{letter}={fit(name, NAME_MAX)}" for letter, name in lettered), width)
        room = max(1, height // 2)
        below, before = [*lines, *[""] * (len(below) - len(lines))][:room], len(below)
        if len(lines) <= before or before == room:
            break
    drawn = [list(_line(cells, y, width)) for y in range(height - len(below))]
    return [*drawn, *([(fit(line, width), "")] for line in below)]


def _line(cells: dict[tuple[int, int], Span], y: int, width: int) -> Iterator[Span]:
    x = 0
    while x < width:
        text, style = cells.get((x, y), (" ", ""))
        yield text, style
        x += max(1, cell_len(text))


def _drawn(
    order: Sequence[Point], width: int, height: int, title: str
) -> tuple[dict[tuple[int, int], Span], list[tuple[str, str]]]:
    """Texts and where they begin, and the names that found no room, each with the letter in place of its mark."""
    cells: dict[tuple[int, int], Span] = {}
    taken: set[tuple[int, int]] = set()
    top, rows, across = 1, max(1, height - 3), max(1, width - AXIS - 1)

    def put(x: int, y: int, text: str, style: str = "") -> None:
        cells[x, y] = text, style
        taken.update((x + step, y) for step in range(cell_len(text)))

    low, high = min(point.rtfx for point in order), max(point.rtfx for point in order)
    logarithmic = high > LOG_FROM * low
    bottom = low / 1.1 if logarithmic else 0.0
    high, most = high * 1.05, max(0.02, *(point.error for point in order)) * 1.05

    def place(point: Point) -> tuple[int, int]:
        share = math.log(point.rtfx / bottom) / math.log(high / bottom) if logarithmic else point.rtfx / high
        return AXIS + 1 + round(point.error / most * (across - 1)), top + round((1 - share) * (rows - 1))

    for step in range(rows):
        cells[AXIS - 1, top + step] = "│", "dim"
    cells[AXIS - 1, top + rows] = "└" + "─" * across, "dim"
    for share in (0.0, 0.5, 1.0):
        value = bottom * (high / bottom) ** share if logarithmic else high * share
        cells[0, top + round((1 - share) * (rows - 1))] = figures.rtfx(value).rjust(AXIS - 2), "dim"
        text = figures.percent(most * share)
        at = AXIS + 1 + round(share * (across - 1))
        cells[min(at, width - cell_len(text)), top + rows + 1] = text, "dim"
    heading = f"RTFx{' (log)' if logarithmic else ''}, up is faster · {title}, left is better"
    cells[0, 0] = fit(heading, width), "dim"

    groups: dict[tuple[int, int], list[Point]] = {}
    for point in order:
        groups.setdefault(place(point), []).append(point)
    for (x, y), group in groups.items():
        put(x, y, *group[0].mark)
    lettered = []
    letters = iter("abcdefghijklmnopqrstuvwxyz" * len(order))
    for (x, y), group in groups.items():
        name = ", ".join(fit(point.name, NAME_MAX) for point in group)
        size = cell_len(name)
        for start in (x + 2, x - size - 1):
            around = {(start + step, y) for step in range(-1, size + 1)} - {(x, y)}
            if start > AXIS and start + size <= width and not around & taken:
                put(start, y, name, group[0].mark[1])
                break
        else:
            letter = next(letters)
            if not group[0].recommended:
                cells[x, y] = letter, group[0].mark[1]
            lettered += [(BEST if group[0].recommended else letter, point.name) for point in group]
    return cells, lettered


class Plot(Widget):
    """Draws the points for the size it has."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._points = points_of(rows)
        self._title = "WER" if any(row.wer is not None for row in rows) else "words not agreed upon"

    def render(self) -> Content:
        width, height = self.size
        if not self._points:
            return Content("There are no error rates to plot: enter the correct text (t).")
        lines = [Content.assemble(*line) for line in layout(self._points, width, height, self._title)]
        return Content("\n").join(lines)


class PlotScreen(Once, ModalScreen[None]):
    """Speed over errors, above the dashboard."""

    CSS_PATH = "plot.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,g,q,enter", "dismiss", "close", id="close-plot", tooltip="Back to the dashboard"),
    ]

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        with Vertical(id="plot") as pane:
            pane.border_title = "Speed over errors"
            pane.border_subtitle = " · ".join(f"{mark} {words}" for mark, words in KEY) + " · esc closes"
            yield Plot(self._rows)
