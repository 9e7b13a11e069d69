"""Toy backends for checks of models: slow ones, talkative ones, one that would rather have the model from the net."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

from toys.well import Well

from backends.base import BackendError, Loaded, LoadOptions, Location, ModelSpec, TranscribeOptions, Transcription
from backends.checks import repetition_loop


class SlowDisk(Well):
    """Loads for SECONDS, a little more of its model in memory at each look."""

    SECONDS, STEP_S = 4.0, 0.2

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        self.read = []
        for number in range(round(self.SECONDS / self.STEP_S)):
            self.read.append(bytes([number + 1]) * (8 << 20))
            threading.Event().wait(self.STEP_S)
        return super().load(spec, location, options)


class SaysSo(Well):
    """Fails with what it was given, so that a test can see it."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        digest = hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()
        raise BackendError(f"{samples.dtype} {options.language} {os.environ.get('HF_HUB_OFFLINE')} {digest}")


class Loops(Well):
    """Hears words in a tone, again and again, as Whisper does."""

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        text = "Thank you. " * 20
        return Transcription(text, invalid=repetition_loop(text))


class ListsEveryTensor(Well):
    """Complains at length, over several lines."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        names = ", ".join(f"encoder.blocks.{number}.attn.query.weight" for number in range(500))
        raise BackendError(f"unexpected parameters:\n{names}")


class Fetches(Well):
    """Asks the hub for its model, whatever it was given."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from huggingface_hub import snapshot_download

        snapshot_download("org/name")
        return super().load(spec, location, options)
