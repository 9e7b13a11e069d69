"""The dashboard with the real engine: a child process loads pocketsphinx and transcribes the demo clip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from backends.registry import BUILT_IN
from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.core.sessions.index import Summary, summaries
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.workers.settings import Request

POCKETSPHINX = tuple(entry for entry in BUILT_IN if entry.name == "pocketsphinx")
CHILD = "speedtest_tui.core.race.child"
PATIENCE_S = 120


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpeedtestApp:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(tmp_path / "models"))
    return SpeedtestApp(Request(Plan(candidates(POCKETSPHINX), runs=2), demo=True, autostart=True, open_backends=False))


def raced() -> list[psutil.Process]:
    """Children that run backends; others, such as a sound server, belong to other tests of this process."""
    return [child for child in psutil.Process().children(recursive=True) if CHILD in " ".join(child.cmdline())]


async def until(app: SpeedtestApp, condition: Callable[[RaceSnapshot], bool]) -> RaceSnapshot:
    """Let the application live until its snapshot fulfils a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while app.dashboard.race.snapshot is None or not condition(app.dashboard.race.snapshot):
            await asyncio.sleep(0.02)
    return app.dashboard.race.snapshot


async def test_a_race_runs_to_its_end_and_is_kept(app: SpeedtestApp) -> None:
    async with app.run_test(size=(120, 40)):
        snapshot = await until(app, lambda snapshot: snapshot.ended)
    row = snapshot.rows[0]
    assert (row.status, row.wer, len(row.runs_s), row.rank) == ("ok", 0.0, 2, 1)
    assert row.transcription is not None
    assert row.transcription.text == "which is the fastest transcription on my mac"
    assert row.import_s and row.load_s and row.first_s and row.peak_rss > 10_000_000
    assert [type(session) for session in summaries()] == [Summary]
    assert not raced()


@pytest.mark.parametrize("phase", ["importing", "loading", "warming", "running"])
async def test_quitting_in_any_phase_leaves_no_child_and_keeps_what_was_measured(app: SpeedtestApp, phase: str) -> None:
    seen = ["starting", "importing", "loading", "loaded", "warming", "resting", "running", "ended"]
    async with app.run_test(size=(80, 24)) as pilot:
        # Phases may be shorter than a message takes: the named one or any later one will do.
        await until(
            app,
            lambda snapshot: (
                snapshot.rows[0].phase in seen[seen.index(phase) :]
                and (phase != "running" or bool(snapshot.rows[0].runs_s))
            ),
        )
        await pilot.press("ctrl+c")
    app.dashboard.worker.close()
    assert not raced()
    kept = [type(session) for session in summaries()]
    assert kept == [Summary] or (not kept and phase != "running")
