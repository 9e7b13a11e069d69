"""pocketsphinx: CMU's classical recogniser, with the general English model that its wheel carries."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue
from backends.base import (
    SAMPLE_RATE,
    Availability,
    DeviceMemory,
    Engine,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    Segment,
    TranscribeOptions,
    Transcription,
    installed,
)
from backends.checks import repetition_loop

if TYPE_CHECKING:
    from backends.base import Samples


WHEELS = ((3, 11), (3, 13))
"""Versions of Python that pocketsphinx 5.1 has wheels for; pyproject.toml names the same."""


class PocketSphinx:
    """pocketsphinx 5 with its defaults: one utterance, bundled US-English acoustic and trigram language model."""

    name = "pocketsphinx"
    engine: Engine = "cpu"
    summary = "CMU PocketSphinx, open vocabulary, no download (English)"

    def __init__(self) -> None:
        self._decoder: Any = None

    def availability(self) -> Availability:
        found = installed("pocketsphinx", "pocketsphinx", "pocketsphinx", "CPU")
        if not found.ok and sys.version_info[:2] not in WHEELS:
            this = ".".join(map(str, sys.version_info[:2]))
            found = replace(found, fix=f"use Python 3.11 or 3.13: there is no package of it for {this}")
        return found

    def model(self, size: str) -> ModelSpec | None:
        return catalogue.POCKETSPHINX.get(size)

    def import_library(self) -> None:
        import pocketsphinx  # noqa: F401

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        paths = [Path(str(self._decoder.config[key])) for key in ("hmm", "lm", "dict")]
        return Loaded(
            device="cpu",
            dtype="",
            bits=None,
            parameters=None,
            source=spec.source,
            revision=location.revision,
            files=tuple(str(path.absolute()) for path in paths),
            options=(("model", spec.variant),),
        )

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        import numpy as np

        # pocketsphinx reads 16-bit samples; 32767 keeps +1.0 from wrapping round.
        pcm = (samples * 32767).astype(np.int16).tobytes()
        # Cepstral means drift from one utterance to the next; each run must begin where the first one did.
        self._decoder.set_cmn(self._decoder.config["cmninit"])
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        text = str(hypothesis.hypstr).strip() if hypothesis else ""
        frames = int(self._decoder.config["frate"])
        words = tuple(
            Segment(word.start_frame / frames, (word.end_frame + 1) / frames, str(word.word).partition("(")[0])
            for word in (self._decoder.seg() or ())
            if not str(word.word).startswith(("<", "["))
        )
        return Transcription(text=text, segments=words, language="en", invalid=repetition_loop(text))

    def synchronize(self) -> None:
        return

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory()

    def close(self) -> None:
        self._decoder = None
