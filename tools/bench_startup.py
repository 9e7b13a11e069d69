"""How long it takes to begin, each against its own floor in the same run, in turns.

- `speedtest-tui --version` / `python -c pass`
- a backend's child from its spawn to its `ready` event, minus `python -c "import numpy"`
- the dashboard's first frame / that of a Textual application of one line, both in a pseudo-terminal of 120x40
"""

from __future__ import annotations

import argparse
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench import report
from bench.hello import GREETING
from bench.report import Line, in_turns, milliseconds
from bench.terminal import Terminal

from backends.base import BackendEntry, LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.registry import BUILT_IN
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import Child, Ended
from speedtest_tui.core.race.events import CHILD, MESSAGES, Assignment, Entered
from speedtest_tui.core.race.statistics import ratio_interval

PROGRAM = Path(sys.executable).parent / "speedtest-tui"
HELLO = Path(__file__).parent / "bench" / "hello.py"
MARKER = "mlx-whisper"
"""Text of the dashboard's first full frame: its bars stand for themselves, a title alone would not be content."""

VERSION_RATIO, READY_SECONDS, FRAME_RATIO = 3.0, 0.15, 1.4
PATIENCE_S = 30.0


def to_end(*command: str) -> Callable[[], float]:
    """An action: run a command to its end and return the seconds that it took. Raises CalledProcessError."""

    def action() -> float:
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    return action


def to_ready(entry: BackendEntry, clip_descriptor: int) -> Callable[[], float]:
    """An action: spawn a backend's child and return the seconds until it was ready to import its library."""
    spec = {**asdict(ModelSpec("bundled", "none")), "fallback": None}
    assignment = Assignment(
        reference=entry.reference,
        spec=spec,
        location=asdict(Location(None)),
        load_options=asdict(LoadOptions()),
        transcribe_options=asdict(TranscribeOptions()),
        clip_descriptor=clip_descriptor,
    )

    def action() -> float:
        reports: queue.SimpleQueue[Message | Ended] = queue.SimpleQueue()
        begin = time.monotonic()
        child = Child(CHILD, assignment, MESSAGES, reports.put, pass_fds=(clip_descriptor,))
        try:
            while True:
                report = reports.get(timeout=PATIENCE_S)
                if isinstance(report, Ended):
                    raise RuntimeError(f"the child of {entry.name} was never ready: {report}")
                if isinstance(report, Entered):
                    # Its own time stamp: parent and child share the monotonic clock.
                    return report.at - begin
        finally:
            child.end()

    return action


def to_frame(marker: str, data_folder: str, *command: str) -> Callable[[], float]:
    """An action: open an application in a terminal and return the seconds until `marker` was drawn."""

    def action() -> float:
        with Terminal(command, {"SPEEDTEST_DATA_DIR": data_folder, "SPEEDTEST_MODELS_DIR": data_folder}) as terminal:
            return terminal.wait_for(marker, PATIENCE_S)

    return action


def ratio_line(what: str, mine: Sequence[float], floor: Sequence[float], high: float) -> Line:
    ratio = ratio_interval(mine, floor)
    note = f"[{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
    return Line(
        what=f"{what}, {len(mine)} times",
        measured=milliseconds(median(mine)),
        floor=milliseconds(median(floor)),
        result=median(mine) / median(floor),
        high=high,
        form="{:.2f}",
        note=f"{note}; fastest {min(mine) / min(floor):.2f}",
    )


def version_line(repeat: int) -> Line:
    mine, floor = in_turns(repeat, to_end(str(PROGRAM), "--version"), to_end(sys.executable, "-c", "pass"))
    return ratio_line("--version / python -c pass", mine, floor, VERSION_RATIO)


def ready_lines(repeat: int, entries: Sequence[BackendEntry]) -> list[Line]:
    with tempfile.TemporaryFile() as clip:
        clip.write(bytes(4 * 16_000 * 4))
        clip.flush()
        actions = [to_ready(entry, clip.fileno()) for entry in entries]
        floor, *all_mine = in_turns(repeat, to_end(sys.executable, "-c", "import numpy"), *actions)
    return [
        Line(
            what=f"{entry.name} spawned to ready - import numpy, {repeat} times",
            measured=milliseconds(median(mine)),
            floor=milliseconds(median(floor)),
            result=median(mine) - median(floor),
            high=READY_SECONDS,
            form="{:.3f} s",
            note=f"(fastest {min(mine) - min(floor):.3f} s)",
        )
        for entry, mine in zip(entries, all_mine, strict=True)
    ]


def frame_line(repeat: int) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        mine, floor = in_turns(
            repeat,
            to_frame(MARKER, folder, str(PROGRAM), "--demo", "--runs", "1"),
            to_frame(GREETING, folder, sys.executable, str(HELLO)),
        )
    return ratio_line("first frame of the dashboard / of hello", mine, floor, FRAME_RATIO)


def measure(options: argparse.Namespace) -> list[Line]:
    repeat = 1 if options.short else options.repeat
    lines = []
    if options.only in (None, "version"):
        lines.append(version_line(repeat))
    if options.only in (None, "ready"):
        lines += ready_lines(repeat, BUILT_IN)
    if options.only in (None, "frame"):
        lines.append(frame_line(repeat))
    return lines


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--repeat", type=int, default=20, help="times each (default %(default)s)")
    parser.add_argument("--only", choices=("version", "ready", "frame"), help="measure one of them")
    return report.run("start-up", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
