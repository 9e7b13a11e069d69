"""What came of the race beside its times: the transcripts, and in detail which weights ran, how and in how much memory.

In a transcript the words that the majority has not stand out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from speedtest_tui.core import format as figures
from speedtest_tui.core.race.row import Row, look, reason
from speedtest_tui.ui.widgets.bar_layout import FILL_QUIET, LEVELS, STYLE_BEST, STYLE_NEEDS_YOU, outcome

if TYPE_CHECKING:
    from speedtest_tui.core.accuracy.words import Word


OPEN, CLOSE, MISSING = "‹", "›", "‹…›"
"""Around a word that differs from the majority, and in the place of one that the majority has and this text has not."""


def marked(words: Sequence[Word]) -> Content:
    """A text with its deviations marked by glyph and colour."""
    parts: list[Content | tuple[str, str] | str] = []
    for word in words:
        if word.missing:
            parts += [" " if parts else "", (MISSING, STYLE_NEEDS_YOU)]
        if not word.text:
            continue
        parts.append(" " if word.spaced and parts else "")
        parts.append((f"{OPEN}{word.text}{CLOSE}", STYLE_NEEDS_YOU) if word.differs else word.text)
    return Content.assemble(*parts)


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


def line_of(row: Row, marks: Mapping[str, tuple[Word, ...]]) -> tuple[str, Content, str]:
    """Name, text with remarks below, and word error rate of a row."""
    text = row.transcription.text or "(no text)" if row.transcription else ""
    lines = [marked(marks[row.backend]) if text and marks.get(row.backend) else Content(text)] if text else []
    if row.error:
        which = f" ({row.error.advice.what})" if outcome(row) != reason(row) else ""
        lines.append(Content(f"{look(row).glyph} {outcome(row)}{which}"))
    lines += [Content(f"! {warning}") for warning in row.warnings]
    wer = f"WER {figures.percent(row.wer)}" if row.wer is not None else ""
    return row.backend, Content("\n").join(lines), wer


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
        self._alone: int | None = None
        """Which line is shown alone; None shows all."""

    def compose(self) -> ComposeResult:
        yield Static("Each backend's text appears here after its first transcription.", id="no-text")

    def show(self, rows: Sequence[Row], marks: Mapping[str, tuple[Word, ...]]) -> None:
        """Show the texts that there are so far."""
        contents = [line_of(row, marks) for row in rows if row.transcription or row.warnings or row.error]
        self.query_one("#no-text").display = not contents
        lines = list(self.query(TranscriptLine))
        for line, content in zip(lines, contents, strict=False):
            line.show(*content)
        for line in lines[len(contents) :]:
            line.remove()
        self.mount_all(TranscriptLine(*content) for content in contents[len(lines) :])
        if self._alone is not None:
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
        self.border_subtitle = "side by side" if self.has_class("-columns") else alone


TRACE_CELLS = 40


def sparkline(trace: Sequence[int], cells: int = TRACE_CELLS) -> str:
    """Memory over time, scaled to its own peak; the whole trace, however long, in at most `cells` cells."""
    if not trace or max(trace) <= 0:
        return ""
    peak = max(trace)
    cells = min(cells, len(trace))
    highest = [max(trace[i * len(trace) // cells : max((i + 1) * len(trace) // cells, 1)]) for i in range(cells)]
    return "".join(LEVELS[max(1, round(value / peak * 8))] for value in highest)


def details(row: Row) -> Content:
    """Everything known of one row, a few lines."""
    parts: list[Content | tuple[str, str] | str] = [(row.backend, "bold")]
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
    for warning in row.warnings:
        parts += ["\n  ", (f"! {warning}", STYLE_NEEDS_YOU)]
    return Content.assemble(*parts)


class DetailsPane(VerticalScroll):
    """One block a backend."""

    BORDER_TITLE = "Details"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="details")
        self._machine = ""
        self._shown: tuple[Row, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="details-text")

    def show_machine(self, sentence: str) -> None:
        """Name the machine at the top."""
        self._machine = sentence
        self.show(self._shown)

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; costs nothing while the pane is not displayed."""
        self._shown = tuple(rows)
        if self.display:
            blocks = [Content(self._machine), *map(details, rows)]
            self.query_one("#details-text", Static).update(Content("\n\n").join(blocks))
