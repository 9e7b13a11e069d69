"""whisper-mps: OpenAI's checkpoints converted at load time. Despite its name it runs on MLX, not on MPS."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backends import catalogue, mlx_runtime
from backends.base import (
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

if TYPE_CHECKING:
    from backends.base import Samples


class WhisperMps(mlx_runtime.OnMlx):
    """Whisper as whisper-mps 0.0.10 ships it: greedy, with timestamps, float16."""

    name = "whisper-mps"
    summary = "Whisper on MLX from OpenAI's checkpoints"
    models = catalogue.WHISPER_MPS
    imports = ("whisper_mps.whisper.transcribe",)

    def __init__(self) -> None:
        self._name = ""
        self._english_only = False

    def availability(self) -> Availability:
        return mlx_library("whisper_mps", "whisper-mps")

    def found_at(self, path: Path) -> ModelSpec | None:
        return catalogue.checkpoint_at(path)

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        import mlx.core as mx
        from whisper_mps.whisper import load_models

        path = self.path_of(location, "a .pt file")
        file = path if path.is_file() else path / spec.files[0].names[0]  # or of the folder that holds it
        self._name = file.stem
        self._register(load_models, spec, file)
        refuse_downloads(load_models)
        model = load_models.load_model(self._name, download_root=str(file.parent), dtype=mx.float16)
        holder = _holder()
        # Without this, `transcribe` would load again, from ~/.cache/whisper, inside the first run.
        holder.model, holder.model_name = model, self._name
        self._english_only = not model.is_multilingual
        facts = (("temperature", "0"), ("timestamps", "segment"), ("features", "float16"))
        return mlx_runtime.loaded(model, spec, location, (file,), facts)

    def _register(self, load_models: Any, spec: ModelSpec, file: Path) -> None:
        """Make the library know a checkpoint that is not OpenAI's; it finds the expected hash in the URL."""
        if spec.kind != "folder" and self._name in load_models._MODELS:
            return
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        load_models._MODELS[self._name] = f"https://localhost/{sha256}/{file.name}"
        load_models._ALIGNMENT_HEADS[self._name] = None

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        from whisper_mps.whisper.transcribe import transcribe

        from backends.whisper.mlx import transcription

        result: dict[str, Any] = transcribe(
            samples,
            model=self._name,
            temperature=0.0,
            language="en" if self._english_only else options.language,
            task="transcribe",
            fp16=True,
        )
        return transcription(result, detected=not self._english_only and options.language is None)

    def close(self) -> None:
        holder = _holder()
        holder.model = holder.model_name = None
        super().close()


def _holder() -> Any:
    # The package re-exports the function under the module's name, so the module itself is only in sys.modules.
    return sys.modules["whisper_mps.whisper.transcribe"].ModelHolder


def refuse_downloads(load_models: Any) -> None:
    """Turn the library's own download into an error.

    It fetches again, over the file that is there, whenever the sha256 does not match; a benchmark must do neither.
    """

    def refuse(url: str, *_: object, **__: object) -> NoReturn:
        raise BackendError(
            f"{Path(str(url)).name} does not match the sha256 that OpenAI publishes",
            "fetch the file again",
            kind="model",
        )

    class Offline:
        request = type("request", (), {"urlopen": staticmethod(refuse)})

    load_models.urllib = Offline
