"""What each backend heard, or why it heard nothing."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from speedtest_tui.core import figures
from speedtest_tui.core.bench.describe import MARKS, reason
from speedtest_tui.core.bench.row import Row


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

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row

    def compose(self) -> ComposeResult:
        yield Static(Content(self._row.backend), classes="name")
        yield Static(Content(text_of(self._row)), classes="text")
        yield Static(wer_of(self._row), classes="wer")

    def show(self, row: Row) -> None:
        """Replace what is shown; text keeps its place where nothing changed, so that a selection survives."""
        if shown(row) != shown(self._row):
            for name, content in (("name", row.backend), ("text", text_of(row)), ("wer", wer_of(row))):
                self.query_one(f".{name}", Static).update(Content(content))
        self._row = row


def shown(row: Row) -> tuple[str, str, str]:
    """Everything of a row that this pane shows."""
    return row.backend, text_of(row), wer_of(row)


def text_of(row: Row) -> str:
    """The text, and below it what is to be said of it; why there is none, in full."""
    text = row.transcription.text or "(no text)" if row.transcription else ""
    failure = f"{MARKS[row.status][0]} {row.status}: {reason(row)}" if row.error else ""
    return "\n".join(filter(None, (text, failure, *(f"! {warning}" for warning in row.warnings))))


def wer_of(row: Row) -> str:
    return f"WER {figures.percent(row.wer)}" if row.wer is not None else ""


class TranscriptPane(VerticalScroll):
    """One line a backend that has said something; focusable, so that long texts can be scrolled by key."""

    BORDER_TITLE = "Transcripts"

    def compose(self) -> ComposeResult:
        yield Static("Each backend's text appears here after its first transcription.", id="no-text")

    def show(self, rows: Sequence[Row]) -> None:
        """Show the texts that there are so far."""
        rows = [row for row in rows if row.transcription or row.warnings or row.error]
        self.query_one("#no-text").display = not rows
        lines = list(self.query(TranscriptLine))
        for line, row in zip(lines, rows, strict=False):
            line.show(row)
        for line in lines[len(rows) :]:
            line.remove()
        self.mount_all(TranscriptLine(row) for row in rows[len(lines) :])
