"""What came of the race beside its times: the transcripts, and in detail which weights ran, how and in how much memory.

In a transcript stands out what differs from the reference, or without one what the majority has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from speedtest_tui.core import format as figures
from speedtest_tui.core.race.row import Row, look, quality, quality_title, reason
from speedtest_tui.ui.widgets.bar_layout import FILL_QUIET, LEVELS, STYLE_BEST, STYLE_FAILED, STYLE_NEEDS_YOU, outcome

LEGEND = "‹heard|right›  ‹-missing›  ‹+extra›"
"""How differences from a reference are marked; differences from a majority stand in ‹ › alone."""

if TYPE_CHECKING:
    from speedtest_tui.core.accuracy.words import Piece, PieceKind


LOOKS: dict[PieceKind, str] = {
    "same": "", "wrong": STYLE_FAILED, "right": STYLE_BEST, "extra": STYLE_FAILED,
    "missing": f"{STYLE_NEEDS_YOU} strike", "differs": STYLE_NEEDS_YOU, "mark": STYLE_NEEDS_YOU,
}  # fmt: skip
"""How stretches of a marked text look; their signs say the same without colour."""

Marks: TypeAlias = "Mapping[str, tuple[Piece, ...]]"
"""Candidate -> its marked text."""


def marked(pieces: Sequence[Piece]) -> Content:
    """A text with its differences marked by signs and colour."""
    return Content.assemble(*((text, LOOKS[kind]) for text, kind in pieces))


class TranscriptLine(Horizontal):
    """A backend's name, its text, wrapped, and its word error rate."""

    DEFAULT_CSS = """
    TranscriptLine {
        height: auto;
        .name { width: 17; text-style: bold; }
        .text { width: 1fr; }
        .wer { width: 11; text-align: right; }
    }
    """

    def __init__(self, name: str, text: Content, wer: str) -> None:
        super().__init__()
        self._shown = {"name": Content(name), "text": text, "wer": Content(wer)}

    def compose(self) -> ComposeResult:
        for kind, content in self._shown.items():
            yield Static(content, classes=kind)

    def show(self, name: str, text: Content, wer: str) -> None:
        """Replace what changed; the rest keeps its place, so that a selection survives."""
        before, self._shown = self._shown, {"name": Content(name), "text": text, "wer": Content(wer)}
        for kind, content in self._shown.items():
            # A line that has just been made has no parts yet: it is composed with what it shows by then.
            if content != before[kind] and (part := self.query(f".{kind}")):
                part.first(Static).update(content)


def line_of(row: Row, marks: Marks) -> tuple[str, Content, str]:
    """Name, text with remarks below, and word error rate of a row."""
    text = row.transcription.text or "(no text)" if row.transcription else ""
    lines = [marked(marks[row.candidate]) if text and marks.get(row.candidate) else Content(text)] if text else []
    if row.error:
        which = f" ({row.error.advice.what})" if outcome(row) != reason(row) else ""
        lines.append(Content(f"{look(row).glyph} {outcome(row)}{which}"))
    lines += [Content(f"! {warning}") for warning in row.warnings]
    title = quality_title([row])
    return row.label, Content("\n").join(lines), f"{title} {quality(row)}" if title else ""


