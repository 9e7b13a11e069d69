"""Ten thousand random keys and resizes: nothing breaks, and what is shown stays consistent with what is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import states

from backends.catalogue import SIZES
from speedtest_tui.core.bench.plan import MAX_RUNS
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.widgets.backend_bar import BackendBar

SEED, STEPS, BATCH = 20261120, 10_000, 40

KEYS = [
    *"obslntymdSrp+-?q /~.aeéß日",
    *("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *("space", "backspace", "delete", "f1", "f2", "f5", "ctrl+p", "ctrl+c", "ctrl+s", "ctrl+u", "escape", "escape"),
]
WIDTHS, HEIGHTS = (1, 10, 40, 60, 80, 100, 120, 160, 200), (1, 4, 8, 15, 24, 30, 40, 60)
SNAPSHOTS = (states.loading, states.running, states.finished, states.cancelled)


def consistent(app: SpeedtestApp) -> None:
    """What must hold whatever was pressed."""
    dashboard = app.dashboard
    assert app.screen_stack[0] is dashboard
    assert 1 <= dashboard.plan.runs <= MAX_RUNS
    assert dashboard.plan.size in SIZES
    assert dashboard.plan.backends
    rows = dashboard.snapshot.rows if dashboard.snapshot else dashboard.plan.backends
    assert len(dashboard.query(BackendBar)) == len(rows)


@pytest.mark.timeout(900)
async def test_random_keys_and_resizes(
    still_app: Callable[..., SpeedtestApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkey = random.Random(SEED)
    app = still_app()
    leaving = []
    monkeypatch.setattr(app, "exit", lambda *arguments, **options: leaving.append(arguments))
    async with app.run_test(size=(80, 24)) as pilot:
        done = 0
        while done < STEPS:
            batch = [monkey.choice(KEYS) for _ in range(BATCH)]
            await pilot.press(*batch)
            done += len(batch) + 1
            if monkey.random() < 0.5:
                await pilot.resize_terminal(monkey.choice(WIDTHS), monkey.choice(HEIGHTS))
            else:
                app.dashboard.bridge.show(monkey.choice(SNAPSHOTS)())  # type: ignore[attr-defined]
            await pilot.pause()
            consistent(app)
    assert leaving
