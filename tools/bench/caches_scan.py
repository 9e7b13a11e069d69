"""How long our scan of a cache, and all that could race with it, take against huggingface_hub's scan.

Each in a fresh process, in turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.caches_screen import places
from bench.report import Line, in_turns, milliseconds
from speedtest_tui.core.race.statistics import ratio_interval

ONE_SCAN = Path(__file__).with_name("one_scan.py")
TARGET, PICK_TARGET, PICK_TARGET_S = 0.5, 2.0, 1.0


class Scans:
    """Times of what is compared on a cache that has been read before: nothing waits for the disk."""

    def __init__(self, cache: Path, rounds: int, whose: str) -> None:
        """Raises CalledProcessError."""
        self.cache, self.whose = cache, whose
        self.environment = os.environ | places(cache.parent, cache)
        self.processor: dict[str, list[float]] = {whose: [], "theirs": []}
        self.found: dict[str, set[int]] = {whose: set(), "theirs": set()}
        self.one(whose), self.one("theirs")
        for times in self.processor.values():
            times.clear()
        self.mine, self.floor = in_turns(rounds, lambda: self.one(whose), lambda: self.one("theirs"))

    def one(self, whose: str) -> float:
        command = [sys.executable, str(ONE_SCAN), whose, str(self.cache)]
        said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=self.environment).stdout)
        self.processor[whose].append(said[1])
        self.found[whose].add(said[2])
        return float(said[0])

    def line(self, what: str, high: float) -> Line:
        ratio = ratio_interval(self.mine, self.floor)
        interval = f"[{ratio.low:.2f}, {ratio.high:.2f}]; " if ratio else ""
        share = median(self.processor[self.whose]) / median(self.processor["theirs"])
        return Line(
            what=f"{what} / scan_cache_dir, {len(self.mine)} times",
            measured=milliseconds(median(self.mine)),
            floor=milliseconds(median(self.floor)),
            result=median(self.mine) / median(self.floor),
            high=high,
            form="{:.2f}",
            note=f"{interval}processor {share:.2f}",
        )


def scan_line(cache: Path, rounds: int) -> Line:
    """Our scan. Raises RuntimeError."""
    scans = Scans(cache, rounds, "ours")
    if len(found := scans.found["ours"] | scans.found["theirs"]) != 1:
        raise RuntimeError(f"the two scans do not find the same repositories: {found}")
    return scans.line(f"scan of {found.pop()} repositories", TARGET)


def pick_lines(cache: Path, rounds: int) -> list[Line]:
    """Everything that could race, to the end: as a ratio, and in seconds, which somebody waits for."""
    scans = Scans(cache, rounds, "offers")
    ratio = scans.line(
        f"{max(scans.found['offers'])} offers with {max(scans.found['theirs'])} repositories", PICK_TARGET
    )
    high, most = PICK_TARGET_S, max(scans.mine)
    waits = Line("the same to its end", ratio.measured, "", median(scans.mine), high, note=f"s; longest {most:.3f} s")
    return [ratio, waits]
