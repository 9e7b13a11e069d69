"""Toy backends with every fault that a library can have: they crash, exit, raise, run wild."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
from typing import Any

from toys.well import TEXT, Well

from backends.base import (
    Availability,
    BackendError,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
    Transcription,
)


def parent() -> Any:
    """The child's private way to its parent, dug out of the interpreter as no library would."""
    return next(thing for thing in gc.get_objects() if type(thing).__name__ == "Parent")


def send_raw(data: bytes) -> None:
    """Write to the private pipe past its lock."""
    while data:
        data = data[os.write(parent()._descriptor, data) :]


def send(event: str, **fields: Any) -> None:
    """Send a message of whatever form."""
    send_raw(json.dumps({"event": event, "at": 1.0, **fields}).encode() + b"\n")


RAN: dict[str, Any] = {
    "kind": "run", "index": 0, "seconds": 1.0, "transcription": {"text": "words"}, "peak_rss": 1, "device_memory": {},
}  # fmt: skip
"""Fields of a run that ended."""


class InLoad(Well):
    """Misbehaves in `load`."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        self.misbehave()
        return super().load(spec, location, options)

    def misbehave(self) -> None:
        raise NotImplementedError


class InTranscribe(Well):
    """Misbehaves in `transcribe`."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.misbehave()
        return super().transcribe(samples, options)

    def misbehave(self) -> None:
        raise NotImplementedError


# Sudden ends.


class Segfault(InLoad):
    def misbehave(self) -> None:
        ctypes.string_at(0)


class ExitsQuietly(InTranscribe):
    def misbehave(self) -> None:
        os._exit(0)


class ExitsWithCode(InTranscribe):
    def misbehave(self) -> None:
        print("cannot open the secret device", file=sys.stderr, flush=True)
        os._exit(3)


class KillsItself(InTranscribe):
    def misbehave(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Aborts(InLoad):
    def misbehave(self) -> None:
        os.abort()


class ExitsOnLong(Well):
    """Gone wherever a clip is longer than a second."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        if len(samples) > 16_000:
            os._exit(7)
        return super().transcribe(samples, options)


class ExitsInLastRun(Well):
    """Warm-up and first run are good; gone in the second run."""

    calls = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.calls += 1
        if self.calls == 3:
            os._exit(7)
        return super().transcribe(samples, options)


class KilledAfterwards(Well):
    """Results are in and told, then a signal, as by a library's thread."""

    def close(self) -> None:
        send("Entered", phase="ended")
        os.kill(os.getpid(), signal.SIGKILL)  # macOS writes a report of every crash, which this is none of


class HangsInClose(Well):
    def close(self) -> None:
        threading.Event().wait()


# Exceptions.


class RaisesInImport(Well):
    def import_library(self) -> None:
        raise ImportError("libmagic.so.7: cannot open shared object file\nsecond line")


class RaisesInLoad(InLoad):
    def misbehave(self) -> None:
        raise ValueError("[load_npz] Input must be a zip file")


class RaisesInTranscribe(InTranscribe):
    def misbehave(self) -> None:
        raise RuntimeError("There is no Stream(cpu, 0) in current thread.")


class RaisesBaseException(InTranscribe):
    def misbehave(self) -> None:
        raise SystemExit("a library that wants to leave")


class OutOfMemory(InLoad):
    def misbehave(self) -> None:
        raise MemoryError


class Explains(InLoad):
    def misbehave(self) -> None:
        raise BackendError("the weights are for another model", "fetch them again", "model")


class RaisesWhenMade(Well):
    def __init__(self) -> None:
        raise OSError("no such device")


class RaisesWhenAsked(Well):
    def availability(self) -> Availability:
        raise KeyError("version")


class NotInstalled(Well):
    def availability(self) -> Availability:
        return Availability(False, fix="pip install toy")


class NoModel(Well):
    def model(self, size: str) -> ModelSpec | None:
        return None


class NoWeights(Well):
    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("embedded", "toy/none", missing_reason="nobody has trained it yet")


class ExitsWhenMadeInChild(Well):
    """Fine in the parent, gone in the child: its constructor looks at who is asking."""

    def __init__(self) -> None:
        if "speedtest_tui.core.race.child" in " ".join(sys.orig_argv):
            os._exit(9)


# Floods and garbage.


class FloodsStdout(InTranscribe):
    def misbehave(self) -> None:
        for _ in range(64):
            sys.stdout.write("o" * 65536)
        sys.stdout.flush()


class FloodsStderr(InTranscribe):
    def misbehave(self) -> None:
        for _ in range(64):
            sys.stderr.write("progress\r" * 8192)


class PrintsFromC(InTranscribe):
    def misbehave(self) -> None:
        libc = ctypes.CDLL(None)
        libc.puts(b'{"event": "failed", "at": 1.0}')
        libc.fflush(None)
        os.write(1, b"\x00 straight to descriptor 1\n")


class WritesGarbage(InLoad):
    def misbehave(self) -> None:
        send_raw(b"\x00\xff\x1b[2J not an event\n")


class WritesDeepNesting(InLoad):
    def misbehave(self) -> None:
        send_raw(b"[" * 200_000 + b"\n")


class HalfALine(InLoad):
    def misbehave(self) -> None:
        send_raw(b'{"event": "ModelLoaded", "at": 12')
        os._exit(0)


class EndlessLine(InLoad):
    def misbehave(self) -> None:
        while True:
            send_raw(b"x" * 65536)


class FloodsEvents(InLoad):
    def misbehave(self) -> None:
        while True:
            send_raw(b'{"event": "Entered", "at": 1.0, "phase": "loading"}\n' * 100)


class FinishesEarly(InLoad):
    def misbehave(self) -> None:
        send("Entered", phase="ended")
        os._exit(0)


class NanSeconds(InTranscribe):
    def misbehave(self) -> None:
        send("Transcribed", **{**RAN, "seconds": float("nan")})
        threading.Event().wait()


class HugeSeconds(InTranscribe):
    def misbehave(self) -> None:
        send("Transcribed", **{**RAN, "seconds": 10**400})
        threading.Event().wait()


class WrongMemory(InTranscribe):
    def misbehave(self) -> None:
        send("Transcribed", **{**RAN, "peak_rss": "plenty"})
        threading.Event().wait()


class ClosesEverything(InLoad):
    def misbehave(self) -> None:
        os.closerange(0, 256)


class ClosesEverythingAndStays(InLoad):
    def misbehave(self) -> None:
        os.closerange(0, 256)
        threading.Event().wait()


# Answers that are not what the protocol says.


class FactsAreADictionary(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return {"device": "cpu"}  # type: ignore[return-value]


class FactsCannotBeSent(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        circle: list[Any] = []
        circle.append(circle)
        return Loaded("cpu", "", None, None, spec.source, "", tuple(circle))


class FactsAreWords(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return Loaded("cpu", "", "four", None, spec.source, "", ())  # type: ignore[arg-type]


class TextIsNone(Well):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return Transcription(None)  # type: ignore[arg-type]


class ReturnsNothing(Well):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return None  # type: ignore[return-value]


class ReturnsText(Well):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return TEXT  # type: ignore[return-value]
