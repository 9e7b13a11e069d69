"""The dashboard on a large cache: how soon its table of models is filled, and how it feels while that is scanned."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from statistics import median

from bench_ui import LATENCY_ABOVE_IDLE_MS, PATIENCE_S

from backends.base import ModelSpec
from backends.registry import BUILT_IN, create
from bench.report import Line, percentile
from bench.terminal import Terminal
from speedtest_tui.core.format import LOOKS
from speedtest_tui.core.models.layout import repository_folder
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.race.statistics import median_interval

PROGRAM = Path(sys.executable).parent / "speedtest-tui"
SIZE = "tiny"
FRAME, STATES = "mlx-whisper", LOOKS["damaged"].word
"""What the first frame shows, and what the table does as soon as states are known: one model is made to be damaged."""

FILLED_S = 1.0
COMMIT = "f" * 40
SEED = 1
DOWN, UP, TOP = "\x1b[B", "\x1b[A", "\x1b[1;5H"


def damage(cache: Path) -> None:
    """Put a model into a cache whose files are all empty: the one of `SIZE` that the first backend would download."""
    spec = _first_of_the_hub()
    folder = repository_folder(cache, spec.source)
    snapshot = folder / "snapshots" / (spec.revision or COMMIT)
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(snapshot.name)
    for file in spec.files:
        (snapshot / file.names[0]).touch()


def _first_of_the_hub() -> ModelSpec:
    for entry in BUILT_IN:
        spec = create(entry.reference).model(SIZE)
        if spec is not None and spec.kind == "hub":
            return spec
    raise RuntimeError(f"no backend downloads a {SIZE} model from the hub")


def places(folder: Path, cache: Path) -> dict[str, str]:
    """An environment in which that cache is the only one that holds anything."""
    return {
        "HOME": str(folder),
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "SPEEDTEST_MODELS_DIR": str(folder / "models"),
        "SPEEDTEST_DATA_DIR": str(folder / "data"),
        "SPEEDTEST_CONFIG_DIR": str(folder / "settings"),
    }


def table_line(folder: Path, cache: Path, rounds: int) -> Line:
    """Seconds from the program's start until its table shows states, the first frame as a floor."""
    frames, filled = [], []
    for _ in range(rounds):
        with Terminal([str(PROGRAM), "--size", SIZE], places(folder, cache)) as terminal:
            frames.append(terminal.wait_for(FRAME, PATIENCE_S))
            filled.append(terminal.wait_for(STATES, PATIENCE_S))
    after = median(whole - frame for whole, frame in zip(filled, frames, strict=True))
    interval = median_interval(filled)
    return Line(
        what=f"program's start to states in the table of models, {rounds} times",
        measured=f"{median(filled):.2f} s",
        floor=f"first frame {median(frames):.2f} s",
        result=median(filled),
        high=FILLED_S,
        form="{:.2f} s",
        note=(f"[{interval.low:.2f}, {interval.high:.2f}]; " if interval else "") + f"{after:.2f} after the frame",
    )


def keys_line(folder: Path, cache: Path, keys: int) -> Line:
    """The 99th percentile of key to paint in the list of everything stored, while that is read anew and at rest."""
    rows = _largest(cache)
    with Terminal([str(PROGRAM), "--size", SIZE], places(folder, cache)) as terminal:
        terminal.wait_for(STATES, PATIENCE_S)
        begin = time.perf_counter()
        terminal.reply("c", "1 problem", PATIENCE_S)
        look_s = time.perf_counter() - begin
        terminal.press("l")
        terminal.rest(2.0)
        # The cursor may be anywhere: rows were put above it as they were found.
        terminal.press(DOWN)
        terminal.rest(0.5)
        terminal.reply(TOP, rows[0], PATIENCE_S)
        idle = _latencies(terminal, rows, keys)
        scanning = _latencies(terminal, rows, keys, again_s=look_s * 1.2)
        terminal.press("\x1b")
    low, high = percentile(idle, 0.99) * 1e3, percentile(scanning, 0.99) * 1e3
    return Line(
        what=f"key to paint, 99th percentile of {keys} keys, scanning - idle",
        measured=f"{high:.1f} ms (median {percentile(scanning, 0.5) * 1e3:.1f})",
        floor=f"{low:.1f} ms (median {percentile(idle, 0.5) * 1e3:.1f})",
        result=high - low,
        high=LATENCY_ABOVE_IDLE_MS,
        form="{:.1f} ms",
        note=f"(a look takes {look_s:.1f} s)",
    )


def _latencies(terminal: Terminal, shown: tuple[str, str], keys: int, again_s: float | None = None) -> list[float]:
    """Seconds from each press of an arrow, down and up in turns, until the other row's path is drawn.

    again_s: how often the caches are looked at again meanwhile; None for never
    """
    pauses = random.Random(SEED)
    found = []
    due = time.monotonic()
    for number in range(keys):
        if again_s is not None and time.monotonic() >= due:
            terminal.press("r")
            due = time.monotonic() + again_s
        terminal.rest(pauses.uniform(0.02, 0.12))
        found.append(terminal.reply(UP if number % 2 else DOWN, shown[1 - number % 2], PATIENCE_S))
    return found


def _largest(cache: Path) -> tuple[str, str]:
    """Folder names of the two repositories at the top of the list of everything."""
    first, second, *_ = sorted(scan([("hf", cache)]), key=lambda row: -row.bytes)
    return first.path.name, second.path.name
