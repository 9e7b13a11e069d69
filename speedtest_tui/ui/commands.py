"""What the command palette offers beside Textual's own entries: every action of the dashboard, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from textual.app import SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette

from speedtest_tui.ui.screens.dashboard import DashboardScreen
from speedtest_tui.ui.screens.once import Once


class Palette(Once, CommandPalette):
    """Textual's palette, whose list fails in 8.2 when it is paged before it has been laid out."""

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
