"""What the keys do and what the figures mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from speedtest_tui.ui.screens.confirm import Once

MEANINGS = (
    ("import", "seconds to import the library"),
    ("load", "seconds until the weights are on the device"),
    ("first", "seconds of the first transcription, in which kernels compile: no run"),
    ("run", "bars on one scale; the shortest is the fastest"),
    ("median ±95 %", "of the timed runs, with half its bootstrap interval"),
    ("RTFx", "seconds of audio per second of work: more is faster"),
    ("memory", "largest resident size of that backend's own process"),
    ("WER", "word error rate against the reference text"),
)


class HelpScreen(Once, ModalScreen[None]):
    """Lists the keys of the screen below it, in the order of its footer."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", id="close-help", tooltip="Back to the dashboard"),
    ]

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        super().__init__()
        self._shown = bindings

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as pane:
            pane.border_title = "Help"
            pane.border_subtitle = "esc closes"
            yield Static(self._text())

    def _text(self) -> Content:
        parts: list[Content | tuple[str, str] | str] = [("Keys\n", "bold")]
        for binding in self._shown:
            key = (binding.key_display or self.app.get_key_display(binding)).replace(",", " ")
            parts += [(f"  {key:<13}", "$accent"), f"{binding.tooltip}\n"]
        parts += [(f"  {'ctrl+p':<13}", "$accent"), "Every command by name, and the themes\n", ("\nFigures\n", "bold")]
        for title, meaning in MEANINGS:
            parts += [(f"  {title:<13}", "$accent"), f"{meaning}\n"]
        parts += ["\nText can be selected with the mouse; hold shift where the terminal does that itself."]
        return Content.assemble(*parts)
