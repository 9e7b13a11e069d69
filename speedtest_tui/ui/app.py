"""The application: screens, themes and what belongs to all of them. The engine is reached through the bridge only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from speedtest_tui.ui.ascii import AsciiFilter
from speedtest_tui.ui.bridge import Bridge
from speedtest_tui.ui.commands import dashboard_commands
from speedtest_tui.ui.request import Request
from speedtest_tui.ui.screens.dashboard import DashboardScreen


class SpeedtestApp(App[None]):
    """Opens the dashboard on a request."""

    TITLE = "speedtest-tui"
    CSS_PATH = "screens/dashboard.tcss"  # Textual loads no stylesheet of a default screen by itself
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", id="interrupt", show=False, priority=True, tooltip="Leave"),
    ]

    def __init__(
        self,
        request: Request,
        make_bridge: Callable[[Callable[..., object]], Bridge] = Bridge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._ascii = AsciiFilter(request.ascii_only)
        self.dashboard = DashboardScreen(request, make_bridge, clock)

    def get_default_screen(self) -> Screen[None]:
        return self.dashboard

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([self._ascii] if self._ascii.enabled else [])]

    def on_mount(self) -> None:
        settings = self.dashboard.memory.settings
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        self.theme_changed_signal.subscribe(self, lambda theme: self.dashboard.memory.remember(theme=theme.name))
        self.set_keymap(dict(settings.keys))
        # Without this the terminal would be left in full-screen mode by `kill` or a closed window.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit, None, 128 + number)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from dashboard_commands(self.dashboard)
        yield from super().get_system_commands(screen)

    async def action_help(self) -> None:
        """Explain keys and figures."""
        from speedtest_tui.ui.screens.help import HelpScreen

        bindings = tuple(b for b in DashboardScreen.BINDINGS if isinstance(b, Binding))
        await self.push_screen(HelpScreen(bindings))
