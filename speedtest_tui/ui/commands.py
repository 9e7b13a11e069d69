"""What the command palette offers beside Textual's own entries: every action of the dashboard, by name."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import partial

from textual import work
from textual.app import SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette

from speedtest_tui.ui.screens.dashboard import DashboardScreen
from speedtest_tui.ui.screens.once import Once


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


def dashboard_commands(screen: DashboardScreen) -> Iterator[SystemCommand]:
    """One command for each binding that does something at this moment."""
    for binding in screen.BINDINGS:
        assert isinstance(binding, Binding)
        name = binding.action.partition("(")[0]
        if name == "leave":
            continue  # Textual offers it already
        if screen.check_action(name, ()):
            title = binding.description.capitalize()
            yield SystemCommand(title, binding.tooltip or "", partial(screen.run_action, binding.action))
