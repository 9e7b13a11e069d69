"""A backend that is set to something is verified as it is raced, from the dashboard and from the caches screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from racing import entry
from toys.well import Configured

from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.workers.settings import Request

OPTIONS = (("Configured", "beam", "3"),)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("toys", "places")
@pytest.mark.parametrize("opened", ["", "c"])
async def test_what_a_backend_is_set_to_holds_for_verifying(opened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = entry(Configured)
    monkeypatch.setattr("backends.registry.entries", lambda: (toy,))
    plan = Plan(candidates((toy,), options=OPTIONS))
    app = SpeedtestApp(Request(plan, open_backends=False, options=OPTIONS))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.dashboard.race.reports)
        if opened:
            await pilot.press(opened)
            await until(lambda: getattr(app.screen, "complete", False))
        await pilot.press("v")
        await pilot.pause()
        await pilot.press("enter")
        await until(lambda: app.dashboard.worker.view and app.dashboard.worker.view.over)
        view = app.dashboard.worker.view
    assert view is not None
    assert [(row.state, row.advice) for row in view.rows] == [("done", None)]
