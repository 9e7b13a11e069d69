"""The transcripts of a race, in which stands out what differs from the reference, or without one from the majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core.race.row import (
    MAJORITY,
    REFERENCE,
    Row,
    against,
    look,
    quality,
    quality_mood,
    quality_title,
    reason,
)
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_FAILED, STYLE_NEEDS_YOU, STYLES, outcome
from speedtest_tui.ui.widgets.key_line import keys_of
from speedtest_tui.ui.widgets.line_text import fit

LEGENDS = {REFERENCE: "‹heard|right›  ‹-missing›  ‹+extra›", MAJORITY: "‹unlike most›  ‹…› most have more"}
"""From what texts differ, and how that is marked."""

if TYPE_CHECKING:
    from speedtest_tui.core.accuracy.words import Piece, PieceKind


LOOKS: dict[PieceKind, str] = {
    "same": "", "wrong": STYLE_FAILED, "right": STYLE_BEST, "extra": STYLE_FAILED,
    "missing": f"{STYLE_NEEDS_YOU} strike", "differs": STYLE_NEEDS_YOU, "mark": STYLE_NEEDS_YOU,
}  # fmt: skip
"""How stretches of a marked text look; their signs say the same without colour."""

SHORT_NAME, ROOMY = 15, 90
"""Names with more cells get a wider column, where the pane has so many."""

Marks: TypeAlias = "Mapping[str, tuple[Piece, ...]]"
"""Candidate -> its marked text."""


def legend(against: str) -> str:
    """How differences from it are marked."""
    return LEGENDS.get(against, "")


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

    def __init__(self, name: str, text: Content, wer: Content) -> None:
        super().__init__()
        self._shown = {"name": Content(name), "text": text, "wer": wer}

    def compose(self) -> ComposeResult:
        for kind, content in self._shown.items():
            yield Static(content, classes=kind)

    def show(self, name: str, text: Content, wer: Content) -> None:
        """Replace what changed; the rest keeps its place, so that a selection survives."""
        before, self._shown = self._shown, {"name": Content(name), "text": text, "wer": wer}
        for kind, content in self._shown.items():
            # A line that has just been made has no parts yet: it is composed with what it shows by then.
            if content != before[kind] and (part := self.query(f".{kind}")):
                part.first(Static).update(content)


def line_of(row: Row, marks: Marks) -> tuple[str, Content, Content]:
    """Name, text with remarks below, and word error rate of a row."""
    text = row.transcription.text or "(no text)" if row.transcription else ""
    lines = [marked(marks[row.candidate]) if text and marks.get(row.candidate) else Content(text)] if text else []
    if row.error:
        which = f" ({row.error.advice.what})" if outcome(row) != reason(row) else ""
        lines.append(Content(f"{look(row).glyph} {outcome(row)}{which}"))
    lines += [Content(f"! {warning}") for warning in row.warnings]
    title = quality_title([row])
    rate = Content.assemble(f"{title} ", (quality(row), STYLES[quality_mood(row)])) if title else Content("")
    return row.label, Content("\n").join(lines), rate


STEPS = (
    (("record", "open"), "records what you would say · {} opens a file"),
    (("candidates", "size"), "chooses what races · {} one size for all"),
    (("race",), "races: which is fastest, and which is good enough?"),
)
"""Actions of the dashboard, and what their keys do, in the order of a first race."""

NOTHING_HERE = "No real model here yet: ↵ offers to download your choice."


class Guide(Widget):
    """What to press before there is a clip, and which real models are on this machine, once that is known."""

    DEFAULT_CSS = "Guide { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] | None = None
        self._notice = ""

    def show(self, names: tuple[str, ...] | None, notice: str) -> None:
        if (names, notice) != (self._names, self._notice):
            self._names, self._notice = names, notice
            self.refresh(layout=True)

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(STEPS) + (self._names is not None) + bool(self._notice)

    def render(self) -> Content:
        keys, width, lines = keys_of(self.screen), self.size.width, []
        for number, (actions, words) in enumerate(STEPS, 1):
            line = Content(f"{number}  {{}} {words}")
            for action in actions:
                before, _, after = line.plain.partition("{}")
                key = Content.styled(keys.get(action, "?"), "bold $text-accent")
                line = Content.assemble(line[: len(before)], key, after)
            lines.append(line.truncate(width, ellipsis=True))
        if self._names is not None:
            lines.append(Content(found_here(self._names, width) if self._names else fit(NOTHING_HERE, width)))
        if self._notice:
            lines.append(Content.styled(fit(self._notice, width), STYLE_NEEDS_YOU))
        return Content("\n").join(lines)


def found_here(names: Sequence[str], width: int) -> str:
    """As many names of models as fit into one line, and how many there are besides."""
    for count in range(len(names), 0, -1):
        more = f" and {len(names) - count} more" if count < len(names) else ""
        line = f"Found in your caches: {', '.join(names[:count])}{more}"
        if cell_len(line) <= width:
            break
    return fit(line, width)


class TranscriptPane(VerticalScroll):
    """One line for each backend with a text or an error; focusable, so that long texts can be scrolled by key."""

    BORDER_TITLE = "Transcripts"
    ALLOW_MAXIMIZE = True
    DEFAULT_CSS = """
    TranscriptPane.-long-names .name { width: 30; }
    TranscriptPane.-columns {
        layout: horizontal;
        TranscriptLine { layout: vertical; width: 1fr; min-width: 20; padding-right: 2; }
        TranscriptLine .name, TranscriptLine .text, TranscriptLine .wer { width: 100%; height: auto; }
        TranscriptLine .wer { text-align: left; }
    }
    """

    def __init__(self, *, guided: bool = False) -> None:
        """guided: there is no clip, and none is being read"""
        super().__init__(id="transcripts")
        self._guided, self._filled = guided, False
        self._legend: str | None = None
        self._long = False
        self._alone: int | None = None
        """Which line is shown alone; None shows all."""

    def compose(self) -> ComposeResult:
        yield Guide()
        yield Static("Each backend's text appears here after its first transcription.", id="no-text")

    def on_mount(self) -> None:
        self._show_empty()

    def guide(self, guided: bool, names: tuple[str, ...] | None, notice: str) -> None:
        """Say what to press as long as there is neither a clip nor a text.

        names: of models that are here; notice: a line below, about what else can be done now
        """
        self._guided = guided
        self.query_one(Guide).show(names, notice)
        self._show_empty()

    def _show_empty(self) -> None:
        self.query_one(Guide).display = self._guided and not self._filled
        self.query_one("#no-text").display = not self._guided and not self._filled

    def show(self, rows: Sequence[Row], marks: Marks) -> None:
        """Show the texts that there are so far."""
        of = against(rows)
        self.border_title = f"Transcripts · differences from {of}" if marks else "Transcripts"
        self._legend = legend(of) if marks else None
        self._long = max((cell_len(row.label) for row in rows), default=0) > SHORT_NAME
        self.on_resize()
        contents = [line_of(row, marks) for row in rows if row.transcription or row.warnings or row.error]
        self._filled = bool(contents)
        self._show_empty()
        lines = list(self.query(TranscriptLine))
        for line, content in zip(lines, contents, strict=False):
            line.show(*content)
        for line in lines[len(contents) :]:
            line.remove()
        self.mount_all(TranscriptLine(*content) for content in contents[len(lines) :])
        self.call_after_refresh(self._show_view)

    def on_resize(self) -> None:
        self.set_class(self._long and self.size.width >= ROOMY, "-long-names")

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
