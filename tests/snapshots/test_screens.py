"""The look of the screens that open over the dashboard, without it. Regenerate on purpose only."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import convert_states
import offer_states
import pytest
import states
import textual
from session_files import write_damaged, write_session
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from backends.registry import BUILT_IN
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.settings import Reading, Settings
from speedtest_tui.ui.screens.choice import Choice, ChoiceScreen
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.screens.convert import ConvertScreen
from speedtest_tui.ui.screens.open_file import OpenFileScreen
from speedtest_tui.ui.screens.picker import PickerScreen
from speedtest_tui.ui.screens.reference import ReferenceScreen
from speedtest_tui.ui.screens.sessions import SessionsScreen
from speedtest_tui.ui.workers.settings import SettingsStore

pytestmark = pytest.mark.skipif(
    textual.__version__ != "8.2.8", reason="snapshots belong to the Textual version of constraints.txt"
)

BACKENDS = (
    Choice("mlx-whisper", "mlx-whisper", "whisper-small-mlx-4bit · local, 139 MB"),
    Choice("parakeet-mlx", "parakeet-mlx", "parakeet-tdt-0.6b-v2 · HF, 1.2 GB"),
    Choice("whisper-mps", "whisper-mps", "37 % of small.pt is downloaded, 305 MB are missing", disabled=True),
    Choice("transformers", "transformers", "whisper-small · HF, 967 MB"),
    Choice("pocketsphinx", "pocketsphinx"),
)
CHOSEN = ("mlx-whisper", "transformers")
QUESTION = "A race is running. Quitting cancels it; what was measured is kept."


@pytest.fixture
def home(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Recordings and sessions below a home whose own path is never shown, in a fixed time zone."""
    home = places / "home"
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(home / "data"))
    time.tzset()
    recordings = home / "Recordings"
    for name in ("2026 archive", "Räume"):
        (recordings / name).mkdir(parents=True)
    for name, size in (("interview.m4a", 3_100_000), ("Vorlesung über Zeit.flac", 220_000_000), ("memo.ogg", 40_000)):
        with (recordings / name).open("wb") as file:
            file.truncate(size)
        os.utime(recordings / name, (1_790_000_000, 1_790_000_000))
    for hours in range(0, 56, 7):
        write_session(home / "data", hours, cancelled=hours == 21)
    write_damaged(home / "data", 9)
    yield home
    monkeypatch.undo()
    time.tzset()


def opens(screen: Screen[Any], *keys: str, note: str = "", until: Callable[[str], bool] = bool) -> Any:
    """Open a screen; wait until the line called `note`, if any, says what it should."""

    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.pause()
        pilot.app.push_screen(screen)
        await pilot.pause()
        for field in screen.query("Input, TextArea").results():
            field.cursor_blink = False  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while note and not until(str(screen.query_one(note, Static).render())):
                await pilot.pause(0.01)
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def look(request: pytest.FixtureRequest, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Compare what a preparation leads to, at two sizes, over an empty application."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    return lambda prepare: bool(snap_compare(App[None](), terminal_size=request.param, run_before=prepare))


def test_open_file(look: Callable[..., bool], home: Path) -> None:
    recent = (home / "Recordings" / "interview.m4a", home / "Recordings" / "lost.wav")
    screen = OpenFileScreen(recent, home / "Recordings")

    def filled(note: str) -> bool:
        return "files" in note and "✗ gone" in str(screen.query_one("PickList").options[2].prompt)  # type: ignore[attr-defined]

    assert look(opens(screen, note="#open-note", until=filled))


def test_choice(look: Callable[..., bool], home: Path) -> None:
    assert look(opens(ChoiceScreen("Backends to race", BACKENDS, CHOSEN, multiple=True), "down"))


def test_reference(look: Callable[..., bool], home: Path) -> None:
    assert look(opens(ReferenceScreen(states.TEXT)))


def test_confirm(look: Callable[..., bool], home: Path) -> None:
    assert look(opens(ConfirmScreen(QUESTION, "Quit", "Go on racing")))


def test_sessions(look: Callable[..., bool], home: Path) -> None:
    def filled(note: str) -> bool:
        return "9 sessions" in note and "reading" not in note

    assert look(opens(SessionsScreen(), note="#sessions-status", until=filled))


@pytest.mark.parametrize("name", ["choices", "working", "proven"])
def test_convert(look: Callable[..., bool], home: Path, name: str) -> None:
    worker: Any = states.StillWorker(lambda message: None)
    worker.busy = name == "working"
    screen = ConvertScreen(worker, path=convert_states.SOURCE)

    async def prepare(pilot: Pilot[None]) -> None:
        await opens(screen)(pilot)
        for message in (convert_states.SEEN, convert_states.ROOMY):
            screen.post_message(message)
        await pilot.pause()
        if name != "choices":
            worker.show(convert_states.CONVERTING if name == "working" else convert_states.CONVERTED)
        await pilot.pause()

    assert look(prepare)


@pytest.mark.parametrize("colour", ["dark", "no-color"])
def test_picker(look: Callable[..., bool], home: Path, colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if colour == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    plan = Plan(tuple(offer_states.OFFERS[place].candidate for place in (3, 5, 11, 17)), runs=5)
    store = SettingsStore(Reading(Settings(shortlists={"mine": ("mlx-whisper:small",)})), lambda _: None)
    screen = PickerScreen(offer_states.Still(lambda _: None), store, BUILT_IN, plan)  # type: ignore[arg-type]
    assert look(opens(screen, "down"))