class TranscriptPane(VerticalScroll):
    """One line for each backend with a text or an error; focusable, so that long texts can be scrolled by key."""

    BORDER_TITLE = "Transcripts"
    ALLOW_MAXIMIZE = True
    DEFAULT_CSS = """
    TranscriptPane.-columns {
        layout: horizontal;
        TranscriptLine { layout: vertical; width: 1fr; min-width: 20; padding-right: 2; }
        TranscriptLine .name, TranscriptLine .text, TranscriptLine .wer { width: 100%; height: auto; }
        TranscriptLine .wer { text-align: left; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="transcripts")
        self._legend: str | None = None
        self._alone: int | None = None
        """Which line is shown alone; None shows all."""

    def compose(self) -> ComposeResult:
        yield Static("Each backend's text appears here after its first transcription.", id="no-text")

    def show(self, rows: Sequence[Row], marks: Marks) -> None:
        """Show the texts that there are so far."""
        against = "the majority" if quality_title(rows) in ("", "agree") else "the reference"
        self.border_title = f"Transcripts · differences from {against}" if marks else "Transcripts"
        self._legend = LEGEND if marks and against == "the reference" else None
        contents = [line_of(row, marks) for row in rows if row.transcription or row.warnings or row.error]
        self.query_one("#no-text").display = not contents
        lines = list(self.query(TranscriptLine))
        for line, content in zip(lines, contents, strict=False):
            line.show(*content)
        for line in lines[len(contents) :]:
            line.remove()
        self.mount_all(TranscriptLine(*content) for content in contents[len(lines) :])
        self.call_after_refresh(self._show_view)

    def next_view(self) -> None:
        """Show the next arrangement: in a list, side by side, each alone in turn."""
        count = len(self.query(TranscriptLine))
        if self._alone is None and not self.has_class("-columns"):
            self.add_class("-columns")
        elif self._alone is None:
            self.remove_class("-columns")
            self._alone = 0
        else:
            self._alone += 1
        if self._alone is not None and self._alone >= count:
            self._alone = None
        self._show_view()

    def _show_view(self) -> None:
        lines = list(self.query(TranscriptLine))
        for index, line in enumerate(lines):
            line.display = self._alone is None or index == self._alone
        alone = f"{self._alone + 1} of {len(lines)}" if self._alone is not None else None
        self.border_subtitle = "side by side" if self.has_class("-columns") else alone or self._legend


TRACE_CELLS = 40


def sparkline(trace: Sequence[int], cells: int = TRACE_CELLS) -> str:
    """Memory over time, scaled to its own peak; the whole trace, however long, in at most `cells` cells."""
    if not trace or max(trace) <= 0:
        return ""
    peak = max(trace)
    cells = min(cells, len(trace))
    highest = [max(trace[i * len(trace) // cells : max((i + 1) * len(trace) // cells, 1)]) for i in range(cells)]
    return "".join(LEVELS[max(1, round(value / peak * 8))] for value in highest)


def details(row: Row, pieces: Sequence[Piece] = ()) -> Content:
    """Everything known of one row, a few lines."""
    parts: list[Content | tuple[str, str] | str] = [(row.label, "bold")]
    if row.loaded:
        parts += ["\n  ", " · ".join(filter(None, (row.loaded.source, row.loaded.revision[:12])))]
        facts = [row.loaded.device, figures.precision(row.loaded.dtype, None, dict(row.loaded.options))]
        if row.loaded.bits:
            facts.append(f"{row.loaded.bits:.1f} bits")
        if row.loaded.parameters:
            facts.append(f"{row.loaded.parameters / 1e6:.1f} M parameters")
        parts += ["\n  ", " · ".join(filter(None, facts))]
        parts += ["\n  ", " · ".join(f"{key} {value}" for key, value in row.loaded.options)]
        if where := (row.location and row.location.path) or next(iter(row.loaded.files), ""):
            parts += ["\n  ", str(where)]
    elif row.spec:
        parts += ["\n  ", row.spec.source]
    if row.recommended or row.pareto:
        words = ["recommended"] * row.recommended + ["nobody beats it in both speed and text"] * row.pareto
        parts += ["\n  ", (" · ".join(words), STYLE_BEST)]
    if row.figures:
        parts += ["\n  ", figures.measured(row.figures)]
    if row.memory_trace:
        parts += ["\n  memory ", (sparkline(row.memory_trace), FILL_QUIET)]
        measured = (
            ("peak", row.peak_footprint or row.peak_rss),
            ("device", row.device_peak),
            ("kept by the device", row.device_cache),
            ("of at most", row.device_limit),
        )
        parts.append(" " + ", ".join(f"{name} {figures.megabytes(count / 1e6)}" for name, count in measured if count))
    if differing := _differing(pieces):
        parts += [f"\n  {quality_title([row])} {quality(row)}: ", marked(differing)]
    for warning in row.warnings:
        parts += ["\n  ", (f"! {warning}", STYLE_NEEDS_YOU)]
    return Content.assemble(*parts)


DIFFERENCES_SHOWN = 20


def _differing(pieces: Sequence[Piece]) -> list[Piece]:
    """The differences alone, the first of them where there are many."""
    found: list[Piece] = []
    count = 0
    for text, kind in pieces:
        if kind != "same":
            found.append((text, kind))
        elif found and found[-1][1] != "same":
            count += 1
            if count == DIFFERENCES_SHOWN:
                return [*found, (" …", "same")]
            found.append((" ", "same"))
    return found


class DetailsPane(VerticalScroll):
    """One block a backend."""

    BORDER_TITLE = "Details"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="details")
        self._machine = ""
        self._shown: tuple[Row, ...] = ()
        self._marks: Marks = {}

    def compose(self) -> ComposeResult:
        yield Static(id="details-text")

    def show_machine(self, sentence: str) -> None:
        """Name the machine at the top."""
        self._machine = sentence
        self.show(self._shown, self._marks)

    def show(self, rows: Sequence[Row], marks: Marks) -> None:
        """Show these rows; costs nothing while the pane is not displayed."""
        self._shown, self._marks = tuple(rows), marks
        if self.display:
            blocks = [Content(self._machine), *(details(row, marks.get(row.candidate, ())) for row in rows)]
            self.query_one("#details-text", Static).update(Content("\n\n").join(blocks))
