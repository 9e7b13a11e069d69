"""A backend of a third party: it says how long the clip is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.base import (
    SAMPLE_RATE,
    Availability,
    Engine,
    Library,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
    Transcription,
)

if TYPE_CHECKING:
    from backends.base import Samples


class Echo(Library):
    """Complete, without a library."""

    name = "echo"
    engine: Engine = "cpu"
    summary = "says how long the clip is"

    def availability(self) -> Availability:
        return Availability(True, "1.2.3", "CPU")

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("bundled", "echo/ruler") if size in ("nano", "huge") else None

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return Loaded("cpu", "", None, None, spec.source, "", ())

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        return Transcription(f"{len(samples) / SAMPLE_RATE:.2f} seconds")
