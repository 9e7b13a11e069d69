"""Random keys and resizes: nothing breaks, and what is shown stays consistent with what is known.

A run that failed says its seed; `SPEEDTEST_MONKEY_SEED=N` repeats it, `SPEEDTEST_MONKEY_KEYS=N` presses more keys.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import states
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from backends.catalogue import SIZES
from speedtest_tui.core.settings import MAX_RUNS
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.widgets.race_pane import CandidateLine

SEED = int(os.environ.get("SPEEDTEST_MONKEY_SEED") or random.SystemRandom().randrange(1_000_000))
STEPS, BATCH = int(os.environ.get("SPEEDTEST_MONKEY_KEYS") or 2_000), 40

KEYS = [
    *"obslntymdcvixuSrpk+-?q /~.aezgéß日",
    *("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *("space", "backspace", "delete", "f1", "f2", "f5", "ctrl+p", "ctrl+c", "ctrl+s", "ctrl+u", "escape", "escape"),
]
WIDTHS, HEIGHTS = (1, 10, 40, 60, 80, 100, 120, 160, 200), (1, 4, 8, 15, 24, 30, 40, 60)
SNAPSHOTS = (states.loading, states.running, states.finished, states.cancelled, states.many)


async def settled(app: SpeedtestApp, pilot: Pilot[None]) -> None:
    """Let rows that are being replaced be mounted, but no longer than it can take."""
    for _ in range(20):
        await pilot.pause()
        if len(app.dashboard.query(CandidateLine)) == len(rows_known(app)):
            return


def rows_known(app: SpeedtestApp) -> Sequence[object]:
    """What should have a bar."""
    return app.dashboard.race.snapshot.rows if app.dashboard.race.snapshot else app.dashboard.race.plan.backends


def consistent(app: SpeedtestApp) -> None:
    """What must hold whatever was pressed."""
    dashboard = app.dashboard
    assert app.screen_stack[0] is dashboard
    assert 1 <= dashboard.race.plan.runs <= MAX_RUNS
    assert dashboard.race.plan.size in SIZES
    assert dashboard.race.plan.backends
    assert len(dashboard.query(CandidateLine)) == len(rows_known(app))


async def typed(app: SpeedtestApp, keys: list[str]) -> None:
    """Send keys as fast as a terminal may; Pilot waits some 40 ms after each."""
    assert app._driver is not None
    for key in keys:
        character = key if len(key) == 1 else {"space": " "}.get(key)
        name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
        event = events.Key(name, character)
        event.set_sender(app)
        app._driver.send_message(event)
        await asyncio.sleep(0)


@pytest.mark.timeout(900)
async def test_random_keys_and_resizes(
    still_app: Callable[..., SpeedtestApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkey = random.Random(SEED)
    print(f"SPEEDTEST_MONKEY_SEED={SEED}")
    app = still_app()
    leaving = []
    monkeypatch.setattr(app, "exit", lambda *arguments, **options: leaving.append(arguments))
    async with app.run_test(size=(80, 24)) as pilot:
        done = 0
        while done < STEPS:
            batch = [monkey.choice(KEYS) for _ in range(BATCH)]
            await typed(app, batch)
            done += len(batch) + 1
            if monkey.random() < 0.5:
                await pilot.resize_terminal(monkey.choice(WIDTHS), monkey.choice(HEIGHTS))
            else:
                app.dashboard.worker.show(monkey.choice(SNAPSHOTS)())  # type: ignore[attr-defined]
            await settled(app, pilot)
            consistent(app)
    assert leaving
