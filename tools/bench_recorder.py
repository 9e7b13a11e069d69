"""Ten minutes of recording through a real sound server: is a frame lost or hidden, and what does it cost?

A PulseAudio of our own plays a steady tone into a null sink, whose monitor PortAudio records in the recorder's child.
Three judges that know nothing of each other: what the recorder reports; the frames in the file against the clock
between start and stop, whose rest is the drift of the sink's timer and some milliseconds at either end; and the tone
itself, whose phase jumps wherever a frame is missing or doubled.

Processor time is of this process (the recorder's parent, with a listener that does what a screen's would: store the
state) and of the child, in per cent of one core. Needs the packages named in tests/sound_server.py.
"""

from __future__ import annotations

import argparse
import math
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from bench import report
from bench.report import Line

from speedtest_tui.core.audio import spool
from speedtest_tui.core.audio.recorder import Recorder, RecorderState
from speedtest_tui.core.audio.recording import Recording

SOUND_SERVER = Path(__file__).resolve().parents[1] / "tests" / "sound_server.py"

TONE_HZ = 97
"""Low, and prime: a gap that is a whole number of its periods is unlikely."""

BLOCK_S = 0.1
JUMP_FRAMES = 4.0
"""A phase that moves by more than this from one block to the next; a resampler that follows a drift moves less."""

SETTLE_S = 2.0
"""At the beginning the sound server still fits its resampler to the clock."""

READY_S, SHORT_S = 30.0, 3.0


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def phase_jumps(recording: Recording) -> int:
    """Blocks at whose beginning the tone's phase does not continue where the block before ended."""
    import numpy as np

    frames = np.concatenate(list(spool.blocks(recording.path, recording.facts)))
    rate = recording.facts.rate
    step = round(BLOCK_S * rate)
    turns = TONE_HZ / rate
    phases = []
    window = np.hanning(step)
    for start in range(round(SETTLE_S * rate), len(frames) - step, step):
        times = np.arange(start, start + step)
        phases.append(
            np.angle(np.sum(window * frames[start : start + step, 0] * np.exp(-2j * math.pi * turns * times)))
        )
    moves = np.angle(np.exp(1j * np.diff(phases)))
    # The tone's own frequency is off by the same little everywhere.
    moves -= np.median(moves)
    return int(np.count_nonzero(np.abs(moves) > 2 * math.pi * turns * JUMP_FRAMES))


def measure(seconds: float, folder: Path) -> list[Line]:
    """Record `seconds` and judge."""
    states: list[RecorderState] = []
    latest: list[RecorderState] = [RecorderState()]

    def store(state: RecorderState) -> None:
        latest[0] = state
        if state.over:
            states.append(state)

    recorder = Recorder(store, folder=folder, max_s=seconds + 60)
    recorder.arm()
    deadline = time.monotonic() + READY_S
    # Two seconds of a full trace: the sound server has then woken up.
    while len(latest[0].trace) < 40:
        if recorder.state.over or time.monotonic() > deadline:
            raise RuntimeError(f"the recorder did not start: {recorder.state.reason}")
        recorder.wait(0.05)
    assert recorder.pid
    processes = (psutil.Process(), psutil.Process(recorder.pid))
    before = [processor_seconds(process) for process in processes]
    begin = time.monotonic()
    recorder.start()
    threading.Event().wait(seconds)
    used = [processor_seconds(process) - was for process, was in zip(processes, before, strict=True)]
    elapsed = time.monotonic() - begin
    recording = recorder.stop()
    facts = recording.facts
    counted = recording.seconds - facts.preroll_s
    shares = [100 * spent / elapsed for spent in used]
    length = f"{elapsed:.1f} s at {facts.rate:.0f} Hz"
    reported = f"{facts.overflows} overflows"
    return [
        Line("missing, as reported", length, reported, facts.missing_s * 1000, 0.0, form="{:.0f} ms"),
        Line("dropped, as reported", length, reported, float(facts.dropped_frames), 0.0, form="{:.0f} frames"),
        Line(
            "clock less frames",
            f"{counted:.3f} s came",
            f"{elapsed:.3f} s went by",
            (elapsed - counted) * 1000,
            # The edges, and a timer that is 0.02 % off.
            100 + 0.2 * elapsed,
            -(100 + 0.2 * elapsed),
            "{:.1f} ms",
        ),
        Line(
            "jumps of the tone",
            f"{counted / BLOCK_S:.0f} blocks",
            "",
            float(phase_jumps(recording)),
            0.0,
            form="{:.0f}",
        ),
        Line("processor, parent", f"{used[0]:.2f} s", f"{elapsed:.0f} s", shares[0], 15.0, form="{:.1f} %"),
        Line("processor, child", f"{used[1]:.2f} s", f"{elapsed:.0f} s", shares[1], 15.0, form="{:.1f} %"),
    ]


def through_a_sink(options: argparse.Namespace) -> list[Line]:
    # From the tests, which are no package: they and this program need the same room.
    tools: dict[str, Any] = runpy.run_path(str(SOUND_SERVER), run_name="sound_server")
    with tools["sound_server"]() as server, tempfile.TemporaryDirectory() as folder:
        os.environ.update(server.environment)
        tone = ["pactl", "load-module", "module-sine", "sink=room", f"frequency={TONE_HZ}"]
        subprocess.run(tone, check=True, capture_output=True, timeout=READY_S)
        return measure(SHORT_S if options.short else options.seconds, Path(folder))


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, metavar="N")
    return report.run("recording through a null sink", parser, through_a_sink)


if __name__ == "__main__":
    sys.exit(main())
