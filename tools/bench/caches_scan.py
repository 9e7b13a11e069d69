"""How long our scan of a cache takes, against huggingface_hub's, each in a fresh process, in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.report import Line, in_turns, milliseconds
from speedtest_tui.core.race.statistics import ratio_interval

ONE_SCAN = Path(__file__).with_name("one_scan.py")
TARGET = 0.5


def scan_line(cache: Path, rounds: int) -> Line:
    """Compare on a cache that has been read before: neither waits for the disk. Raises RuntimeError."""
    processor: dict[str, list[float]] = {"ours": [], "theirs": []}
    found: set[int] = set()

    def one(whose: str) -> Callable[[], float]:
        def action() -> float:
            command = [sys.executable, str(ONE_SCAN), whose, str(cache)]
            said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            processor[whose].append(said[1])
            found.add(said[2])
            return float(said[0])

        return action

    one("ours")(), one("theirs")()
    for times in processor.values():
        times.clear()
    mine, floor = in_turns(rounds, one("ours"), one("theirs"))
    if len(found) != 1:
        raise RuntimeError(f"the two scans do not find the same repositories: {found}")
    ratio = ratio_interval(mine, floor)
    interval = f"[{ratio.low:.2f}, {ratio.high:.2f}]; " if ratio else ""
    share = median(processor["ours"]) / median(processor["theirs"])
    return Line(
        what=f"scan of {found.pop()} repositories / scan_cache_dir, {rounds} times",
        measured=milliseconds(median(mine)),
        floor=milliseconds(median(floor)),
        result=median(mine) / median(floor),
        high=TARGET,
        form="{:.2f}",
        note=f"{interval}processor {share:.2f}",
    )
