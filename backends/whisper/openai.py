"""openai-whisper: OpenAI's own code on PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue
from backends.base import (
    Availability,
    Engine,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
    Transcription,
    installed,
    torch_device_expected,
)
from backends.whisper import settings
from backends.whisper.mlx import transcription
from backends.whisper.transformers import OnTorch, operators_of_mps, usable_device

if TYPE_CHECKING:
    from backends.base import Samples

SETTINGS: dict[str, settings.Setting] = {"beam": ("1", range(1, 17)), "threads": ("0", range(257))}


class OpenAIWhisper(OnTorch):
    """openai-whisper 20250625: greedy at temperature 0, with timestamps, float16 on GPUs and float32 on processors."""

    name = "openai-whisper"
    engine: Engine = "torch"
    summary = "OpenAI's own Whisper, on PyTorch"
    models = catalogue.OPENAI_WHISPER
    imports = ("whisper",)

    def __init__(self) -> None:
        super().__init__()
        self._given: dict[str, Any] = {}

    def availability(self) -> Availability:
        device = torch_device_expected()
        torch = installed("torch", "torch", "openai-whisper", device)
        return installed("whisper", "openai-whisper", "openai-whisper", device) if torch.ok else torch

    def found_at(self, path: Path) -> ModelSpec | None:
        return catalogue.checkpoint_at(path)

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Raises BackendError with kind "option" for what cannot be set so."""
        settings.read(SETTINGS, chosen)

    @operators_of_mps()
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        import torch
        import whisper

        path = self.path_of(location, "a .pt file")
        file = path if path.is_file() else path / spec.files[0].names[0]
        values = settings.read(SETTINGS, options.chosen)
        if threads := int(values["threads"]):
            torch.set_num_threads(threads)
        self._device, refused = usable_device(torch)
        model = whisper.load_model(str(file), device="cpu")
        # Sparse, which Apple's GPU has no tensors for; only times of words would need it.
        model.register_buffer("alignment_heads", model.alignment_heads.to_dense(), persistent=False)
        self._model = model.to(self._device)
        half = self._device != "cpu"
        beam = int(values["beam"])
        self._given = {"temperature": 0.0, "fp16": half, "beam_size": beam if beam > 1 else None}
        self.synchronize()
        weights = [*model.parameters(), model.encoder.positional_embedding]
        parameters = sum(weight.numel() for weight in weights)
        return Loaded(
            device=str(model.device),
            # Its layers cast weights that are kept in float32 to what they are given, each time.
            dtype=str(weights[0].dtype).removeprefix("torch."),
            bits=sum(weight.numel() * weight.element_size() for weight in weights) * 8 / parameters,
            parameters=parameters,
            source=spec.source,
            revision=location.revision,
            files=(str(file),),
            options=(
                ("beam", values["beam"]),
                ("threads", str(torch.get_num_threads())),
                ("temperature", "0"),
                ("features", "float16" if half else "float32"),
            ),
            warnings=refused,
        )

    @operators_of_mps()
    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        multilingual = bool(self._model.is_multilingual)
        language = options.language if multilingual else "en"
        result: dict[str, Any] = self._model.transcribe(samples, language=language, task="transcribe", **self._given)
        return transcription(result, detected=language is None)
