"""The application: its first screen, theme, keys, clipboard and end, and the translation to plain ASCII.

The engine is reached through the dashboard's worker only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import on
from textual._styles_cache import StylesCache
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.filter import LineFilter
from textual.screen import Screen

from speedtest_tui.core.errors import kept_traceback
from speedtest_tui.core.format import PAIRS, one_line
from speedtest_tui.ui.screens.dashboard import DashboardScreen
from speedtest_tui.ui.widgets.bar_layout import SPINNER
from speedtest_tui.ui.workers.messages import SessionClipWanted
from speedtest_tui.ui.workers.settings import Request
from speedtest_tui.ui.workers.web import in_browser
from speedtest_tui.ui.workers.worker import Worker

LEAVE_S = 2.0
"""How long leaving in order may take after a signal."""

CANCELLED = 130
"""Exit code after a signal, as of every command."""

# In Textual 8.2 this cache of 1024 colours belongs to each widget's own cache by mistake, and so keeps those of widgets
# that are long gone, with all that they drew: four in every race, 10 MB in a day.
if not isinstance(vars(StylesCache).get("get_inner_outer", classmethod), (classmethod, staticmethod)):
    StylesCache.get_inner_outer = classmethod(StylesCache.get_inner_outer)  # type: ignore[method-assign, assignment, arg-type]


class SpeedtestApp(App[None]):
    """Opens the dashboard on a request."""

    TITLE = "speedtest-tui"
    CSS_PATH = "screens/dashboard.tcss"  # Textual loads no stylesheet of a default screen by itself
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", id="interrupt", show=False, priority=True, tooltip="Quit"),
    ]

    def __init__(
        self,
        request: Request,
        make_worker: Callable[[Callable[..., object]], Worker] = Worker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._ascii = AsciiFilter(request.ascii_only)
        self.failure = ""
        """Why the program had to stop, in one line, where it did."""
        self.dashboard = DashboardScreen(request, make_worker, clock)

    def get_default_screen(self) -> Screen[None]:
        return self.dashboard

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), NEUTRAL, *([self._ascii] if self._ascii.enabled else [])]

    def on_mount(self) -> None:
        settings = self.dashboard.store.settings
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        self.theme_changed_signal.subscribe(self, lambda theme: self.dashboard.store.remember(theme=theme.name))
        self.set_keymap(dict(settings.keys))
        # Without this the terminal would be left in full-screen mode by `kill` or a closed window.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._leave)

    def _leave(self) -> None:
        """Leave because a signal says so."""
        self.exit(return_code=CANCELLED)

        def insist() -> None:
            self.dashboard.worker.close()
            os._exit(CANCELLED)

        # Where the terminal is gone, Textual can wait for ever to be rid of its last output.
        insisting = threading.Timer(LEAVE_S, insist)
        insisting.daemon = True
        insisting.start()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from speedtest_tui.ui.screens.help import commands

        yield from commands(self.dashboard)
        yield from super().get_system_commands(screen)

    def _fatal_error(self) -> None:
        """Instead of a traceback on the screen: keep it in a file, and say in one line where."""
        where = kept_traceback()
        self.bell()
        self.failure = f"it failed and had to stop: {where}"
        self.panic()

    def action_command_palette(self) -> None:
        """Offer every command by name."""
        from speedtest_tui.ui.screens.help import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())  # without an id: one that was closed may take a moment to be gone

    def search_themes(self) -> None:
        """Offer the themes by name, in the same palette."""
        from textual.theme import ThemeProvider

        from speedtest_tui.ui.screens.help import Palette

        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def get_key_display(self, binding: Binding) -> str:
        """As Textual's, but for a return key that fonts of terminals have (Menlo lacks U+23CE)."""
        return super().get_key_display(binding).replace("\u23ce", "↵")

    def copy_to_clipboard(self, text: str) -> None:
        """Through the terminal or the browser, and where there is a terminal also through the system's own program."""
        super().copy_to_clipboard(text)
        if not in_browser(self):
            self.dashboard.worker.copy(text)  # a terminal that does not know OSC 52 ignores it silently

    @on(SessionClipWanted)
    def _session_clip_wanted(self, message: SessionClipWanted) -> None:
        self.dashboard.clips.load(message.path)

    async def action_help(self) -> None:
        """Explain keys and figures."""
        from speedtest_tui.ui.screens.help import HelpScreen

        bindings = tuple(b for b in DashboardScreen.BINDINGS if isinstance(b, Binding))
        await self.push_screen(HelpScreen(bindings))


DOTS = {0x2800 + bits: " .:::###"[min(7, bits.bit_count())] for bits in range(256)}
"""Braille cells, by how many dots they have."""

TABLE = DOTS | {ord(character): plain for characters, plain in PAIRS.items() for character in characters}
TABLE |= dict(zip(map(ord, SPINNER), "|/-\\" * 3, strict=False))
TABLE[ord("·")] = "."
TABLE[ord("▁")] = "_"


def ascii_only(text: str) -> str:
    """Text of the same width in cells without any character beyond ASCII; what has no likeness becomes "?"."""
    if text.isascii():
        return text
    translated = text.translate(TABLE)
    if translated.isascii():
        return translated
    return "".join(character if character.isascii() else "?" * cell_len(character) for character in translated)


class AsciiFilter(LineFilter):
    """Applied by Textual to every line before it is written."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control else Segment(ascii_only(segment.text), segment.style) for segment in segments
        ]


class NeutralFilter(LineFilter):
    """Keeps what others sent from steering the terminal: applied by Textual to every line before it is written."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            # Most of a screen is plain: that is known a hundred times as fast.
            segment
            if segment.control or (segment.text.isascii() and segment.text.isprintable())
            else Segment(one_line(segment.text, _mark), segment.style)
            for segment in segments
        ]


def _mark(unsafe: str) -> str:
    """The same cells: what takes none goes, what takes some leaves as many marks."""
    return "?" * cell_len(unsafe)


NEUTRAL = NeutralFilter()
