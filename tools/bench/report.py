"""What all bench programs share: options, a limit for their time, turns, and how figures are printed and kept.

`--short` shows that everything works, in seconds: its figures say nothing and are never kept. `--write` keeps the
figures in docs/figures.json, each program its own, and writes the table of the README from that file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.table import Table

from speedtest_tui.core.errors import UserError

COLUMNS = ("what", "measured", "floor, same run", "result", "target", "")
CHECKOUT = Path(__file__).parents[2]
FIGURES, README = Path("docs", "figures.json"), Path("README.md")
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
SHORT_LIMIT_S, LIMIT_S = 120.0, 7200.0


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

    @property
    def target(self) -> str:
        low, high = self.form.format(self.low), self.form.format(self.high)
        if math.isinf(self.low):
            return f"≤ {high}"
        return f"≥ {low}" if math.isinf(self.high) else f"{low} to {high}"

    @property
    def verdict(self) -> str:
        return "ok" if self.met else "MISSED" if self.settled else "UNSETTLED"

    def cells(self) -> Sequence[str]:
        result = self.form.format(self.result) + (f" {self.note}" if self.note else "")
        return (self.what, self.measured, self.floor, result, self.target, self.verdict)


def machine() -> str:
    """The machine in general words."""
    import psutil

    cores, memory = psutil.cpu_count(logical=True), psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GB, Python {platform.python_version()}"
    )


def load() -> str:
    """How busy the machine is: figures from a busy one are no figures."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, to read."""
    return f"{seconds * 1000:.1f} ms"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies, about."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def in_turns(repeat: int, *actions: Callable[[], float]) -> list[list[float]]:
    """Results of each action, called one after another; each round begins with another one."""
    results: list[list[float]] = [[] for _ in actions]
    for turn in range(repeat):
        order = list(range(len(actions)))
        for index in order[turn % len(order) :] + order[: turn % len(order)]:
            results[index].append(actions[index]())
    return results


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all bench programs have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small sizes: whether it works, not how fast it is")
    parser.add_argument("--limit", type=float, metavar="S", help="seconds after which it gives up")
    out = parser.add_mutually_exclusive_group()
    out.add_argument("--json", action="store_true", help="JSON instead of a table")
    out.add_argument("--write", action="store_true", help="keep the figures in docs/figures.json and in the README")
    return parser


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread after some seconds, so that nothing waits for ever.

    A program that is asked to end leaves no gigabytes behind either.
    """

    def give_up(_number: int, frame: FrameType | None) -> None:
        where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else "no Python code"
        raise TimeoutError(f"not done after {seconds:g} s; it was at {where}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run(title: str, parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Sequence[Line]]) -> int:
    """Parse, measure, and print or keep the lines. Returns an exit code: 1 where it failed or a target was not met."""
    chosen = parser.parse_args()
    name = Path(sys.argv[0]).stem
    if chosen.short and chosen.write:
        parser.error("--short gives no figures to --write")
    before = load()
    try:
        with limited(chosen.limit or (SHORT_LIMIT_S if chosen.short else LIMIT_S)):
            lines = measure(chosen)
    except UserError as error:
        print(f"{name}: {error.what}: {error.todo}", file=sys.stderr)
        return 1
    except (TimeoutError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    after = load()
    if chosen.json:
        print(json.dumps({"machine": machine(), "load": [before, after], "lines": [asdict(line) for line in lines]}))
    else:
        print_table(title, lines)
        print(f"{machine()}; load average before {before}, after {after}")
    if chosen.write:
        keep(CHECKOUT, name, lines, [before, after])
    return 0 if chosen.short or all(line.met for line in lines) else 1


def print_table(title: str, lines: Sequence[Line]) -> None:
    """Print all lines."""
    table = Table(title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for line in lines:
        table.add_row(*line.cells())
    Console(width=None if Console().is_terminal else 170, highlight=False, markup=False).print(table)


def keep(checkout: Path, name: str, lines: Sequence[Line], loads: Sequence[str]) -> None:
    """Put the figures of one program in place of its former ones, and the README's table in place of the former one."""
    path = checkout / FIGURES
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    figures[name] = {
        "day": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "load": list(loads),
        "rows": [list(line.cells()) for line in lines],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    readme = checkout / README
    readme.write_text(with_figures(readme.read_text(encoding="utf-8"), figures), encoding="utf-8")


def with_figures(text: str, figures: dict[str, Any]) -> str:
    """A README with the table of those figures between its two marks. Raises RuntimeError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RuntimeError(f"README.md has no place for figures: no {END if begin else BEGIN}")
    return f"{before}{BEGIN}\n\n{table_of(figures)}\n\n{END}{after}"


def table_of(figures: dict[str, Any]) -> str:
    """A Markdown table of all programs' figures, and where each was run."""
    rows = ["| what | measured | floor, same run | result | target | |", "|---|---|---|---|---|---|"]
    runs: dict[str, list[str]] = {}
    for name, found in sorted(figures.items()):
        rows += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in found["rows"]]
        before, after = found["load"]
        where = f"{found['day']}, {found['machine']}; load average {before} before, {after} after"
        runs.setdefault(where, []).append(f"`tools/{name}.py`")
    return "\n".join([*rows, "", *(f"- {where}: {', '.join(names)}" for where, names in runs.items())])


if __name__ == "__main__":
    readme_file = CHECKOUT / README
    kept = json.loads((CHECKOUT / FIGURES).read_text(encoding="utf-8"))
    readme_file.write_text(with_figures(readme_file.read_text(encoding="utf-8"), kept), encoding="utf-8")
