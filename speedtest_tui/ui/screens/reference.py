"""Entering the correct text of the clip, from which its word error rates are counted."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from speedtest_tui.core.format import neutral
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.pick_list import key_hint


class ReferenceScreen(Once, ModalScreen[str | None]):
    """Returns the text, empty where there is to be none, or None to leave the reference as it is."""

    CSS_PATH = "reference.tcss"
    AUTO_FOCUS = "TextArea"
    # Enter makes a line: where a terminal does not bracket what is pasted, it would accept half of it.
    # F2 needs a second key on some laptops and ctrl+s a free hand with some multiplexers: either will do.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f2", "accept", "accept", id="reference-accept", key_display="F2", priority=True, tooltip="Use this text"
        ),
        Binding(
            "ctrl+s",
            "accept",
            "accept",
            id="reference-save",
            key_display="ctrl+s",
            priority=True,
            tooltip="Use this text",
        ),
        Binding("escape", "cancel", "back", id="reference-cancel", priority=True, tooltip="Back without changing it"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._before = text

    def compose(self) -> ComposeResult:
        with Vertical(id="reference") as pane:
            pane.border_title = "Reference text"
            yield Static("The correct text of the clip, for word error rates (WER).", id="reference-why")
            yield TextArea(self._before, compact=True, tab_behavior="focus", id="reference-text")
            yield Static(id="reference-count")

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        pane = self.query_one("#reference")
        accept = key_hint(self, "reference-accept", "reference-save").replace("accept[/]  ", "or[/] ", 1)
        pane.border_subtitle = f"{accept}  {key_hint(self, 'reference-cancel')}"
        self._count()

    @on(TextArea.Changed)
    def _count(self) -> None:
        words = len(self.query_one(TextArea).text.split())
        count = f"{words:,} word{'' if words == 1 else 's'}" if words else "no words: WER will not be shown"
        self.query_one("#reference-count", Static).update(Content(count))

    def action_accept(self) -> None:
        """Return the text."""
        text = self.query_one(TextArea).text
        # A paste may bring what would steer the terminal wherever the text is shown.
        self.dismiss("\n".join(neutral(line, "").rstrip() for line in text.splitlines()).strip())

    def action_cancel(self) -> None:
        """Return nothing."""
        self.dismiss(None)
