"""Parakeet while the audio comes in: how soon there is text, and how far it stays behind.

The clip is handed to the library's streaming mode in steps, each as soon as the one before is done, so that a run takes
as long as all the work. What a listener would have seen follows from the time that each step took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE, BackendError
from backends.parakeet.decoding import HOP
from backends.parakeet.mlx import Figures, ParakeetMlx, is_quantised
from backends.parakeet.options import STREAMS

if TYPE_CHECKING:
    from backends.base import Samples


FRAME = 8 * HOP
"""Samples of one encoder frame: the last step is filled up to a whole one."""


@dataclass(frozen=True)
class Step:
    """A piece of audio: `arrived` seconds after the clip began all of it was there; it took `worked` seconds."""

    arrived: float
    worked: float
    has_text: bool


def figures(steps: Sequence[Step]) -> Figures:
    """What a listener would have seen, had the audio come in real time.

    Each step is begun when its audio has arrived and the step before is done. All figures are in seconds:

    first_word_s: from the beginning of the clip to the end of the first step after which there was any text. It holds
        the time until the audio of that step was there, waiting, and work. Left out where there never was text.
    lag_median_s, lag_max_s: over all steps, from the arrival of a step's audio to the end of work on it, so how far the
        text is behind the audio. Speech that came early in a step has waited for the rest of it besides.
    """
    lags: list[float] = []
    first: Figures = ()
    done = 0.0
    for step in steps:
        done = max(done, step.arrived) + step.worked
        lags.append(done - step.arrived)
        if step.has_text and not first:
            first = (("first_word_s", done),)
    return (*first, ("lag_median_s", median(lags)), ("lag_max_s", max(lags))) if lags else ()


class ParakeetStream(ParakeetMlx):
    """Parakeet in the streaming mode of parakeet-mlx 0.6.

    Its text has no times: the library takes every step for one mel frame more than it has.
    """

    name = "parakeet-mlx-stream"
    summary = "Parakeet on MLX, streaming: time to the first word, lag behind the audio"
    settings = STREAMS

    def __init__(self) -> None:
        super().__init__()
        self._local = False

    def _prepare(self, folder: Path) -> None:
        import mlx.core as mx
        from parakeet_mlx.parakeet import ParakeetCTC

        if isinstance(self._model, ParakeetCTC):
            # Its first steps have no frame that is final, and of no frames it takes the arg max.
            raise BackendError(
                "parakeet-mlx 0.6 cannot stream CTC models", "choose a TDT, RNNT or hybrid one", "unsupported"
            )
        # The library's local attention is written in Metal, and takes the weights of plain layers only.
        self._local = mx.metal.is_available() and not is_quantised(folder)

    def _facts(self) -> tuple[tuple[str, str], ...]:
        left, right = (int(self._values[f"{side}_context"]) for side in ("left", "right"))
        return (
            ("step", f"{self._values['step_seconds']:g} s"),
            ("context", f"{left} frames before, {right} after"),
            ("attention", "local" if self._local else "full"),
        )

    def _hear(self, samples: Samples) -> tuple[Any, Figures]:
        import mlx.core as mx
        import numpy as np

        length = round(self._values["step_seconds"] * SAMPLE_RATE / HOP) * HOP
        context = int(self._values["left_context"]), int(self._values["right_context"])
        steps = []
        stream = self._model.transcribe_stream(
            context, keep_original_attention=not self._local, decoding_config=self._config
        )
        with stream:
            for start in range(0, max(len(samples), 1), length):
                piece = samples[start : start + length]
                missing = max(FRAME - len(piece), -len(piece) % FRAME) if len(piece) < length else 0
                audio = np.pad(piece, (0, missing))
                began = time.perf_counter()
                stream.add_audio(mx.array(audio))
                has_text = bool(stream.result.text)
                arrived = (start + len(piece)) / SAMPLE_RATE
                steps.append(Step(arrived, time.perf_counter() - began, has_text))
            return stream.result, figures(steps)

    def _segments(self, result: Any, seconds: float) -> Any:
        return ()

    def _words(self, result: Any, seconds: float) -> Any:
        return ()
