"""How the dashboard feels: from key to paint, idle and during a race; what it costs while idle; an hour-long clip.

Each figure is compared with the same figure of the same program when nothing happens, in the same run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import wave
from pathlib import Path

import psutil
from bench import report
from bench.report import Line, percentile
from bench.terminal import Terminal

from speedtest_tui.core.format import LOOKS

PROGRAM = Path(sys.executable).parent / "speedtest-tui"
DONE, RUNNING = f"{LOOKS['done'].glyph} {LOOKS['done'].word}", LOOKS["running"].glyph
PATIENCE_S = 60.0
USUAL = "mlx-whisper,parakeet-mlx,canary-mlx,whisper-mps,transformers,pocketsphinx"
LATENCY_ABOVE_IDLE_MS = 50.0
IDLE_SHARE = 0.01
UI_MB = 120.0
HOUR_S = 3600
IDLE_WINDOW_S, PRESSING_S = 20.0, 10.0
SHORT = (2, 0.5, 10, 0.5)
SEED = 1


def places(folder: str, settings: str = "") -> dict[str, str]:
    """An environment that has everything below a folder."""
    return {
        "SPEEDTEST_DATA_DIR": folder,
        "SPEEDTEST_CONFIG_DIR": settings or folder,
        "SPEEDTEST_MODELS_DIR": f"{folder}/models",
        "HF_HUB_CACHE": f"{folder}/hub",
    }


def latencies(terminal: Terminal, runs: int, keys: int) -> list[float]:
    """Seconds from each of `keys` presses of + and - until the new number of runs is drawn."""
    pauses = random.Random(SEED)
    found = []
    for i in range(keys):
        key, shown = ("+", runs + 1) if i % 2 == 0 else ("-", runs)
        found.append(terminal.reply(key, f"runs {shown}", 10.0))
        terminal.rest(pauses.uniform(0.02, 0.12))  # out of step with the ticks of the bars
    return found


MANY = [
    argument
    for backend, beams in (("canary-mlx", (2, 3, 4, 5)), ("parakeet-mlx", (2, 3)))
    for beam in beams
    for argument in ("--model", f"{backend}:nano?beam={beam}")
]
"""Candidates beside the usual six: twelve in all."""


def key_to_paint(folder: str, keys: int) -> list[Line]:
    """The 99th percentile while candidates import, load and run, against the same before a race: of the usual ones, and
    of twelve."""
    environment = places(folder)
    command = [str(PROGRAM), "--audio", str(speech(folder)), "--size", "small", "--backends", "whisperkit"]
    with Terminal(command, environment) as idle:
        idle.wait_for(DONE, PATIENCE_S)  # at once: that program is not there
        idle.rest(2.0)
        before = latencies(idle, 5, keys)
    low, lines = percentile(before, 0.99) * 1e3, []
    for what, more in (("racing", []), ("racing 12", ["--size", "nano", "--backends", USUAL, *MANY])):
        with Terminal([str(PROGRAM), "--demo", "--runs", "200", *more], environment) as racing:
            racing.wait_for(RUNNING, PATIENCE_S)
            during = latencies(racing, 200, keys)
            racing.press("\x03")
        high = percentile(during, 0.99) * 1e3
        lines.append(
            Line(
                what=f"key to paint, 99th percentile of {keys} keys, {what} - idle",
                measured=f"{high:.1f} ms (median {percentile(during, 0.5) * 1e3:.1f})",
                floor=f"{low:.1f} ms (median {percentile(before, 0.5) * 1e3:.1f})",
                result=high - low,
                high=LATENCY_ABOVE_IDLE_MS,
                form="{:.1f} ms",
            )
        )
    return lines


def idle_cost(folder: str, window_s: float) -> Line:
    """Processor share of a dashboard whose race is over."""
    environment = places(folder)
    with Terminal([str(PROGRAM), "--demo", "--backends", "pocketsphinx", "--runs", "1"], environment) as terminal:
        terminal.wait_for(DONE, PATIENCE_S)
        terminal.rest(3.0)
        process = psutil.Process(terminal.process.pid)
        begin = process.cpu_times()
        terminal.rest(window_s)
        end = process.cpu_times()
    share = (end.user + end.system - begin.user - begin.system) / window_s
    return Line(
        what=f"processor while idle, over {window_s:.0f} s",
        measured=f"{share:.2%} of a core",
        floor="",
        result=share * 100,
        high=IDLE_SHARE * 100,
        form="{:.2f} %",
    )


def long_clip(folder: str, seconds: int, pressing_s: float) -> tuple[Line, Line]:
    """Opening a clip of `seconds`: memory of the process, and the longest wait for a key meanwhile."""
    path = Path(folder) / "hour.wav"
    noise = random.Random(SEED).randbytes(32_000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for _ in range(seconds):
            file.writeframesraw(noise)
    # Of its own: what + and - changed before is remembered.
    environment = {
        "SPEEDTEST_DATA_DIR": folder,
        "SPEEDTEST_CONFIG_DIR": f"{folder}/hour",
        "SPEEDTEST_MODELS_DIR": folder,
    }
    waits: list[float] = []
    command = [str(PROGRAM), "--audio", str(path), "--size", "small", "--backends", "whisperkit"]
    with Terminal(command, environment) as terminal:
        process = psutil.Process(terminal.process.pid)
        terminal.wait_for("runs 5", PATIENCE_S)
        peak = 0
        begin = time.monotonic()
        while time.monotonic() - begin < pressing_s:
            waits += latencies(terminal, 5, 2)
            peak = max(peak, process.memory_info().rss)
    clip_mb = seconds * 16_000 * 4 / 1e6
    memory = Line(
        what=f"RSS with a clip of {seconds:,} s, above the clip itself",
        measured=f"peak {peak / 1e6:.0f} MB",
        floor=f"clip {clip_mb:.0f} MB",
        result=peak / 1e6 - clip_mb,
        high=UI_MB,
        form="{:.0f} MB",
    )
    longest = Line(
        what=f"longest of {len(waits)} waits for a key while it is read",
        measured=f"{max(waits) * 1e3:.0f} ms",
        floor=f"median {percentile(waits, 0.5) * 1e3:.0f} ms",
        result=max(waits) * 1e3,
        high=125.0,
        form="{:.0f} ms",
    )
    return memory, longest


def speech(folder: str) -> Path:
    """A second of a file that opens at once."""
    path = Path(folder) / "second.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(random.Random(SEED).randbytes(32_000))
    return path


def measure(options: argparse.Namespace) -> list[Line]:
    keys, idle_s, clip_s, pressing_s = SHORT if options.short else (options.keys, IDLE_WINDOW_S, HOUR_S, PRESSING_S)
    with tempfile.TemporaryDirectory() as folder:
        idle = idle_cost(folder, idle_s)
        return [*key_to_paint(folder, keys), idle, *long_clip(folder, clip_s, pressing_s)]


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--keys", type=int, default=300, help="keys to press in each state (default %(default)s)")
    return report.run("the dashboard at work", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
