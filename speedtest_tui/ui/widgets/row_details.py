"""Everything that is known of one row of a race: every run, its weights, its memory, its text. A text, and its pane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from speedtest_tui.core import format as figures
from speedtest_tui.core.race.row import Row, look, quality, quality_title, reason, relative, source_name
from speedtest_tui.core.race.statistics import LARGEST_Z, outliers
from speedtest_tui.ui.widgets.bar_layout import (
    FILL_QUIET,
    LEVELS,
    STYLE_BEST,
    STYLE_NEEDS_YOU,
    STYLES,
    Table,
    dots,
    outcome,
)
from speedtest_tui.ui.widgets.line_text import wrap
from speedtest_tui.ui.widgets.result_panes import Marks, legend, marked

if TYPE_CHECKING:
    from speedtest_tui.core.accuracy.words import Piece

INDENT = 12
TRACE_CELLS = 40
DOTS_CELLS = 40

Part = Content | tuple[str, str] | str


def sparkline(trace: Sequence[int], cells: int = TRACE_CELLS) -> str:
    """Memory over time, scaled to its own peak; the whole trace, however long, in at most `cells` cells."""
    if not trace or max(trace) <= 0:
        return ""
    peak = max(trace)
    cells = min(cells, len(trace))
    highest = [max(trace[i * len(trace) // cells : max((i + 1) * len(trace) // cells, 1)]) for i in range(cells)]
    return "".join(LEVELS[max(1, round(value / peak * 8))] for value in highest)


def details(row: Row, pieces: Sequence[Piece] = (), *, runs: int = 0, against: str = "", width: int = 80) -> Content:
    """A row in words, in lines of `width` cells.

    pieces: its text with its differences; against: from what, in words
    runs: how many there were to be
    """
    parts: list[Part] = []
    for title, text, style in _facts(row, runs):
        lines = wrap(text, width - INDENT) or [""]
        parts += [f"{title:{INDENT}}", (f"\n{'':{INDENT}}".join(lines), style), "\n"]
    if row.transcription:
        rate = f" · {title} {quality(row)}" if (title := quality_title([row])) else ""
        parts += [("\nTranscript", "bold"), f" · differences from {against}" if pieces and against else "", f"{rate}\n"]
        parts += [marked(pieces) if pieces else row.transcription.text or "(no text)", "\n"]
        if pieces and (signs := legend(against)):
            parts += [f"{signs}\n"]
    return Content.assemble(*parts)


Fact = tuple[str, str, str]
"""A title, a text, and its style."""


def _facts(row: Row, runs: int) -> Iterator[Fact]:
    shown = look(row)
    if row.candidate != row.label:
        yield "candidate", row.candidate, ""
    if row.error:
        yield "state", f"{shown.glyph} {outcome(row)}", STYLES[shown.mood]
        if outcome(row) != reason(row):
            yield "", reason(row), ""
    elif row.rank:
        words = [relative(row)] + ["recommended"] * row.recommended
        words += ["nobody beats it in both speed and text"] * row.pareto
        yield "state", " · ".join(words), STYLE_BEST if row.recommended or row.rank == 1 else ""
    else:
        yield "state", f"{shown.glyph} {shown.word}", STYLES[shown.mood]
    if row.tied:
        yield "tied with", ", ".join(row.tied), ""
    for warning in row.warnings:
        yield "", f"! {warning}", STYLE_NEEDS_YOU
    yield from _times(row, runs)
    yield from _memory(row)
    yield from _model(row)


def _times(row: Row, runs: int) -> Iterator[Fact]:
    if row.runs_s and (middle := row.median_s):
        interval = ""
        if row.median:
            interval = f", 95 % interval {figures.seconds(row.median.low)} to {figures.seconds(row.median.high)}"
        speed = f", RTFx {figures.rtfx(row.rtfx)}" if row.rtfx else ""
        yield "median", f"{figures.seconds(middle)}{interval}{speed}", ""
        count = f"{len(row.runs_s)} of {runs}: " if len(row.runs_s) < runs else ""
        yield "runs", count + "  ".join(figures.seconds(run) for run in row.runs_s), ""
        if len(row.runs_s) > 1:
            reach = Table((row,), 0, runs).reach
            # Blanks that no line is broken at.
            places = dots(row.runs_s, middle, reach, DOTS_CELLS).replace(" ", "\u2800")
            yield "", f"{places} ±{figures.percent(reach)}", ""
        if unlike := outliers(row.runs_s):
            which = ", ".join(f"run {index + 1}" for index in unlike)
            yield "", f"! unlike the others (modified z above {LARGEST_Z}): {which}", STYLE_NEEDS_YOU
    steps = (("import", row.import_s), ("load", row.load_s), ("first", row.first_s))
    if known := [f"{name} {figures.seconds(value)}" for name, value in steps if value is not None]:
        yield "start-up", " · ".join(known), ""
    if row.figures:
        yield "measured", figures.measured(row.figures), ""


def _memory(row: Row) -> Iterator[Fact]:
    measured = (
        ("peak", row.peak_footprint or row.peak_rss),
        ("device", row.device_peak),
        ("kept by the device", row.device_cache),
        ("of at most", row.device_limit),
    )
    if known := ", ".join(f"{name} {figures.megabytes(count / 1e6)}" for name, count in measured if count):
        yield "memory", known, ""
    if row.memory_trace:
        yield "", sparkline(row.memory_trace), FILL_QUIET


def _model(row: Row) -> Iterator[Fact]:
    loaded = row.loaded
    source = loaded.source if loaded else row.spec.source if row.spec else ""
    revision = loaded.revision if loaded else row.location.revision if row.location else ""
    if source:
        yield "model", " · ".join(filter(None, (source_name(source), revision))), ""
    if loaded:
        facts = [loaded.device, figures.precision(loaded.dtype, None, dict(loaded.options))]
        facts += [f"{loaded.bits:.1f} bits"] if loaded.bits else []
        facts += [f"{figures.parameters(loaded.parameters)} parameters"] if loaded.parameters else []
        yield "", " · ".join(filter(None, facts)), ""
        if loaded.options:
            yield "options", " · ".join(f"{key} {value}" for key, value in loaded.options), ""
    files = (loaded.files if loaded else ()) or (
        (str(row.location.path),) if row.location and row.location.path else ()
    )
    for index, file in enumerate(files):
        yield "" if index else "files", file, ""
    if row.version:
        yield "version", row.version, ""
    if row.transcription and row.transcription.language:
        yield "language", row.transcription.language + (" (detected)" if row.transcription.detected else ""), ""


class DetailsPane(VerticalScroll):
    """The machine, and below it the row that is selected."""

    BORDER_TITLE = "Details"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="details")
        self._machine = ""
        self._row: tuple[Row, int, Marks, str] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="details-text")

    def show_machine(self, sentence: str) -> None:
        """Name the machine at the top."""
        self._machine = sentence
        self._draw()

    def show(self, row: Row | None, runs: int, marks: Marks, against: str) -> None:
        """Show this row; costs nothing while the pane is not displayed."""
        self._row = None if row is None else (row, runs, marks, against)
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self.display:
            blocks = [Content(self._machine)]
            if self._row:
                row, runs, marks, against = self._row
                width = self.scrollable_content_region.width
                blocks.append(Content.styled(row.label, "bold"))
                blocks.append(details(row, marks.get(row.candidate, ()), runs=runs, against=against, width=width))
            self.query_one("#details-text", Static).update(Content("\n\n").join(blocks))
