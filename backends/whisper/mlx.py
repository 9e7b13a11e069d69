"""mlx-whisper: Whisper on MLX, by Apple. `transcription` also reads what the other MLX port returns: both keep OpenAI's
dictionary of text and segments.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue, mlx_runtime
from backends.base import (
    Availability,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    Segment,
    TranscribeOptions,
    Transcription,
    mlx_library,
)
from backends.checks import not_a_number, repetition_loop
from backends.mlx_runtime import all_weights

if TYPE_CHECKING:
    from backends.base import Samples


WEIGHTS = ("weights.safetensors", "weights.npz")


class MlxWhisper(mlx_runtime.OnMlx):
    """Whisper as mlx-whisper 0.4 ships it: greedy, with timestamps, in the precision of the weights."""

    name = "mlx-whisper"
    summary = "Whisper on MLX, by Apple"
    models = catalogue.MLX_WHISPER
    layout = catalogue.MLX_WHISPER_FILES
    imports = ("mlx_whisper.transcribe",)

    def __init__(self) -> None:
        self._path = ""
        self._fp16 = True
        self._english_only = False

    def availability(self) -> Availability:
        return mlx_library("mlx_whisper", "mlx-whisper")

    def found_at(self, path: Path) -> ModelSpec | None:
        config = catalogue.folder_config(path)
        if "n_audio_state" not in config:
            return None
        return catalogue.folder_model(path, config, self.layout, config.get("n_vocab"))

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        import mlx.core as mx
        from mlx_whisper.load_models import load_model
        from mlx_whisper.transcribe import ModelHolder
        from mlx_whisper.whisper import Whisper

        folder = self.path_of(location)
        self._path = str(folder)
        weights = folder / next(name for name in WEIGHTS if (folder / name).exists())
        # Whisper's `fp16` flag casts the features, not the weights: it must follow what the file holds.
        self._fp16 = _convolution_dtype(weights) == mx.float16
        with all_weights(Whisper):
            model = load_model(self._path, dtype=mx.float16 if self._fp16 else mx.float32)
        # `transcribe` looks here by path; without this it would load everything a second time inside the first run.
        ModelHolder.model, ModelHolder.model_path = model, self._path
        self._english_only = not model.is_multilingual
        features = "float16" if self._fp16 else "float32"
        facts = (("temperature", "0"), ("timestamps", "segment"), ("features", features))
        return mlx_runtime.loaded(model, spec, location, (folder / "config.json", weights), facts)

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        from mlx_whisper.transcribe import transcribe

        result: dict[str, Any] = transcribe(
            samples,
            path_or_hf_repo=self._path,
            temperature=0.0,
            language="en" if self._english_only else options.language,
            task="transcribe",
            fp16=self._fp16,
        )
        return transcription(result, detected=not self._english_only and options.language is None)

    def close(self) -> None:
        from mlx_whisper.transcribe import ModelHolder

        ModelHolder.model = ModelHolder.model_path = None
        super().close()


def _convolution_dtype(weights: Path) -> Any:
    """The dtype of the first layer, which no quantisation touches; read from the file's header, not its content."""
    import mlx.core as mx

    arrays: Any = mx.load(str(weights))
    return arrays["encoder.conv1.weight"].dtype


def transcription(result: dict[str, Any], *, detected: bool) -> Transcription:
    """Turn Whisper's result dictionary into a Transcription, marked invalid where its numbers or text say so.

    A NaN log-probability comes with text such as "!!!!" and no exception: NaN compares false with every threshold, so
    the library's own fallback never starts.
    """
    segments = result.get("segments") or []
    text = str(result.get("text", "")).strip()
    return Transcription(
        text=text,
        segments=tuple(Segment(float(s["start"]), float(s["end"]), str(s["text"]).strip()) for s in segments),
        language=str(result.get("language") or ""),
        invalid=not_a_number(s["avg_logprob"] for s in segments) or repetition_loop(text),
        detected=detected,
    )
