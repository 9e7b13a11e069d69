"""pocketsphinx: CMU's classical recogniser, with the general English model that its wheel carries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backends import catalogue
from backends.base import (
    SAMPLE_RATE,
    Availability,
    Engine,
    Library,
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


class PocketSphinx(Library):
    """pocketsphinx 5 with its defaults: one utterance, bundled US-English acoustic and trigram language model."""

    name = "pocketsphinx"
    engine: Engine = "cpu"
    summary = "CMU PocketSphinx, open vocabulary, no download (English)"
    models = catalogue.POCKETSPHINX
    imports = ("pocketsphinx",)

    def availability(self) -> Availability:
        return installed("pocketsphinx", "pocketsphinx", "pocketsphinx", "CPU")

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from pocketsphinx import Decoder

        self._model = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        paths = [Path(str(self._model.config[key])) for key in ("hmm", "lm", "dict")]
        files = tuple(str(path.absolute()) for path in paths)
        return Loaded("cpu", "", None, None, spec.source, location.revision, files, (("model", spec.variant),))

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        import numpy as np

        # pocketsphinx reads 16-bit samples; 32767 keeps +1.0 from wrapping round.
        pcm = (samples * 32767).astype(np.int16).tobytes()
        # Cepstral means and noise drift from one utterance to the next, and `set_cmn` resets a part of that only. A new
        # front end takes 0.1 ms, and each run begins where the first one did.
        self._model.reinit_feat()
        self._model.start_utt()
        self._model.process_raw(pcm, no_search=False, full_utt=True)
        self._model.end_utt()
        hypothesis = self._model.hyp()
        text = str(hypothesis.hypstr).strip() if hypothesis else ""
        frames = int(self._model.config["frate"])
        words = tuple(
            Segment(word.start_frame / frames, (word.end_frame + 1) / frames, str(word.word).partition("(")[0])
            for word in (self._model.seg() or ())
            if not str(word.word).startswith(("<", "["))
        )
        return Transcription(text=text, segments=words, language="en", invalid=repetition_loop(text))
