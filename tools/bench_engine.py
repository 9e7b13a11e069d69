"""How true the engine's figures are: its reported median against a bare script that calls the same library.

Both have the same weights, clip and decoding. A Race of one backend runs through its public interface; each time it has
reported a run it is held in its listener while the bare process, which is loaded and idle, does one run of its own. So
the two alternate strictly, drift of the machine falls on both, and never do both compute. Target: 1 ± 0.03.

All of it is done with several pairs of fresh processes: where memory happens to lie makes one process some per cent
faster than the next. Pairs of runs during which other programs used the machine are left out, both halves of them. The
interval beside a ratio is its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from bench import report
from bench.report import Line, milliseconds

from backends.registry import entries
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import demo_clip, load_clip
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.sizes import candidates, choose
from speedtest_tui.core.process.launch import OFFLINE_ENVIRONMENT
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.prepare import Ready, prepare
from speedtest_tui.core.race.row import RaceSnapshot, Row
from speedtest_tui.core.race.statistics import ratio_interval
from speedtest_tui.core.race.supervisor import Race

BARE = Path(__file__).parent / "bench"
BACKENDS = (
    *("mlx-whisper", "whisper-mps", "transformers", "faster-whisper", "whisper-cpp", "openai-whisper"),
    "pocketsphinx",
)
ONE_FILE = ("whisper-mps", "whisper-cpp", "openai-whisper")
"""Whose bare script is given the model's one file, not its folder."""
TOLERANCE = 0.03

QUIET_WINDOW_S = 0.1
QUIET_CPU_S = 0.02
GIVE_UP_S = 5.0

CALM = 0.15
"""Cores that all other processes together may use during a pair of runs."""

ENOUGH = 10
"""Calm pairs to give a ratio by them alone."""


class BareScript:
    """One of `tools/bench/bare_*.py`, kept loaded and asked for one run at a time."""

    def __init__(self, backend: str, model: str, clip: Path) -> None:
        script = BARE / f"bare_{backend.replace('-', '_')}.py"
        # -P: the folder of the script holds nothing that a library may be looking for.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), model, str(clip)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **OFFLINE_ENVIRONMENT},
        )
        self.text = ""

    def run(self) -> float:
        """Seconds of one transcription. Raises UserError where the script ended instead."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"seconds"'):
                answer = json.loads(line)
                self.text = answer["text"]
                return float(answer["seconds"])
        raise UserError("the bare script ended", f"try {' '.join(map(str, self._process.args))}")  # type: ignore[arg-type]

    def end(self) -> None:
        """Close its input, after which it ends by itself."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Outsiders:
    """How much of the machine others used: on two cores a little of it makes a run with OpenMP threads much longer."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._before = self._look()

    def share(self) -> float:
        """Cores that others used since `begin`, on average."""
        elapsed, everybody, ours = (a - b for a, b in zip(self._look(), self._before, strict=True))
        return max(0.0, everybody - ours) / elapsed

    def _look(self) -> tuple[float, float, float]:
        busy, own = psutil.cpu_times(), psutil.Process().cpu_times()
        return time.monotonic(), busy.user + busy.nice + busy.system, own.user + own.system + _children_cpu()


@dataclass(frozen=True)
class Pair:
    """One run of each, in seconds, and the cores that others used meanwhile."""

    engine: float
    bare: float
    others: float


class Turns:
    """The race's listener: after each run that the race reports, one run of the bare script."""

    def __init__(self, make_bare: Callable[[], BareScript], *, bare_first: bool) -> None:
        self._make_bare = make_bare
        self._started: BareScript | None = None
        self._outsiders = Outsiders()
        self.pairs: list[Pair] = []
        if bare_first:
            self._start()

    def _start(self) -> BareScript:
        if self._started is None:
            self._started = self._make_bare()
            for _ in range(2):
                self._started.run()
            wait_until_children_rest()
        return self._started

    def end(self) -> str:
        """End the bare script and return its text."""
        bare = self._start()
        bare.end()
        return bare.text

    def __call__(self, snapshot: RaceSnapshot) -> None:
        (row,) = snapshot.rows
        if row.phase == "loaded":
            self._start()
        if not row.runs_s:
            self._outsiders.begin()
        while len(self.pairs) < len(row.runs_s):
            wait_until_children_rest()
            bare = self._start().run()
            wait_until_children_rest()
            self.pairs.append(Pair(row.runs_s[len(self.pairs)], bare, self._outsiders.share()))
            self._outsiders.begin()


