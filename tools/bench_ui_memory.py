"""Resident memory of the process that draws the dashboard, from its start to the end of a race. Target: 120 MB."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from bench import report
from bench.report import Line
from bench.terminal import Terminal

PROGRAM = Path(sys.executable).parent / "speedtest-tui"
LIMIT_MB = 120.0
CHILD = "speedtest_tui.core.race.child"

SHORT = ("--runs", "1", "--backends", "pocketsphinx")
INTERVAL_S = 0.05
SETTLED_S = 3.0
"""No child for so long after there were some: the race has ended. Between two of them there are no such pauses."""


def has_children(process: psutil.Process) -> bool:
    """Whether any child that runs a backend is alive."""
    for child in process.children():
        try:
            if CHILD in child.cmdline():
                return True
        except psutil.Error:
            continue
    return False


def peak_during_race(race: Sequence[str], patience: float) -> tuple[float, float, int]:
    """Return (MB before the first child, peak MB until the race ended, samples). Raises TimeoutError, RuntimeError."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"SPEEDTEST_DATA_DIR": folder, "SPEEDTEST_MODELS_DIR": f"{folder}/models"}
        with Terminal([str(PROGRAM), "--demo", *race], places) as terminal:
            return followed(terminal, patience)


def followed(terminal: Terminal, patience: float) -> tuple[float, float, int]:
    """The same of a dashboard that has just been opened."""
    process = psutil.Process(terminal.process.pid)
    first = peak = 0.0
    samples = 0
    begin = seen = time.monotonic()
    racing = False
    while not racing or time.monotonic() - seen < SETTLED_S:
        end_of_sample = time.monotonic() + INTERVAL_S
        while (left := end_of_sample - time.monotonic()) > 0:
            if not terminal.drain(left):
                raise RuntimeError("the dashboard ended by itself")
        if time.monotonic() - begin > patience:
            raise TimeoutError(f"the race had not {'ended' if racing else 'begun'} after {patience:g} s")
        resident = process.memory_info().rss / 1e6
        peak, samples = max(peak, resident), samples + 1
        if has_children(process):
            racing, seen = True, time.monotonic()
        elif not racing:
            first = resident
    return first, peak, samples


def measure(options: argparse.Namespace) -> list[Line]:
    race = SHORT if options.short else ("--runs", str(options.runs))
    first, peak, samples = peak_during_race(race, options.patience)
    return [
        Line(
            what=f"RSS of the UI process, {samples} samples",
            measured=f"peak {peak:.1f} MB",
            floor=f"before the race {first:.1f} MB",
            result=peak,
            high=LIMIT_MB,
            form="{:.1f} MB",
        )
    ]


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each backend (default %(default)s)")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for its end (%(default)s)")
    return report.run("memory of the dashboard", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
