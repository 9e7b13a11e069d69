"""Races without end: one dashboard with real children, as left open for a day. Nothing may grow from the tenth race on.

Memory resident in the dashboard's process, its descriptors and threads, and living processes below it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from typing import NamedTuple

import psutil
from bench import report
from bench.report import Line

RACES, SHORT_RACES, SETTLED_AFTER = 500, 14, 10
HOLDINGS = ("memory", "descriptors", "threads", "children")
GROWTH_MB = 8.0
"""What caches may take until they are full: in Textual the last 1024 answers of each pane's queries, after 50 races, in
Rich the widths of the last 4096 texts, after 300. And a list of 490 sessions, made and thrown away in each race."""

PATIENCE_S = 60.0


class Held(NamedTuple):
    """What the process has at one moment."""

    megabytes: float
    descriptors: int
    threads: int
    children: int


def held() -> Held:
    """Now, without what Python would throw away by itself."""
    gc.collect()
    process = psutil.Process()
    return Held(
        process.memory_info().rss / 1e6, process.num_fds(), process.num_threads(), len(process.children(recursive=True))
    )


async def race(races: int) -> list[Held]:
    """One dashboard; after each race, what it holds once its threads have had time to end."""
    from backends.registry import BUILT_IN
    from speedtest_tui.core.models.sizes import candidates
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.ui.app import SpeedtestApp
    from speedtest_tui.ui.workers.settings import Request

    entries = [entry for entry in BUILT_IN if entry.name == "pocketsphinx"]
    app = SpeedtestApp(Request(Plan(candidates(entries), runs=1), demo=True, open_backends=False))
    found: list[Held] = []
    async with app.run_test(size=(120, 40)) as pilot, asyncio.timeout(races * PATIENCE_S):
        control = app.dashboard.race
        while len(found) < races:
            before = control.snapshot
            await pilot.press("enter")
            while control.snapshot is before or control.snapshot is None or not control.snapshot.ended:
                await asyncio.sleep(0.01)
            if control.snapshot.rows[0].status != "ok":
                raise RuntimeError(f"race {len(found) + 1} failed: {control.snapshot.rows[0].error}")
            while control.running or psutil.Process().children():
                await asyncio.sleep(0.01)
            found.append(held())
    return found


def measure(options: argparse.Namespace) -> list[Line]:
    races = options.races or (SHORT_RACES if options.short else RACES)
    with tempfile.TemporaryDirectory() as folder:
        own = {"HOME": folder, "SPEEDTEST_DATA_DIR": f"{folder}/data", "SPEEDTEST_MODELS_DIR": f"{folder}/models"}
        os.environ.update(own)
        found = asyncio.run(race(races))
    settled, last = found[SETTLED_AFTER - 1], found[-1]
    forms = ("{:.1f} MB", "{:.0f}", "{:.0f}", "{:.0f}")
    return [
        Line(
            what=f"{name} after {races} races, more than after the tenth",
            measured=form.format(end),
            floor=form.format(begin),
            result=end - begin,
            high=GROWTH_MB if name == "memory" else 0,
            form=form,
        )
        for name, form, begin, end in zip(
            ("memory", "descriptors", "threads", "children"), forms, settled, last, strict=True
        )
    ]


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--races", type=int, metavar="N", help=f"default: {RACES}")
    return report.run("races in one dashboard", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
