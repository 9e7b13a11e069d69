"""The cache screen: what is listed, selected, planned and asked for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cache_states
import states
from textual.pilot import Pilot
from textual.widgets import Static

from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.models.status import CacheState, Fault
from speedtest_tui.core.repair.step import Plan
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.caches import CachesScreen
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.widgets.cache_table import CacheTable
from speedtest_tui.ui.widgets.job_pane import JobLines, JobPane

MakeApp = Callable[..., SpeedtestApp]


class Opened:
    """The screen, opened over the dashboard by its key."""

    def __init__(self, app: SpeedtestApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> CachesScreen:
        screen = self.app.screen
        assert isinstance(screen, CachesScreen)
        return screen

    @property
    def worker(self) -> Any:
        return self.app.dashboard.worker

    @property
    def asked(self) -> list[str]:
        return self.app.dashboard.worker.asked  # type: ignore[attr-defined,no-any-return]

    def text(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Static).render())

    def rows(self, name: str = "#caches-problems") -> list[list[str]]:
        table = self.screen.query_one(name, CacheTable)
        return [[str(cell).strip() for cell in table.get_row_at(at)] for at in range(table.row_count)]

    async def take(self, overview: CacheOverview) -> None:
        """Let the worker report another inspection."""
        self.worker.overview = overview
        self.worker.inspect(())
        await self.pilot.pause()


async def opened(app: SpeedtestApp, pilot: Pilot[None], overview: CacheOverview = cache_states.OVERVIEW) -> Opened:
    await pilot.pause()
    one = Opened(app, pilot)
    one.worker.overview = overview
    await pilot.press("c")
    await pilot.pause()
    await pilot.pause()
    return one


async def test_problems_are_listed_with_their_fix(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(140, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        rows = one.rows()
        assert [row[0] for row in rows] == ["[x]", "[x]", "[x]", "[ ]", ""]  # offered, and what nothing mends
        assert rows[1][1:3] == ["▒ partial", "small.pt"]
        assert rows[1][-1] == "resume the download (305 MB)"
        assert "download model.safetensors again (3.1 GB)" in rows[2][-1]
        assert rows[4][2:] == ["odd", "HF", "make it readable"]
        assert "4 problems · 3.4 GB to download" in one.text("#caches-status").replace("3.40", "3.4")
        assert "14.2 GB" in one.text("#caches-use") and "not there" in one.text("#caches-use")


async def test_nothing_wrong_says_so(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot, cache_states.CLEAN)  # type: ignore[arg-type]
        assert "✓ no problems" in one.text("#caches-status")
        assert "No problems found." in one.text("#caches-detail")
        await pilot.press("a", "enter", "space")  # nothing to do: nothing happens
        assert one.asked.count("repair") == 0


async def test_selecting_changes_what_is_planned_and_applied(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        await pilot.press("space", "enter")
        await pilot.pause()
        pane = one.screen.query_one(JobPane)
        assert "2 steps, 3.4" in str(pane.border_title) and "nothing deleted" in str(pane.border_title)
        assert "repair" not in " ".join(one.asked)
        await pilot.press("a")
        assert "repair 2" in one.asked


async def test_a_new_look_keeps_cursor_and_selection(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        await pilot.press("down", "down", "space")
        table = one.screen.query_one("#caches-problems", CacheTable)
        here = table.here
        plan = Plan(cache_states.STEPS[1:], (cache_states.NOTE,))  # the first one has been mended
        await one.take(CacheOverview(reports=cache_states.OVERVIEW.reports, plan=plan, done=True))
        await pilot.pause()
        assert table.here == here
        assert [row[0] for row in one.rows()] == ["[x]", "[ ]", "[ ]", ""]


async def test_a_look_that_is_still_growing_replaces_nothing(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        await one.take(CacheOverview())
        assert len(one.rows()) == 5


async def test_everything_that_lies_there(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(140, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        await pilot.press("l")
        await pilot.pause()
        rows = one.rows("#caches-stored")
        assert [row[0] for row in rows] == ["openai/whisper-medium", "small.pt", "✗ notes.txt"]
        assert rows[0][4:] == ["3.1 GB", "2026-11-02"]
        await pilot.press("down", "down")
        await pilot.pause()
        assert "does not belong here" in one.text("#caches-detail")
        await pilot.press("escape")
        await pilot.pause()
        assert len(one.rows()) == 5


async def test_a_job_is_shown_and_cancelled_before_the_screen_is_left(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        one.worker.show(cache_states.REPAIRING)
        await pilot.pause()
        assert one.screen.query_one(JobPane).display
        await pilot.press("a", "u", "x", "t")  # one thing at a time
        assert not {"repair 3", "undo 1", "checksum 1"} & set(one.asked)
        await pilot.press("escape")
        assert one.asked[-1] == "cancel job"
        assert isinstance(pilot.app.screen, CachesScreen)
        one.asked.clear()
        one.worker.show(cache_states.REPAIRED)
        await pilot.pause()
        assert "u undoes what was replaced" in str(one.screen.query_one(JobLines).render())
        assert {"inspect", "look_up nano"} <= set(one.asked)  # the list here, and the dashboard's table
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is one.app.dashboard


async def test_undo_checksum_and_trash_are_asked_for(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        await pilot.press("u", "x", "t")
        assert {"undo 1", "checksum 1"} <= set(one.asked)
        assert isinstance(pilot.app.screen, CachesScreen)  # an empty trash has nothing to ask about
        one.screen._trash_bytes = 3_400_000_000
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmScreen)
        await pilot.press("y")
        await pilot.pause()
        assert one.asked[-1] == "trash 1"


async def test_nothing_starts_during_a_race(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        one = await opened(pilot.app, pilot)  # type: ignore[arg-type]
        one.app.dashboard.worker.racing = True  # type: ignore[misc]
        await pilot.press("a", "u", "x", "v", "d")
        await pilot.pause()
        assert not {"repair 3", "undo 1", "checksum 1"} & set(one.asked)
        assert isinstance(pilot.app.screen, CachesScreen)


async def test_the_dashboard_offers_what_can_be_fetched_and_loaded(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.race.change_models(size="small")
        await pilot.pause()
        await pilot.press("d", "enter")
        await pilot.pause()
        assert app.dashboard.worker.asked[-1] == "download 1"  # whisper-mps: the others are there
        await pilot.press("v", "enter")
        await pilot.pause()
        assert app.dashboard.worker.asked[-1] == "verify 4"


async def test_work_on_models_is_seen_on_the_dashboard(still_app: MakeApp) -> None:
    async with still_app().run_test(size=(120, 40)) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.worker.show(cache_states.REPAIRING)
        await pilot.pause()
        assert "► repairing 61 %" in str(app.dashboard.query_one("StatusLine").render())
        await pilot.press("enter")  # a race would be slowed
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("y")
        await pilot.pause()
        assert app.dashboard.worker.asked[-1].startswith("start nano")


def test_what_cannot_be_loaded_is_offered_for_download_and_the_other_way_round() -> None:
    from speedtest_tui.ui.screens.choices import to_download, to_verify

    loadable = {choice.label for choice in to_verify(states.SMALL)}
    assert loadable == {"mlx-whisper", "parakeet-mlx", "transformers", "pocketsphinx"}
    assert {choice.label for choice in to_download(states.SMALL)} == {"whisper-mps"}
    gone = Fault("unreadable", Path("/disk"), "/disk is not there", todo="plug it in")
    blocked = states.model_report("transformers", "small", hf=CacheState("damaged", faults=(gone,), detail=gone.detail))
    (choice,) = to_download([blocked])
    assert (choice.disabled, choice.detail) == (True, "/disk is not there: plug it in")
