"""What the keys do, by key in the help and by name in the palette, and what the figures mean."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.line_text import wrap

MEANINGS = (
    ("import", "seconds to import the library"),
    ("load", "seconds until the weights are on the device"),
    ("first", "seconds of the first transcription, which compiles kernels; not a run"),
    ("speed", "bars on one scale; the longest is the fastest"),
    ("runs ±", "a dot for each run, by how far it is from its row's median: one scale for all"),
    ("median ±95 %", "of the timed runs, with half of its 95 % interval"),
    ("RTFx", "seconds of audio per second of work: more is faster"),
    ("memory", "peak of its own process or of its GPU memory, whichever is larger"),
    ("WER", "word error rate against the reference text"),
    ("★", "recommended: the fastest whose text is good enough (--max-wer)"),
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

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        for lines in self.query(Static):  # none where the screen is already closed
            lines.update(self._text())

    def _text(self) -> Content:
        # The pane's frame, padding and scrollbar take 8 cells of what the stylesheet gives it.
        width = min(92, self.app.size.width * 9 // 10) - 8
        keys = [
            ((binding.key_display or self.app.get_key_display(binding)).replace(",", " "), binding.tooltip)
            for binding in self._shown
        ]
        parts: list[Content | tuple[str, str] | str] = []
        for title, lines in (
            ("Keys", [*keys, ("ctrl+p", "All commands by name, and the themes")]),
            ("Figures", MEANINGS),
        ):
            parts.append((f"{title}\n", "bold"))
            for name, meaning in lines:
                first, *rest = wrap(meaning, width - 15)
                parts += [(f"  {name:<13}", "$accent"), f"{first}\n", *(f"{'':15}{line}\n" for line in rest)]
            parts.append("\n")
        parts += wrap("Select text with the mouse; hold shift where the terminal needs it.", width)
        return Content.assemble(*parts)


class Palette(Once, CommandPalette):
    """Textual's palette, without two failures of 8.2 that would end the program.

    Its list cannot be paged before it has been laid out, and its search fails when it is closed meanwhile.
    """

    _gather_commands = work(exclusive=True, group=CommandPalette._GATHER_COMMANDS_GROUP, exit_on_error=False)(
        inspect.unwrap(CommandPalette._gather_commands)
    )

    def _action_command_list(self, action: str) -> None:
        with contextlib.suppress(KeyError):
            super()._action_command_list(action)


def commands(screen: Screen[Any]) -> Iterator[SystemCommand]:
    """One command for each binding that does something at this moment."""
    for binding in screen.BINDINGS:
        assert isinstance(binding, Binding)
        name = binding.action.partition("(")[0]
        if name == "leave":
            continue  # Textual offers it already
        if screen.check_action(name, ()):
            title = binding.description.capitalize()
            yield SystemCommand(title, binding.tooltip or "", partial(screen.run_action, binding.action))
