"""Toy backends that behave: what a race looks like when nothing goes wrong, or when something is merely odd."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.base import (
    Availability,
    BackendError,
    DeviceMemory,
    Engine,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    Segment,
    TranscribeOptions,
    Transcription,
)

TEXT = "the same words every time"


def journal(*words: object) -> None:
    """Append a line to the file that the test reads, with the clock that all processes share."""
    if path := os.environ.get("TOY_JOURNAL"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(" ".join(map(str, (f"{time.monotonic():.6f}", *words))) + "\n")


class Well:
    """Quick, deterministic, complete."""

    name = "well"
    engine: Engine = "cpu"
    summary = "a toy"

    def availability(self) -> Availability:
        return Availability(True, "1.0", "CPU")

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("bundled", "toy/model")

    def import_library(self) -> None:
        return

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return Loaded("cpu", "float32", 32.0, 1000, spec.source, "r1", ("/model",), (("decoding", "greedy"),))

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        journal(type(self).__name__, "begins")
        return Transcription(TEXT, (Segment(0.0, 1.0, TEXT),), "en")

    def synchronize(self) -> None:
        return

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(active=1_000_000, peak=2_000_000)

    def close(self) -> None:
        return


class OnGpu(Well):
    """On an accelerator that holds 10 GB; it takes 1 GB, and keeps 2 GB more from its first transcription on."""

    taken, kept = 1_000_000_000, 2_000_000_000

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.cache = self.kept
        return super().transcribe(samples, options)

    cache = 0

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(self.taken, self.taken, self.cache, 10_000_000_000)

    def observed(self) -> tuple[tuple[str, str], ...]:
        return (("fp32 matmul", "TF32"),)


class LargeOnGpu(OnGpu):
    """So large that no other has room beside it, as soon as it is loaded."""

    taken = 8_000_000_000


class KeepsMuch(OnGpu):
    """Small, but after its first transcription nobody has room beside it."""

    kept = 7_500_000_000


class Hears(Well):
    """Tells the test how many seconds it was given, and says how often it has transcribed."""

    count = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        journal("Hears", f"{len(samples) / 16_000:g}")
        self.count += 1
        return Transcription(f"number {self.count}")


class Looks(OnGpu):
    """Fails in what it need not say."""

    def observed(self) -> tuple[tuple[str, str], ...]:
        raise RuntimeError("no such kernel")


class Slow(Well):
    """Slow enough to be interrupted."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        time.sleep(0.05)
        return super().transcribe(samples, options)


class WellToo(Well):
    """A second one, to be told apart by name."""


class WellThree(Well):
    """A third one."""


class Again(Well):
    """Knows from the journal whether it has run in another process before."""

    def __init__(self) -> None:
        path = Path(os.environ.get("TOY_JOURNAL", "/nowhere"))
        self.again = path.exists() and f" {type(self).__name__} begins" in path.read_text(encoding="utf-8")


class DoesNotLoadAgain(Again):
    """Loads in one process only."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        if self.again:
            raise BackendError("it is tired", kind="error")
        return super().load(spec, location, options)


class ExitsAgain(Again):
    """In its second process it is gone after the warm-up and one run."""

    count = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.count += 1
        if self.again and self.count == 3:
            os._exit(7)
        return super().transcribe(samples, options)


class BusyAfter(Well):
    """Returns its text at once while its threads go on computing for half a second, as OpenMP's do."""

    THREADS, SECONDS = 12, 0.5  # so many that they get their share of a busy machine

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        for _ in range(self.THREADS):
            threading.Thread(target=self._spin, daemon=True).start()
        return super().transcribe(samples, options)

    def _spin(self) -> None:
        import hashlib

        end = time.monotonic() + self.SECONDS
        while time.monotonic() < end:
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 20_000)  # lets go of the interpreter lock
        journal("BusyAfter", "quiet")


class Changing(Well):
    """Says something else each time."""

    count = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.count += 1
        return Transcription(f"take {self.count}")


class Warning(Well):
    """Warns at load and at each run."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return Loaded("cpu", "", None, None, spec.source, "", (), warnings=("loaded with a remark",))

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return Transcription(TEXT, warnings=("heard a remark",))


class NotANumber(Well):
    """Admits that its output is worthless."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return Transcription("!!!!", invalid="1 of 1 segments have NaN as their log-probability")


class Silent(Well):
    """Hears nothing at all."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return Transcription("")


class Strange(Well):
    """Text beyond ASCII, and half a surrogate pair, which no encoding can carry."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return Transcription("naïve 音 😀 \ud800 \x00 end")


class NumpyFacts(Well):
    """Facts in the types that libraries have at hand."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        import numpy as np

        facts: Any = (Path("cpu"), "float32", np.float32(4.5), np.int64(1000), spec.source, "", (Path("/model"),))
        return Loaded(*facts, options=(("batch", np.int64(3)),))  # type: ignore[arg-type]


class Reader(Well):
    """Says what it was given, so that a test can see it."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        import hashlib

        digest = hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()
        offline = os.environ.get("HF_HUB_OFFLINE")
        return Transcription(f"{samples.dtype} {samples.flags.writeable} {options.language} {offline} {digest}")


class Configured(Well):
    """Loads only where it is set to a beam of three."""

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        return

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        if dict(options.chosen) != {"beam": "3"}:
            raise BackendError(f"set to {options.chosen}", "set it to a beam of three")
        return super().load(spec, location, options)
