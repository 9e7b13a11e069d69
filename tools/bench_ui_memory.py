"""Resident memory of the process that draws the dashboard, from its start to the end of a race. Target: 120 MB."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench.report import Line, machine, print_lines
from bench.terminal import Terminal

PROGRAM = Path(sys.executable).parent / "speedtest-tui"
LIMIT_MB = 120.0
CHILD = "speedtest_tui.core.race.child"

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


def peak_during_race(runs: int, patience: float) -> tuple[float, float, int]:
    """Return (MB before the first child, peak MB until the race ended, samples). Raises TimeoutError, RuntimeError."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Terminal([str(PROGRAM), "--demo", "--runs", str(runs)], {"SPEEDTEST_DATA_DIR": folder}) as terminal,
    ):
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Peak RSS of the dashboard's own process during a demo race.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each backend (default %(default)s)")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for its end (%(default)s)")
    options = parser.parse_args()
    before = machine()
    try:
        first, peak, samples = peak_during_race(options.runs, options.patience)
    except (TimeoutError, RuntimeError) as error:
        print(f"bench_ui_memory: {error}", file=sys.stderr)
        return 1
    line = Line(
        what=f"RSS of the UI process, {samples} samples",
        measured=f"peak {peak:.1f} MB",
        floor=f"before the race {first:.1f} MB",
        result=peak,
        high=LIMIT_MB,
        form="{:.1f} MB",
    )
    return print_lines("memory of the dashboard", [line], before)


if __name__ == "__main__":
    sys.exit(main())
