"""parakeet-mlx: NVIDIA's Parakeet models on MLX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends import catalogue, finite, mlx_runtime
from backends.base import (
    SAMPLE_RATE,
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
from backends.installation import mlx_library
from backends.text_checks import non_english, repetition_loop

if TYPE_CHECKING:
    from backends.base import Samples

HOP = 160
"""Samples per mel frame. parakeet-mlx 0.6.0 reads past its buffer when a length is no multiple of this, and what lies
there can turn the whole clip into NaN; zeros up to the next multiple prevent it."""

CHUNK_SECONDS, OVERLAP_SECONDS = 120.0, 15.0
"""The library's command line uses the same; longer pieces run out of memory on small machines (parakeet-mlx#4)."""


class ParakeetMlx:
    """Parakeet as parakeet-mlx 0.6 ships it: greedy, bfloat16 weights, its own mel front end."""

    name = "parakeet-mlx"
    engine: Engine = "mlx"
    summary = "NVIDIA Parakeet on MLX (English)"

    def __init__(self) -> None:
        self._model: Any = None
        self._looked = False

    def availability(self) -> Availability:
        return mlx_library("parakeet_mlx", "parakeet-mlx")

    def model(self, size: str) -> ModelSpec | None:
        return catalogue.PARAKEET_MLX.get(size)

    def import_library(self) -> None:
        import librosa.filters  # noqa: F401  the library imports it while it loads a model
        import parakeet_mlx.utils  # noqa: F401

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from parakeet_mlx import from_pretrained

        if location.path is None or not location.path.is_absolute():
            # A relative path that exists is taken for a repository name: 23 s of retries when offline.
            raise BackendError("parakeet-mlx needs the absolute path of a model folder", kind="model")
        self._model = from_pretrained(str(location.path))
        mlx_runtime.evaluate(self._model)
        dtype, bits, parameters = mlx_runtime.composition(self._model)
        return Loaded(
            device=mlx_runtime.device_name(),
            dtype=dtype,
            bits=bits,
            parameters=parameters,
            source=spec.source,
            revision=location.revision,
            files=tuple(str(location.path / name) for name in ("config.json", "model.safetensors")),
            options=(
                ("decoder", type(self._model).__name__),
                ("decoding", "greedy"),
                ("chunk", f"{CHUNK_SECONDS:.0f} s, overlap {OVERLAP_SECONDS:.0f} s"),
            ),
        )

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        invalid = ""
        if self._looked:
            result = self._transcribe_array(samples)
        else:
            result, invalid = self._transcribe_looked_at(samples)
            self._looked = True
        text = str(result.text).strip()
        foreign = non_english(text)
        return Transcription(
            text=text,
            segments=tuple(Segment(float(s.start), float(s.end), str(s.text).strip()) for s in result.sentences),
            language="en",
            warnings=(foreign,) if foreign else (),
            invalid=invalid or repetition_loop(text),
        )

    def _transcribe_looked_at(self, samples: Samples) -> tuple[Any, str]:
        """The library's result, and why it cannot count: the arg max of NaN is a token like any other.

        Raises BackendError with kind "model" where the weights are to blame.
        """
        import mlx.core as mx
        from mlx.utils import tree_flatten

        # What decides on tokens: the joint network of transducers, the only decoder of CTC models.
        last = type(self._model.joint if "joint" in self._model else self._model.decoder)
        original = last.__call__
        good = mx.array(True)

        def looked_at(module: Any, *arguments: Any) -> Any:
            nonlocal good
            output = original(module, *arguments)
            good = good & mx.isfinite(output).all()
            mx.eval(good)  # left to the end, it would keep every step's output in memory
            return output

        last.__call__ = looked_at
        try:
            result = self._transcribe_array(samples)
        finally:
            last.__call__ = original
        if good.item():
            return result, ""
        weights = tree_flatten(self._model.parameters())
        return result, finite.blame([name for name, weight in weights if not mx.isfinite(weight).all().item()])

    def _transcribe_array(self, samples: Samples) -> Any:
        """The library's own `transcribe`, chunking included, on samples instead of a file.

        It takes paths only and would run ffmpeg on them; what it calls to read a path is replaced by what hands over
        the samples, shape (n,) padded to a multiple of HOP.
        """
        import mlx.core as mx
        import numpy as np
        from parakeet_mlx import parakeet

        padded = mx.array(np.pad(samples, (0, -len(samples) % HOP)))

        def samples_of(_path: object, sampling_rate: int, _dtype: object = None) -> Any:
            if sampling_rate != SAMPLE_RATE:
                raise BackendError(f"the model wants {sampling_rate} Hz; clips have {SAMPLE_RATE} Hz", kind="model")
            return padded

        original, parakeet.load_audio = parakeet.load_audio, samples_of
        try:
            return self._model.transcribe("clip", chunk_duration=CHUNK_SECONDS, overlap_duration=OVERLAP_SECONDS)
        finally:
            parakeet.load_audio = original

    def synchronize(self) -> None:
        mlx_runtime.synchronize()

    def device_memory(self) -> DeviceMemory:
        return mlx_runtime.memory()

    def close(self) -> None:
        self._model = None
        mlx_runtime.release()