def wait_until_children_rest() -> None:
    """Return when no child of this process computed for a window, or after GIVE_UP_S."""
    deadline = time.monotonic() + GIVE_UP_S
    before = _children_cpu()
    while time.monotonic() < deadline:
        time.sleep(QUIET_WINDOW_S)
        after = _children_cpu()
        if after - before <= QUIET_CPU_S:
            return
        before = after


def _children_cpu() -> float:
    total = 0.0
    for child in psutil.Process().children():
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def compare(backend: str, size: str, clip: Clip, clip_file: Path, times: tuple[int, int]) -> Line:
    """Race one backend against its bare script; `times` are processes, and runs of each. Raises UserError."""
    processes, runs = times
    if backend not in BACKENDS:
        raise UserError(f"no bare script for {backend!r}", f"choose from {', '.join(BACKENDS)}")
    asked = candidates(choose([backend], entries()), size)
    found = prepare(asked[0], None, threading.Event())
    if not isinstance(found, Ready):
        raise UserError(f"{backend} cannot start", found.error.advice.what)
    path = found.location.path
    if path is not None and backend in ONE_FILE and path.is_dir():
        path /= found.spec.files[0].names[0]
    model = str(path or "-")
    taken: list[Pair] = []
    for index in range(processes):
        # Of two equal processes the one that was started first is some per cent slower on the machines seen so far.
        turns = Turns(lambda: BareScript(backend, model, clip_file), bare_first=index % 2 == 0)
        try:
            race = Race(Plan(asked, runs=runs, pulse=False, language="en"), clip, turns)
            race.start()
            race.join()
        finally:
            text = turns.end()
        check(race.snapshot.rows[0], text)
        taken += turns.pairs
    return line_of(backend, taken)


def line_of(backend: str, taken: Sequence[Pair]) -> Line:
    """The ratio over the pairs that nobody disturbed; over all where those are too few, which is then said."""
    calm = [pair for pair in taken if pair.others <= CALM]
    kept = calm if len(calm) >= ENOUGH else taken
    engine, bare = [pair.engine for pair in kept], [pair.bare for pair in kept]
    ratio = ratio_interval(engine, bare)
    assert ratio
    in_pairs = median(pair.engine / pair.bare for pair in kept)
    others = "" if kept is calm else f"; others used {median(pair.others for pair in taken):.0%} of a core"
    return Line(
        what=f"{backend}, {len(calm)} of {len(taken)} pairs calm",
        measured=milliseconds(median(engine)),
        floor=milliseconds(median(bare)),
        result=ratio.value,
        low=1 - TOLERANCE,
        high=1 + TOLERANCE,
        note=f"[{ratio.low:.3f}, {ratio.high:.3f}]; pair by pair {in_pairs:.3f}{others}",
        settled=kept is calm,
    )


def check(row: Row, bare_text: str) -> None:
    """Raise UserError where a row has no result, or one that cannot be compared."""
    if row.status != "ok" or not row.transcription:
        raise UserError(f"{row.backend} gave no result", row.error.advice.what if row.error else row.status)
    if row.transcription.text != bare_text:
        raise UserError(f"{row.backend}: engine and bare script transcribed different words", "they are not comparable")


def measure(options: argparse.Namespace) -> list[Line]:
    processes, runs = (1, 2) if options.short else (options.processes, options.runs)
    with tempfile.TemporaryDirectory() as folder:
        clip_file = Path(folder) / "clip.f32"
        clip = load_clip(options.clip) if options.clip else demo_clip()
        clip.samples.astype("<f4").tofile(clip_file)
        backends = ["pocketsphinx"] if options.short else options.backends.split(",")
        return [compare(backend, options.size, clip, clip_file, (processes, runs)) for backend in backends]


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="default: %(default)s")
    parser.add_argument("--size", default="nano", help="a size or a model's path (default: %(default)s)")
    parser.add_argument("--clip", type=Path, help="English speech (default: the built-in clip)")
    parser.add_argument("--processes", type=int, default=4, help="processes of each (default %(default)s)")
    parser.add_argument("--runs", type=int, default=9, help="runs of each process (default %(default)s)")
    return report.run("engine / bare script, median of one transcription", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
