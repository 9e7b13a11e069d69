"""What the process that draws the screen imports, seen in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FIRST_FRAME = """
import json, sys
from speedtest_tui.cli.main import build_parser
from speedtest_tui.cli.dashboard import request
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.dashboard import DashboardScreen

modules = []
def begin(screen):
    modules.extend(sys.modules)
    screen.app.exit()
DashboardScreen._begin = begin

options = build_parser().parse_args(["--demo"])
SpeedtestApp(request(options)).run(headless=True)
print(json.dumps(modules))
"""

WHOLE_RACE = """
import asyncio, json, sys
from backends.registry import BUILT_IN
from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.workers.settings import Request

async def race():
    entries = tuple(entry for entry in BUILT_IN if entry.name == "pocketsphinx")
    app = SpeedtestApp(Request(Plan(candidates(entries), runs=1), demo=True, autostart=True, open_backends=False))
    async with app.run_test() as pilot:
        async with asyncio.timeout(120):
            while app.dashboard.race.snapshot is None or not app.dashboard.race.snapshot.ended:
                await asyncio.sleep(0.05)
        (row,) = app.dashboard.race.snapshot.rows
        assert (row.backend, row.status) == ("pocketsphinx", "ok"), row

asyncio.run(race())
print(json.dumps(list(sys.modules)))
"""

LEARNING = {"torch", "mlx", "transformers", "numba", "librosa", "scipy", "pocketsphinx", "mlx_whisper", "parakeet_mlx"}


def modules_after(program: str, tmp_path: Path) -> set[str]:
    environment = {
        "HOME": str(tmp_path),
        "SPEEDTEST_DATA_DIR": str(tmp_path),
        "SPEEDTEST_MODELS_DIR": str(tmp_path / "models"),
        "SPEEDTEST_CONFIG_DIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    return {*names, *(name.partition(".")[0] for name in names)}


def test_nothing_heavy_is_imported_before_the_first_frame(tmp_path: Path) -> None:
    modules = modules_after(FIRST_FRAME, tmp_path)
    assert "textual" in modules
    assert not modules & (LEARNING | {"numpy", "soundfile", "av", "soxr", "psutil", "sounddevice", "jiwer", "msgspec"})
    # What races and children are made of: some milliseconds of dataclasses.
    assert not modules & {f"speedtest_tui.core.{name}" for name in ("process", "race.events", "audio.clip")}


def test_a_whole_race_imports_no_learning_library_into_the_screens_process(tmp_path: Path) -> None:
    modules = modules_after(WHOLE_RACE, tmp_path)
    assert {"textual", "numpy", "psutil"} <= modules
    assert not modules & LEARNING
