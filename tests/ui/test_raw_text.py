"""What others wrote does not steer the terminal from any widget: the last filter before a line is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from poison import NAME, PAYLOAD, poisoned, session
from rich.segment import Segment
from rich.style import Style
from session_files import write_damaged, write_session
from textual.app import App
from textual.binding import Binding
from textual.color import Color
from textual.message import Message
from textual.pilot import Pilot

from speedtest_tui.core import codec
from speedtest_tui.core.format import one_line
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.ui import screens
from speedtest_tui.ui.app import NEUTRAL, SpeedtestApp
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.screens.convert import ConvertScreen
from speedtest_tui.ui.workers import messages


def filtered(text: str) -> str:
    (segment,) = NEUTRAL.apply([Segment(text, Style(bold=True))], Color(0, 0, 0))
    assert segment.style == Style(bold=True)
    return segment.text


@pytest.mark.parametrize(
    "text",
    ["a\x1b[31mb", "\x9b2J", "a\u202eb", "a\u200bb", "\x1b]52;c;aGk=\x07", "\udcff", "a\x08\rb", "a\tb\nc", PAYLOAD],
)
def test_unsafe_characters_take_no_part(text: str) -> None:
    assert one_line(filtered(text)) == filtered(text)


@pytest.mark.parametrize("text", ["naïve 音 😀", "✓ complete", "[@click=app.quit]x[/]", "👩\u200d👧"])
def test_all_others_stay(text: str) -> None:
    assert filtered(text) == text


def test_what_textual_sends_itself_stays() -> None:
    control = Segment("\x1b[2J", None, [(1,)])  # type: ignore[list-item]
    assert NEUTRAL.apply([control], Color(0, 0, 0)) == [control]


def test_the_dashboard_has_the_filter(still_app: Any) -> None:
    assert NEUTRAL in still_app().get_line_filters()


def shown(app: App[Any]) -> str:
    """Everything on the screen. Fails where a character of it is unsafe, or where markup of others is obeyed."""
    text = ""
    for strip in app.screen._compositor.render_strips():
        assert strip.cell_length == app.size.width
        for segment in strip:
            assert one_line(segment.text) == segment.text, type(app.screen).__name__
            assert not segment.style or "poisoned" not in repr((segment.style.meta, segment.style.link))
            text += segment.text
    return text


MESSAGES = [kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, Message)]
MESSAGES.remove(Message)
CHOICES = range(10)
"""As many as the longest list of alternatives has: phases of a row."""


async def told(app: App[Any], pilot: Pilot[None], choices: Iterable[int]) -> int:
    """All messages to the screen, some at a time and in another order each time; how often the payload was seen."""
    seen, screen = 0, app.screen
    for choice in choices:
        kinds = MESSAGES[3 * choice % len(MESSAGES) :] + MESSAGES[: 3 * choice % len(MESSAGES)]
        for first in range(0, len(kinds), 5):
            for kind in kinds[first : first + 5]:
                screen.post_message(poisoned(kind, choice))
            await pilot.pause()
            seen += "zq" in shown(app)
    return seen


async def walked(app: App[Any], pilot: Pilot[None], depth: int = 0) -> set[str]:
    """Press every key of a screen that is no way out, those of what opens included. Returns the screens seen."""
    screen, seen = app.screen, {type(app.screen).__name__}
    if depth:
        await told(app, pilot, range(depth, depth + 2))
    keys = [binding.key.split(",")[0] for binding in screen.BINDINGS if isinstance(binding, Binding)]
    for key in keys if depth < 2 and screen in app.screen_stack else ():
        if key in ("escape", "q", "ctrl+c"):
            continue
        await pilot.press(key)
        await pilot.pause()
        shown(app)
        if app.screen is not screen and screen in app.screen_stack:
            seen |= await walked(app, pilot, depth + 1)
        while app.screen is not screen and screen in app.screen_stack:
            await app.pop_screen()
        if app.screen is not screen:
            break
    return seen


@pytest.fixture
def poisoned_app(still_app: Callable[..., SpeedtestApp], places: Path, monkeypatch: pytest.MonkeyPatch) -> SpeedtestApp:
    """A dashboard in a folder of poisoned names, with poisoned sessions and caches."""
    monkeypatch.chdir(places / "home")
    write_session(places / "data", 1)
    (write_session(places / "data", 2) / "session.json").write_bytes(codec.encode(session()))
    write_damaged(places / "data", 3, codec.encode({"schema": PAYLOAD}).decode())
    Path(NAME).write_text("a file")
    app = still_app()
    monkeypatch.setattr(app, "exit", lambda *_, **__: None)
    app.dashboard.worker.overview = poisoned(CacheOverview)
    return app


@pytest.mark.parametrize("width", [80, 170])
async def test_every_text_of_every_message(poisoned_app: SpeedtestApp, width: int) -> None:
    """Each message to the dashboard, its fields poisoned one alternative after the other."""
    async with poisoned_app.run_test(size=(width, 40)) as pilot:
        assert await told(poisoned_app, pilot, CHOICES) > 3 * len(CHOICES)


async def test_every_screen(poisoned_app: SpeedtestApp) -> None:
    """All that keys open, from a dashboard on which everything is over."""
    app = poisoned_app
    async with app.run_test(size=(120, 40)) as pilot:
        for kind, over in ((messages.RaceEnded, 2), (messages.JobChanged, 1), (messages.ClipReady, 1)):
            app.dashboard.post_message(poisoned(kind, over))
        await pilot.pause()
        seen = await walked(app, pilot)
        for screen in (ConvertScreen(app.dashboard.worker, path=Path(NAME)), ConfirmScreen(*[PAYLOAD] * 4)):
            app.push_screen(screen)
            await pilot.pause()
            seen |= await walked(app, pilot, 1)
    sources = [path.read_text(encoding="utf-8") for path in Path(screens.__file__).parent.glob("*.py")]
    assert seen == {name for source in sources for name in re.findall(r"^class (\w*Screen)\(", source, re.M)}
