"""Racing with what is there: models that are missing are asked about once, downloaded, and raced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import states
from textual.widgets import Static

from backends.base import Advice, Location
from speedtest_tui.core.jobs.job import JobRow, JobView
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.settings import Reading, Settings
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.widgets.models_pane import ModelsPane
from speedtest_tui.ui.workers.messages import ModelsKnown

MakeApp = Callable[..., Any]
ALL = len(states.PLAN.candidates)

ALL = len(states.PLAN.candidates)
HERE = Location(Path("/m"), "r", "hf", 100_000_000)
ROW = JobRow("a", "small", "running", bytes=50_000_000, total=200_000_000, speed=1e7, backends=("whisper-mps",))
RUNNING = JobView("download", "Download", (ROW,))
DONE = replace(RUNNING, rows=(replace(RUNNING.rows[0], state="done"),), state="done", summary="1 downloaded")
FAILED = replace(
    RUNNING,
    rows=(replace(RUNNING.rows[0], state="failed", advice=Advice("no network", "connect and try again")),),
    state="failed",
    summary="1 failed: no network",
)


def reports(*missing: str, size: str = "small") -> tuple[ModelReport, ...]:
    return (
        tuple(replace(one, location=None if one.backend in missing else HERE, states=()) for one in states.SMALL)
        if size == "small"
        else states.NANO
    )


class App:
    """The dashboard with a size whose models are told by the test."""

    def __init__(self, still_app: MakeApp, **facts: Any) -> None:
        self.app: Any = still_app(**facts)

    @property
    def asked(self) -> list[str]:
        return [line for line in self.app.dashboard.worker.asked if line.startswith(("start", "download"))]

    @property
    def question(self) -> str:
        screen = self.app.screen
        assert isinstance(screen, ConfirmScreen)
        return str(screen.query_one("#confirm-question", Static).render())

    async def choose(self, pilot: Any, *missing: str) -> None:
        await pilot.pause()
        self.app.dashboard.race.change_models(size="small")
        self.app.dashboard.post_message(ModelsKnown("small", reports(*missing)))
        await pilot.pause()


async def test_with_all_there_nothing_is_asked(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(120, 40)) as pilot:
        await one.choose(pilot)
        await pilot.press("enter")
        assert one.asked == ["start small x3 on interview.m4a"]


async def test_what_is_here_races_without_the_others(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(80, 24)) as pilot:
        await one.choose(pilot, "whisper-mps", "transformers")
        await pilot.press("enter")
        assert one.question.startswith(f"2 of {ALL} models are not on this machine yet (1.45 GB)")
        await pilot.press("d")
        assert one.asked == ["start small x3 on interview.m4a"]
        assert {entry.name for entry in one.app.dashboard.worker.started.backends}.isdisjoint(
            {"whisper-mps", "transformers"}
        )
        assert len(one.app.dashboard.race.plan.backends) == ALL


async def test_the_race_follows_the_download(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(120, 40)) as pilot:
        await one.choose(pilot, "whisper-mps")
        await pilot.press("enter")
        assert one.question.startswith(f"1 of {ALL} models is not on this machine yet (484 MB)")
        await pilot.press("y")
        assert one.asked == ["download 1"]
        assert one.app.dashboard.store.settings.download
        one.app.dashboard.worker.show(RUNNING)
        await pilot.pause()
        states.MODELS["small"] = reports()
        try:
            one.app.dashboard.worker.show(DONE)
            await pilot.pause()
            await pilot.pause()
        finally:
            states.MODELS["small"] = states.SMALL
        assert one.asked == ["download 1", "start small x3 on interview.m4a"]
        assert not one.app.dashboard.store.settings.download


async def test_no_race_follows_where_something_else_was_wanted(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(120, 40)) as pilot:
        await one.choose(pilot, "whisper-mps")
        await pilot.press("enter", "y")
        one.app.dashboard.race.change_models(size="nano")
        one.app.dashboard.worker.show(DONE)
        await pilot.pause()
        assert one.asked == ["download 1"]


async def test_why_it_failed_stays_in_the_row(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(120, 40)) as pilot:
        await one.choose(pilot, "whisper-mps")
        await pilot.press("enter", "y")
        one.app.dashboard.worker.show(FAILED)
        one.app.dashboard.post_message(ModelsKnown("small", reports("whisper-mps")))
        await pilot.pause()
        drawn = str(one.app.dashboard.query_one(ModelsPane).query_one("ModelList").render())
        assert "✗ no network: connect" in drawn
        assert one.asked == ["download 1"]
        one.app.dashboard.post_message(ModelsKnown("small", reports()))
        await pilot.pause()
        assert "no network" not in str(one.app.dashboard.query_one(ModelsPane).query_one("ModelList").render())


@pytest.mark.parametrize(("key", "follows"), [("d", "start small"), ("y", "download 2"), ("n", "")])
async def test_what_came_can_race_without_what_did_not(still_app: MakeApp, key: str, follows: str) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(80, 24)) as pilot:
        await one.choose(pilot, "whisper-mps", "transformers", "parakeet-mlx")
        await pilot.press("enter", "y")
        assert one.asked == ["download 3"]
        failed, came = FAILED.rows[0], replace(ROW, state="done")
        states.MODELS["small"] = reports("whisper-mps", "transformers")
        try:
            one.app.dashboard.worker.show(replace(FAILED, rows=(failed, replace(failed, key="b"), came)))
            await pilot.pause()
            await pilot.pause()
        finally:
            states.MODELS["small"] = states.SMALL
        assert one.question == f"2 of {ALL} could not be downloaded (no network): race the {ALL - 2} that are here?"
        await pilot.press(key)
        assert [line for line in one.asked[1:] if not line.startswith(follows or "-")] == []
        assert len(one.asked) == 1 + bool(follows)
        if key == "d":
            assert len(one.app.dashboard.worker.started.candidates) == ALL - 2


async def test_where_nothing_came_and_nothing_is_here_nobody_is_asked(still_app: MakeApp) -> None:
    one = App(still_app)
    async with one.app.run_test(size=(80, 24)) as pilot:
        await one.choose(pilot, *(report.backend for report in states.SMALL))
        race = one.app.dashboard.race
        race.change_candidates([x for x in race.plan.candidates if x.backend in ("whisper-mps", "transformers")])
        await pilot.press("enter", "y")
        states.MODELS["small"] = reports("whisper-mps", "transformers")
        try:
            one.app.dashboard.worker.show(FAILED)
            await pilot.pause()
            await pilot.pause()
        finally:
            states.MODELS["small"] = states.SMALL
        assert one.app.screen is one.app.dashboard and len(one.asked) == 1


async def test_a_download_that_was_not_finished_is_offered_after_a_restart(still_app: MakeApp) -> None:
    plan = replace(states.PLAN, candidates=tuple(replace(one, size="small") for one in states.PLAN.candidates))
    one = App(still_app, plan=plan, reading=Reading(Settings(download=True)), demo=False)
    async with one.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert one.question.startswith(f"A download was not finished: 1 of {ALL} models is not on this machine yet")
        await pilot.press("n")
        assert one.asked == []
        assert not one.app.dashboard.store.settings.download
