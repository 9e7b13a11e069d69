"""Thousands of sessions: listing, showing, comparing and opening them, beyond what ten take.

The sessions vary in length, date, clip and size, and some are damaged. Each is done with the index that is beside them,
without it, and with one that was made of other sessions. A screen counts until it shows the last session.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from bench import report
from bench.report import Line

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
MANY, SHORT_MANY, FEW, TURNS = 20_000, 60, 10, 3
LIMIT_S = 1.0
COMMANDS = ("list", "list --json", "show last", "compare last", "the screen")


def make(folder: Path, count: int) -> None:
    """Sessions, one in a hundred damaged; the newest is whole and has an earlier one with its clip."""
    from documents import build, clip, failed_row, good_row

    from speedtest_tui.core import codec

    dice = random.Random(count)
    templates = []
    for number in range(8):
        rows = [good_row(f"backend-{place}", (0.2, 0.3, 0.25), "hello there " * 4**number) for place in range(3)]
        templates.append(codec.document(build(*rows, failed_row("broken"), of=clip(f"clip {number}.wav"))))
    for number in range(count):
        began = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(minutes=97 * number)
        own = folder / "sessions" / f"{began:%Y%m%dT%H%M%S}"
        own.mkdir(parents=True)
        text = dice.choice(templates[:2] * 8 + templates).replace("2026-11-20T12:30:15", f"{began:%Y-%m-%dT%H:%M:%S}")
        broken = number % 100 == 7
        (own / "session.json").write_text(text[: len(text) // 2] if broken else text, encoding="utf-8")
        os.utime(own / "session.json", (1.7e9, 1.7e9))


def command(words: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "speedtest_tui", "sessions", *words.split()], capture_output=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:  # 1 for those that are damaged
        raise RuntimeError(done.stderr.decode()[-500:])
    return time.perf_counter() - began


async def screen(count: int) -> float:
    """Seconds from the key until all sessions are in the list."""
    from backends.registry import BUILT_IN
    from speedtest_tui.core.models.sizes import candidates
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.core.settings import Reading, Settings
    from speedtest_tui.ui.app import SpeedtestApp
    from speedtest_tui.ui.widgets.session_panes import SessionsTable
    from speedtest_tui.ui.workers.settings import Request

    quiet = Reading(Settings(listen=False))
    app = SpeedtestApp(Request(Plan(candidates(BUILT_IN[:1]), runs=1), reading=quiet))
    async with app.run_test(size=(120, 40)) as pilot, asyncio.timeout(120):
        began = time.perf_counter()
        app.dashboard.action_sessions()
        while not (found := app.screen.query(SessionsTable)) or found.first().row_count < count:
            await asyncio.sleep(0.005)
        await pilot.pause()
        return time.perf_counter() - began


def fastest(what: str, state: str, folder: Path, count: int, stale: bytes) -> float:
    """The fastest of a few turns, each with the index as `state` says."""
    os.environ["SPEEDTEST_DATA_DIR"] = str(folder)
    index = next(iter(folder.glob("sessions.index")), folder / "sessions.index")
    took = []
    for _ in range(TURNS):
        if state == "missing":
            index.unlink(missing_ok=True)
        elif state == "stale":
            index.write_bytes(stale)
        took.append(asyncio.run(screen(count)) if what == "the screen" else command(what))
    return min(took)


def measure(options: Namespace) -> list[Line]:
    count, lines = options.sessions or (SHORT_MANY if options.short else MANY), []
    # What a dashboard that has ended still writes may come while the folder is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        os.environ.update(HOME=place, PYTHONPATH=str(Path(__file__).parents[1]))
        folders = {FEW: Path(place) / "few", count: Path(place) / "many"}
        stale = b""
        for number, folder in folders.items():
            make(folder, number)
            os.environ["SPEEDTEST_DATA_DIR"] = str(folder)
            command("list")
            stale = stale or next((file.read_bytes() for file in folder.glob("sessions.index")), b"")
        for what in COMMANDS:
            for state in ("present", "missing", "stale"):
                few, many = (fastest(what, state, folder, number, stale) for number, folder in folders.items())
                measured, floor = f"{many:.2f} s for {count:,}", f"{few:.2f} s for {FEW}"
                lines.append(Line(f"{what}, index {state}", measured, floor, many - few, LIMIT_S))
    return lines


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--sessions", type=int, metavar="N", help=f"default: {MANY}")
    return report.run("many sessions", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
