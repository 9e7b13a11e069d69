"""parakeet-mlx: NVIDIA's Parakeet models on MLX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue, mlx_runtime
from backends.base import (
    SAMPLE_RATE,
    Availability,
    BackendError,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
    Transcription,
    mlx_library,
)
from backends.checks import non_english, repetition_loop
from backends.mlx_runtime import packing
from backends.parakeet import decoding as parakeet_decoding
from backends.parakeet import options as parakeet_options
from backends.parakeet.decoding import exact_settings, front_end
from backends.parakeet.options import WHOLE_CLIPS, Setting

if TYPE_CHECKING:
    from backends.base import Samples
    from backends.nemo_mel import MelSettings


Figures = tuple[tuple[str, float], ...]

TARGETS = frozenset({"EncDecCTCModelBPE", "EncDecRNNTBPEModel", "EncDecHybridRNNTCTCBPEModel"})
"""NeMo's classes that the library knows, as the `target` of a config.json ends."""


class ParakeetMlx(mlx_runtime.OnMlx):
    """Parakeet as parakeet-mlx 0.6 ships it: greedy unless asked otherwise, its own mel front end.

    It casts weights to bfloat16, except quantised ones: these the library cannot read, and `open_folder` can.
    """

    name = "parakeet-mlx"
    summary = "NVIDIA Parakeet on MLX"
    models = catalogue.PARAKEET_MLX
    layout = catalogue.PARAKEET_FILES
    # librosa's filters the library imports while it loads a model.
    imports = ("librosa.filters", "parakeet_mlx.utils")
    settings: Mapping[str, Setting] = WHOLE_CLIPS

    def __init__(self) -> None:
        self._looked = False
        self._english_only = True
        self._exact: MelSettings | None = None
        self._values: dict[str, float] = {}
        self._config: Any = None

    def availability(self) -> Availability:
        return mlx_library("parakeet_mlx", "parakeet-mlx")

    def found_at(self, path: Path) -> ModelSpec | None:
        config = catalogue.folder_config(path)
        if str(config.get("target", "")).rpartition(".")[2] not in TARGETS:
            return None
        return catalogue.folder_model(path, config, self.layout)

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Raises BackendError with kind "option" for what cannot be set so."""
        parakeet_options.read(self.settings, chosen)

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        self._values = parakeet_options.read(self.settings, options.chosen)
        folder, beam = self.path_of(location), int(self._values["beam"])
        self._model = _open(folder)
        self._config = parakeet_decoding.decoding(self._model, beam)
        self._english_only = spec.english_only
        self._prepare(folder)
        facts = (
            ("decoder", type(self._model).__name__),
            ("decoding", "greedy" if beam == 1 else f"beam of {beam}"),
            ("mel", "NeMo's" if self._exact else "the library's"),
            *self._facts(),
        )
        files = (folder / name for name in ("config.json", "model.safetensors"))
        return mlx_runtime.loaded(self._model, spec, location, files, facts)

    def _prepare(self, folder: Path) -> None:
        """What a variant needs beside the model."""

    def _facts(self) -> tuple[tuple[str, str], ...]:
        chunk, overlap = self._values["chunk_seconds"], self._values["overlap_seconds"]
        return (("chunk", f"{chunk:g} s, overlap {overlap:g} s"),)

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        with front_end(self._exact) as mel:
            if self._looked:
                (result, figures), invalid = self._hear(samples), ""
            else:
                (result, figures), invalid = parakeet_decoding.looked_at(self._model, lambda: self._hear(samples))
                self._looked = True
        text = str(result.text).strip()
        return Transcription(
            text=text,
            segments=self._segments(result, len(samples) / SAMPLE_RATE),
            language="en" if self._english_only else "",
            warnings=tuple(filter(None, (self._remark(text, options.language),))),
            invalid=invalid or mel.invalid or repetition_loop(text),
            words=self._words(result, len(samples) / SAMPLE_RATE),
            figures=figures,
        )

    def _hear(self, samples: Samples) -> tuple[Any, Figures]:
        """The library's result for a clip, and what was measured beside the time that it took."""
        chunk, overlap = self._values["chunk_seconds"], self._values["overlap_seconds"]
        return parakeet_decoding.transcribe_array(self._model, samples, chunk, overlap, self._config), ()

    def _segments(self, result: Any, seconds: float) -> Any:
        return parakeet_decoding.segments(result, seconds)

    def _words(self, result: Any, seconds: float) -> Any:
        return parakeet_decoding.words(result, seconds)

    def _remark(self, text: str, language: str | None) -> str:
        """What is to be said of a text: no Parakeet can be told a language, and most know only one."""
        if self._english_only:
            return non_english(text)
        return f"the model finds out the language by itself: {language} was ignored" if language else ""


class ParakeetExact(ParakeetMlx):
    """The same models and decoding, but what they hear is made as NeMo makes it, on the processor."""

    name = "parakeet-mlx-exact"
    summary = "Parakeet on MLX with the exact mel spectrogram of NeMo"

    def _prepare(self, folder: Path) -> None:
        self._exact = exact_settings(folder)


def _open(folder: Path) -> Any:
    """A model from its folder. Raises BackendError with kind "model"."""
    from dacite import DaciteError
    from parakeet_mlx import from_pretrained

    try:
        if is_quantised(folder):
            return open_folder(folder)
        return from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError, DaciteError) as error:
        raise BackendError(_unreadable(error), "download the model again", "model") from error
    except RuntimeError as error:
        if "safetensors" not in str(error):
            raise  # out of memory, for one, says nothing about the files
        raise BackendError(_unreadable(error), "download the model again", "model") from error


def _unreadable(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"parakeet-mlx cannot read this folder: {text:.300}"


def open_folder(folder: Path) -> Any:
    """Load `config.json` and `model.safetensors` as they are stored. Raises BackendError of kind "model".

    The library's own `from_pretrained` casts every parameter to bfloat16 (packed ones would be destroyed by it) and
    makes no quantised layers. Here numbers keep their format, and layers whose scales are in the file are quantised
    ones. Every parameter must be there once and have its shape.
    """
    import mlx.core as mx
    from mlx import nn
    from parakeet_mlx.utils import from_config

    try:
        config = catalogue.read_config(folder)
        weights: Any = mx.load(str(folder / "model.safetensors"))
        model = from_config(config)
        nn.quantize(model, class_predicate=lambda path, module: packing(weights, path, module))
        model.load_weights(list(weights.items()))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        raise BackendError(f"parakeet-mlx cannot read this folder: {text:.300}", kind="model") from error
    model.eval()
    return model


def is_quantised(folder: Path) -> bool:
    """Whether the folder's configuration says so; the library cannot read such folders. Raises OSError, ValueError."""
    return "quantization" in catalogue.read_config(folder)
