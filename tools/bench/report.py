"""How the bench programs print: the machine with its load, then ratios with their floor and target."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

COLUMNS = ("what", "measured", "floor, same run", "result", "target", "")


@dataclass(frozen=True)
class Line:
    """One measured thing. `result` is compared with `low` and `high`, in the unit that `form` prints."""

    what: str
    measured: str
    floor: str
    result: float
    high: float = math.inf
    low: float = -math.inf
    form: str = "{:.3f}"
    note: str = ""
    settled: bool = True
    """False where the machine was too busy to say anything, for or against."""

    @property
    def met(self) -> bool:
        return self.settled and self.low <= self.result <= self.high

    def cells(self) -> Sequence[str]:
        low, high = self.form.format(self.low), self.form.format(self.high)
        target = f"at most {high}" if math.isinf(self.low) else f"at least {low}" if math.isinf(self.high) else ""
        result = self.form.format(self.result) + (f" {self.note}" if self.note else "")
        verdict = "ok" if self.met else "MISSED" if self.settled else "UNSETTLED"
        return (self.what, self.measured, self.floor, result, target or f"{low} to {high}", verdict)


def machine() -> str:
    """The machine in general words, with its load: figures from a busy one are no figures."""
    import psutil

    cores = psutil.cpu_count(logical=True)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores, {psutil.virtual_memory().total / 2**30:.0f} GB, "
        f"Python {platform.python_version()}; load average {load}"
    )


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, to read."""
    return f"{seconds * 1000:.1f} ms"


def print_lines(title: str, lines: Iterable[Line], before: str) -> int:
    """Print all lines and the machine's load before and after. Returns an exit code: 1 where a target was not met."""
    lines = tuple(lines)
    table = Table(title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for line in lines:
        table.add_row(*line.cells())
    console = Console(width=None if Console().is_terminal else 170, highlight=False, markup=False)
    console.print(table)
    console.print(f"before: {before}\nafter:  {machine()}")
    return 0 if all(line.met for line in lines) else 1
