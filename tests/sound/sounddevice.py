"""A stand-in for sounddevice in child processes: found before the real one where this folder is on PYTHONPATH.

SOUND_SCRIPT says what the microphone does, a word and perhaps seconds of audio: noise, zeros, unplug:1.0 (the stream
ends), stall:1.0 (no more callbacks), crash:1.0 (the process dies), refuse (cannot be opened), silent (no callback at
all), deaf (no loudspeaker), abort (the process dies while devices are listed). Audio comes SOUND_SPEED times faster
than real time. SOUND_DEVICE is the microphone's name.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = "stand-in"
RATE, CHANNELS, BLOCK = 48_000, 2, 480
MICROPHONE = os.environ.get("SOUND_DEVICE", "Toy microphone")
DEVICES = [
    {"name": "Toy speaker", "max_input_channels": 0, "max_output_channels": 2},
    {
        "name": os.environ.get("SOUND_DEVICE", "Toy microphone"),
        "max_input_channels": CHANNELS,
        "max_output_channels": 0,
    },
]
default = SimpleNamespace(device=[1, 0])


class PortAudioError(Exception):
    """Named as sounddevice's own."""


def query_hostapis() -> tuple[dict[str, str], ...]:
    if os.environ.get("SOUND_SCRIPT") == "abort":
        os.abort()
    return ({"name": "Toy audio"},)


def query_devices(kind: str | None = None) -> Any:
    listed = [
        {"index": index, "hostapi": 0, "default_samplerate": float(RATE), **device}
        for index, device in enumerate(DEVICES)
    ]
    if kind == "output":
        if os.environ.get("SOUND_SCRIPT") == "deaf":
            raise PortAudioError("Error querying device -1")
        return listed[0]
    return listed


class InputStream:
    def __init__(self, *, callback: Any, finished_callback: Any, samplerate: float, **_: Any) -> None:
        self._what, _, seconds = os.environ.get("SOUND_SCRIPT", "noise").partition(":")
        if self._what == "refuse":
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self._limit = round(float(seconds or "inf") * RATE) if seconds else None
        self._speed = float(os.environ.get("SOUND_SPEED", "1"))
        self._callback, self._finished = callback, finished_callback
        self.samplerate = samplerate
        self.active = False

    def start(self) -> None:
        self.active = True
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        # Prints of C libraries, which must reach no screen.
        os.write(2, b"ALSA lib pcm.c: something is odd\n")
        os.write(1, b"and on standard output too\n")
        random = np.random.default_rng(7)
        begin, sent = time.monotonic(), 0
        while self._what != "silent":
            if self._limit is not None and sent >= self._limit:
                break
            frames = np.zeros((BLOCK, CHANNELS), np.float32)
            if self._what != "zeros":
                frames += random.normal(0, 0.1, (BLOCK, 1)).astype(np.float32).clip(-0.9, 0.9)
            ahead = begin + sent / RATE / self._speed - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            times = SimpleNamespace(inputBufferAdcTime=100 + sent / RATE, currentTime=0.0)
            self._callback(frames, BLOCK, times, SimpleNamespace(input_overflow=False))
            sent += BLOCK
        if self._what == "unplug":
            self.active = False
            self._finished()
        if self._what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)


class OutputStream:
    latency = 0.01

    def __init__(self, **_: Any) -> None:
        self._speed = float(os.environ.get("SOUND_SPEED", "1"))

    def start(self) -> None:
        pass

    def write(self, block: Any) -> None:
        time.sleep(len(block) / RATE / self._speed)

    def stop(self) -> None:
        pass
