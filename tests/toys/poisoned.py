"""A package of backends that report what would steer a terminal, in every field of every dataclass."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from poison import PAYLOAD, poisoned
from toys.well import Well

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

TEXT = PAYLOAD.replace("\ud83d", "")


class Talks(Well):
    """Runs well, and says all it can say."""

    name = summary = TEXT

    def availability(self) -> Availability:
        return poisoned(Availability)  # type: ignore[no-any-return]

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("bundled", TEXT, variant=TEXT, revision=TEXT)

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        for name, value in chosen:
            raise BackendError(f"{TEXT} {name} {value}", TEXT, "option")

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        return poisoned(Loaded)  # type: ignore[no-any-return]

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        from dataclasses import replace

        return replace(poisoned(Transcription), invalid="")


class Invalid(Talks):
    """Admits that its output is worthless."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        return poisoned(Transcription)  # type: ignore[no-any-return]


class Missing(Talks):
    """Cannot run here."""

    def availability(self) -> Availability:
        return Availability(False, TEXT, TEXT, TEXT)


class NoModel(Talks):
    """Has no weights yet."""

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("hub", TEXT, missing_reason=TEXT)


class NoFiles(Talks):
    """Has a model that is not on this machine."""

    def model(self, size: str) -> ModelSpec | None:
        return ModelSpec("hub", f"org/{TEXT}", revision=TEXT, fallback=ModelSpec("hub", "org/other", variant=TEXT))


class Refuses(Talks):
    """Knows why it cannot load."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        raise BackendError(TEXT, TEXT, TEXT)


class Raises(Talks):
    """Does not expect what happens."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        raise ValueError(PAYLOAD)


class Dies(Talks):
    """Has last words."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        sys.stderr.buffer.write(PAYLOAD.encode("utf-8", "surrogatepass"))
        sys.stderr.flush()
        os._exit(3)


class Babbles(Talks):
    """Writes what is no message where messages belong."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        for descriptor in range(3, 10):
            try:
                os.write(descriptor, PAYLOAD.encode("utf-8", "surrogatepass") + b"\n")
            except OSError:
                continue
        return super().load(spec, location, options)


class Unimportable(Talks):
    """Its library does not import."""

    def import_library(self) -> None:
        raise ImportError(TEXT, name=TEXT, path=TEXT)


KINDS = (Talks, Invalid, Missing, NoModel, NoFiles, Refuses, Raises, Dies, Babbles, Unimportable)
