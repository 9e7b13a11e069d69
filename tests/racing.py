"""Helpers for tests with real child processes: running a race to its end, and finding what it left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from backends.base import BackendEntry
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.conditions import Conditions
from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot, Row
from speedtest_tui.core.race.supervisor import Race

TESTS = Path(__file__).parent
MARK = "SPEEDTEST_TEST_MARK"
"""Environment variable by which the processes of one test are known, whoever their parent is by then."""

PATIENCE_S = 120.0
"""How long a race may take before the test gives up; only reached where something is wrong."""


def python_path(*folders: Path) -> str:
    """PYTHONPATH for processes of a test: folders of its own, and the program that is tested."""
    return os.pathsep.join(map(str, (*folders, TESTS.parent)))


def noise(seconds: float = 0.5) -> Clip:
    """A clip that counts as speech, for backends that do not listen."""
    samples = np.random.default_rng(3).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
    return Clip(samples.clip(-1, 1), "noise")


def entry(toy: type) -> BackendEntry:
    """A toy as the registry would list it."""
    return BackendEntry(toy.__name__, f"{toy.__module__}:{toy.__name__}", "toy shop")


def plan(*toys: type, runs: int = 2, stall_s: float = 30.0, **rest: Any) -> Plan:
    """A plan for toys, the same on every system; no stall is expected unless a test asks for one."""
    return Plan(candidates(map(entry, toys)), runs=runs, stall_s=stall_s, **{"pulse": False, **rest})


def finish(race: Race) -> RaceSnapshot:
    """Join a race that was started; cancels it and fails where it does not end."""
    race.join(PATIENCE_S)
    if race.is_alive():
        race.cancel()
        race.join(10)
        raise AssertionError(f"the race did not end: {race.snapshot}")
    assert race.snapshot.ended
    return race.snapshot


def run(
    plan: Plan,
    clip: Clip | None = None,
    listener: Callable[[RaceSnapshot], None] | None = None,
    look: Callable[[], Conditions] = Conditions,
) -> RaceSnapshot:
    """Run a race and return its last snapshot. By default nothing is known of the machine's power and heat."""
    race = Race(plan, clip or noise(), listener or (lambda _: None), look=look)
    race.start()
    return finish(race)


def rows(snapshot: RaceSnapshot) -> dict[str, Row]:
    """The rows by backend."""
    return {row.backend: row for row in snapshot.rows}


def sentence(row: Row) -> str:
    """A row's error as people see it."""
    return str(row.error.advice) if row.error else ""


def marked(mark: str, apart_from: Iterable[int] = ()) -> list[psutil.Process]:
    """Living processes whose environment carries a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            continue
        if ours and process.pid not in {os.getpid(), *apart_from}:
            found.append(process)
    return found


def survivors(mark: str) -> list[psutil.Process]:
    """Processes with that mark which do not end; what a child has started is killed with it, but not waited for."""
    eventually(lambda: not marked(mark), 5)
    return marked(mark)


def eventually(condition: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is true or time is up; return the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return answer
