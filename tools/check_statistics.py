"""Whether races tell apart what is different, and only that: `python tools/check_statistics.py [--short] [--write]`.

A/A and A/B races are simulated a thousand times each, with noise of each run's own, noise that all runs of a round
share, drift over the race and runs that something else held up; then decided as real ones are. --write puts the table
into README.md.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.race.statistics import all_ratios, paired_ratio

CHECKOUT = Path(__file__).parents[1]
BEGIN, END = "<!-- statistics -->\n", "<!-- /statistics -->"

FALSE_WINNERS, FOUND, COVERAGE = 0.05, 0.95, (0.93, 0.97)
"""Shares of races: that may name a difference where none is, that must where one is, whose interval holds the truth."""


@dataclass(frozen=True)
class Machine:
    """How a machine disturbs runs, as shares of a run's time.

    private: standard deviation of what is a run's own; common: of what all runs of a round share
    unequal: whether one candidate's own noise is ten times that of the others
    drift: by how much the last round is slower than the first; held: the share of runs that take 1.3 to 3 times as long
    """

    private: float
    common: float = 0.0
    drift: float = 0.0
    held: float = 0.0
    unequal: bool = False

    def __str__(self) -> str:
        parts = [f"{self.private * 100:.0f} % private"]
        parts += [f"{self.common * 100:.0f} % common"] if self.common else []
        parts += ["of one ten times that"] if self.unequal else []
        parts += [f"drift of {self.drift * 100:.0f} %"] if self.drift else []
        parts += [f"{self.held * 100:.0f} % held up"] if self.held else []
        return ", ".join(parts)

    def race(self, draw: random.Random, speeds: Sequence[float], rounds: int) -> list[list[float]]:
        """Seconds of each run of candidates of these true times, by candidate."""
        runs: list[list[float]] = [[] for _ in speeds]
        for at in range(rounds):
            shared = draw.gauss(0, self.common) + math.log1p(self.drift) * at / max(1, rounds - 1)
            for at_row, (taken, speed) in enumerate(zip(runs, speeds, strict=True)):
                private = self.private * (10 if self.unequal and at_row == 0 else 1)
                held = draw.uniform(1.3, 3.0) if draw.random() < self.held else 1.0
                taken.append(speed * held * math.exp(shared + draw.gauss(0, private)))
        return runs


MACHINES = (
    Machine(0.01),
    Machine(0.03, 0.12),
    Machine(0.10, 0.20),
    Machine(0.03, 0.05, drift=0.30),
    Machine(0.02, 0.05, held=0.05),
    Machine(0.01, 0.05, unequal=True),
)


def false_winners(machine: Machine, candidates: int, rounds: int, races: int) -> float:
    """The share of races of equals in which any two are told apart."""
    draw = random.Random(f"{machine} {candidates} {rounds}")
    wrong = 0
    for _ in range(races):
        found = all_ratios(machine.race(draw, [1.0] * candidates, rounds)).values()
        wrong += any(ratio is not None and not ratio.low <= 1 <= ratio.high for ratio in found)
    return wrong / races


def coverage(machine: Machine, rounds: int, races: int, ratio: float = 1.05) -> tuple[float, float]:
    """The share of races whose 95 % interval holds the true ratio, and of those that find the slower one slower."""
    draw = random.Random(f"{machine} {ratio} {rounds}")
    held = found = 0
    for _ in range(races):
        faster, slower = machine.race(draw, [1.0, ratio], rounds)
        interval = paired_ratio(slower, faster)
        assert interval is not None
        held += interval.low <= ratio <= interval.high
        found += interval.low > 1
    return held / races, found / races


def table(races: int) -> tuple[list[str], bool]:
    """The lines of the table, and whether all that was promised is kept."""
    lines = [
        "| noise | rounds | false winner of 2 | false winner of 6 | 95 % interval right | 5 % found |",
        "|---|---|---|---|---|---|",
    ]
    kept = True
    # Three standard errors: what a simulation of this length says of a share by chance.
    slack = 3 * math.sqrt(FALSE_WINNERS * (1 - FALSE_WINNERS) / races)
    for machine in MACHINES:
        for rounds in (3, 5, 20):
            two, six = (false_winners(machine, candidates, rounds, races) for candidates in (2, 6))
            held, found = coverage(machine, rounds, races)
            shares = " | ".join(f"{100 * share:.1f} %" for share in (two, six, held, found))
            lines.append(f"| {machine} | {rounds} | {shares} |")
            kept &= max(two, six) <= FALSE_WINNERS + slack
            # By signed ranks the interval is exact; Student's only widens where runs are held up.
            kept &= COVERAGE[0] - slack <= held and (rounds < 12 or held <= COVERAGE[1] + slack)
            kept &= (machine, rounds) != (Machine(0.03, 0.12), 20) or found >= FOUND
    return lines, kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few races, to see that it works")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    lines, kept = table(100 if options.short else 2_000)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.write and not options.short:
        readme = CHECKOUT / "README.md"
        before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
        readme.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
