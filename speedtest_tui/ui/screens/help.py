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

MEANINGS = (
    ("import", "seconds to import the library"),
    ("load", "seconds until the weights are on the device"),
    ("first", "seconds of the first transcription, which compiles kernels; not a run"),
    ("run", "bars on one scale; the shortest is the fastest"),
    ("median ±95 %", "of the timed runs, with half of its 95 % interval"),
    ("RTFx", "seconds of audio per second of work: more is faster"),
    ("memory", "peak memory of that backend's own process"),
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
        parts += [(f"  {'ctrl+p':<13}", "$accent"), "All commands by name, and the themes\n", ("\nFigures\n", "bold")]
        for title, meaning in MEANINGS:
            parts += [(f"  {title:<13}", "$accent"), f"{meaning}\n"]
        parts += ["\nText can be selected with the mouse; hold shift where the terminal does that itself."]
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
