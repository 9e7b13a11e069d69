"""Toy backends whose quantised model may not load, and whose plain one may stand in for it."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from toys.well import Well, journal

from backends.base import BackendError, Loaded, LoadOptions, Location, ModelSpec, TranscribeOptions, Transcription

QUANTISED, PLAIN, PLAINER = "toy/q4", "toy/plain", "toy/plainer"
BALLAST = 300_000_000
"""Bytes that the quantised model takes before it fails."""


class Quantised(Well):
    """Loads whatever it is given, and notes it."""

    def model(self, size: str) -> ModelSpec | None:
        plain = ModelSpec("bundled", PLAIN, fallback=ModelSpec("bundled", PLAINER))
        return ModelSpec("bundled", QUANTISED, variant="4-bit", fallback=plain)

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        journal(spec.source)
        if spec.source == QUANTISED:
            self.refuse()
        return super().load(spec, location, options)

    def refuse(self) -> None:
        return


class Raises(Quantised):
    def refuse(self) -> None:
        ballast = bytearray(os.urandom(1)) * BALLAST
        raise ValueError(f"[quantized_matmul] bits=3 after {len(ballast)} bytes\nsecond line")


class Explains(Quantised):
    def refuse(self) -> None:
        raise BackendError("the weights are for another model", "fetch the file again", "model")


class Crashes(Quantised):
    def refuse(self) -> None:
        ctypes.string_at(0)


class WritesGarbage(Quantised):
    """A fault of its process, which no other model would mend."""

    def refuse(self) -> None:
        from toys.faulty import send_raw

        send_raw(b"not an event\n")


class TooLarge(Quantised):
    """The plain model would be larger still."""

    def refuse(self) -> None:
        raise MemoryError


class NeitherLoads(Quantised):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        journal(spec.source)
        raise ValueError(f"{spec.source} is of a kind unknown here")


class NothingInPlace(Explains):
    """The plain model is not on this machine."""

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("bundled", QUANTISED, fallback=ModelSpec("hub", PLAIN))


class FailsInImport(Quantised):
    def import_library(self) -> None:
        raise ImportError("libmagic.so.7")


class FailsInWarmup(Quantised):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        raise BackendError("wants another sample rate", kind="model")


class FailsInRun(Quantised):
    calls = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.calls += 1
        if self.calls == 2:
            raise ValueError("no such layer")
        return super().transcribe(samples, options)
