"""Recording, playing and choosing a microphone on the dashboard, with a microphone that only notes what it is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import states
from textual.widgets import Static

from speedtest_tui.core.audio.devices import DeviceReport, InputDevice
from speedtest_tui.core.audio.player import PlayerState
from speedtest_tui.core.audio.recorder import RecorderState
from speedtest_tui.core.audio.view import Trim
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.choice import ChoiceScreen
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.workers.messages import (
    ClipReady,
    DevicesKnown,
    LeftoversFound,
    PlayerChanged,
    RecorderChanged,
    RecordingFailed,
)

MakeApp = Callable[..., SpeedtestApp]


class Take:
    """Stands for a recording on disk: notes whether it was discarded."""

    seconds = 3.4
    facts = SimpleNamespace(started=time.mktime((2026, 11, 24, 1, 42, 0, 0, 0, -1)))

    def __init__(self) -> None:
        self.discarded = self.seen = 0

    def discard(self) -> None:
        self.discarded += 1

    def mark_seen(self) -> None:
        self.seen += 1


def text(app: SpeedtestApp, name: str) -> str:
    return str(app.dashboard.query_one(f"#clip-{name}", Static).render())


def asked(app: SpeedtestApp) -> list[str]:
    return [what for what in app.dashboard.worker.asked if what.startswith("microphone")]  # type: ignore[attr-defined]


async def post(app: SpeedtestApp, pilot: Any, *messages: Any) -> None:
    await pilot.pause()  # what the worker reports at the start comes first
    for message in messages:
        app.dashboard.post_message(message)
    await pilot.pause()


async def test_without_a_clip_the_microphone_listens_and_shows_its_level(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await post(app, pilot, RecorderChanged(states.HEARD))
        assert asked(app)[:2] == ["microphone listen", "microphone look_for_leftovers"]
        assert text(app, "name").startswith("○ listening   USB Mic · 48 kHz")
        assert "−31.5 dB   peak −20.0 dB" in text(app, "level")


async def test_the_microphone_stays_closed_where_settings_say_so(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    app.dashboard.store.settings = replace(app.dashboard.store.settings, listen=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "microphone listen" not in asked(app)


@pytest.mark.parametrize("key", ["r", "space"])
async def test_a_key_records_and_the_same_key_takes_the_clip(still_app: MakeApp, key: str) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(key)
        await post(app, pilot, RecorderChanged(states.GROWING))
        assert text(app, "name").startswith("● REC 3.4 s")
        assert "3 samples clipped" in text(app, "level")
        assert str(app.dashboard.query_one(ClipPane).border_subtitle).startswith("REC 3.4 s")
        assert app.dashboard.query_one(KeyLine).hints()[0].word == "record"
        await pilot.press("enter")  # no race while a recording grows
        await pilot.press(key)
        assert [what for what in asked(app) if what in ("microphone record", "microphone finish")] == [
            "microphone record",
            "microphone finish",
        ]
        await post(app, pilot, ClipReady(states.clip_view(warnings=("5 samples are clipped",))))
        assert "! 5 samples are clipped" in text(app, "level")
        assert not any(what.startswith("start") for what in app.dashboard.worker.asked)  # type: ignore[attr-defined]


async def test_a_recording_that_ends_by_itself_is_taken(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("r")
        lost = replace(states.GROWING, phase="lost", how="lost", reason="the microphone is gone")
        await post(app, pilot, RecorderChanged(states.GROWING), RecorderChanged(lost))
        assert asked(app)[-1] == "microphone finish"


async def test_no_microphone_is_said_without_noise(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        failed = RecorderState("lost", how="failed", reason="no microphone is connected: plug one in")
        await post(app, pilot, RecorderChanged(failed))
        assert text(app, "name").startswith("No microphone: no microphone is connected: plug one in.")
        await post(app, pilot, RecordingFailed("nothing was recorded: check the device"))
        assert "nothing was recorded: check the device" in text(app, "name")


async def test_nothing_is_recorded_while_a_race_is_running(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.dashboard.worker.show(states.running())  # type: ignore[attr-defined]
        await pilot.press("r", "p")
        assert not {"microphone record", "microphone play"} & set(asked(app))


async def test_p_plays_and_the_border_says_how_far(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("p")
        assert "microphone play" in asked(app)
        await post(app, pilot, PlayerChanged(PlayerState("playing", 1.2, 4.0)))
        assert app.dashboard.query_one(ClipPane).border_subtitle == "► playing 1.2 s of 4.00 s"
        await post(app, pilot, PlayerChanged(PlayerState("failed", problem="no loudspeaker: plug one in")))
        assert "playing" not in str(app.dashboard.query_one(ClipPane).border_subtitle)


async def test_silence_can_be_trimmed_and_that_undone(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("x")
        assert "microphone trim" not in asked(app)
        view = replace(states.clip_view(), trim=Trim(0.5, 3.0, 4.0))
        await post(app, pilot, ClipReady(view))
        assert "x trims 1.50 s of silence" in text(app, "level")
        await pilot.press("x")
        assert asked(app)[-1] == "microphone trim"
        await post(app, pilot, ClipReady(replace(view, full=view.clip)))
        assert "1.50 s of silence trimmed · x undoes it" in text(app, "level")


async def test_a_microphone_is_chosen_and_remembered(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("i")
        assert asked(app)[-1] == "microphone look_for_devices"
        devices = tuple(InputDevice(name, 1, 48_000.0, "Core Audio", False, i) for i, name in enumerate(("A", "B")))
        await post(app, pilot, DevicesKnown(DeviceReport(devices)))
        assert isinstance(app.screen, ChoiceScreen)
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app.dashboard.store.settings.device == "B"
        assert asked(app)[-2:] == ["microphone rest", "microphone listen B"]


async def test_a_recording_in_no_session_is_not_let_go_unasked(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        take: Any = Take()
        await post(app, pilot, ClipReady(replace(states.clip_view(), recording=take)))
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("escape")
        assert app.dashboard.clips.clip is not None and not take.discarded
        await pilot.press("n")
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        assert app.dashboard.clips.clip is None and take.discarded == 1


async def test_a_recording_in_a_session_is_let_go(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        take: Any = Take()
        await post(app, pilot, ClipReady(replace(states.clip_view(), recording=take)))
        ended = states.ended(states.finished(), tmp_path)
        await post(app, pilot, ended)
        assert take.discarded == 1
        await pilot.press("n")
        await pilot.pause()
        assert app.dashboard.clips.clip is None and take.discarded == 1


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_an_unsaved_recording_is_offered_in_one_line(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=size) as pilot:
        takes: Any = (Take(), Take())
        await post(app, pilot, LeftoversFound(takes))
        assert app.screen is app.dashboard
        where = "Guide" if size[1] < 20 else "#clip-offer"
        line = app.dashboard.query_one(where)
        assert line.display and line.size.height
        assert str(line.render()).endswith("Unsaved 3.4 s, 24 Nov 01:42: u use · p play · del discard")
        await pilot.press("p")
        assert asked(app)[-1] == "microphone listen_to"
        await pilot.press("backspace", "escape")
        assert not takes[0].discarded and app.dashboard.clips.offered is takes[0]
        await pilot.press("backspace", "y")
        await pilot.pause()
        assert takes[0].discarded == 1 and app.dashboard.clips.offered is takes[1]
        await pilot.press("u")
        assert asked(app)[-1] == "microphone recover"
        await post(app, pilot, ClipReady(replace(states.clip_view(), recording=takes[1])))
        assert not str(app.dashboard.query_one("#clip-offer", Static).render()) and not takes[1].discarded
        await pilot.press("u", "backspace")
        assert app.screen is app.dashboard and asked(app).count("microphone recover") == 1


async def test_nothing_unsaved_is_offered_with_a_clip_or_after_quitting_with_it_seen(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        take: Any = Take()
        await post(app, pilot, ClipReady(replace(states.clip_view(), recording=take)))
        assert "microphone look_for_leftovers" not in asked(app)
        await pilot.press("q")
    assert (take.seen, take.discarded) == (1, 0)


async def test_quitting_asks_while_a_recording_grows(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("r", "q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("escape")
        assert app.screen is app.dashboard
        await pilot.press("q", "y")
    assert app.return_code == 0
