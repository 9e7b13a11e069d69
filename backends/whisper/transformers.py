"""transformers: the recipe of insanely-fast-whisper on Hugging Face's own pipeline, adapted to Apple's GPU."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from backends import catalogue, checks
from backends.base import (
    SAMPLE_RATE,
    Availability,
    BackendError,
    DeviceMemory,
    Engine,
    Library,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
    Transcription,
    installed,
    torch_device_expected,
)
from backends.checks import repetition_loop

if TYPE_CHECKING:
    from pathlib import Path

    from backends.base import Samples


CHUNK_SECONDS = 20
"""Shorter than the 30 s of insanely-fast-whisper: kinder to unified memory."""

BYTES_PER_BATCH_ITEM = 3 * 2**30
MAX_BATCH = 24
"""insanely-fast-whisper's README: batch 4 needs about 12 GB on a Mac, 24 is its default on a large GPU."""


FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"


@contextmanager
def operators_of_mps() -> Iterator[None]:
    """Say what to do where Apple's GPU lacks an operator; PyTorch names it in a NotImplementedError (MPSFallback.mm).

    The variable is never set here: whoever sets it knows that the processor then does a part of the work.
    """
    try:
        yield
    except NotImplementedError as error:
        found = re.search(r"operator '([^']{1,80})'.* MPS", str(error))
        if found is None:
            raise
        todo = f"set {FALLBACK}=1 to have the processor compute it, which is slower, and race again"
        raise BackendError(f"PyTorch has no {found[1]} for Apple's GPU", todo, "unsupported") from error


def batch_size(memory_bytes: int) -> int:
    """Chunks decoded at once on a machine with that much memory: one per 3 GB, 1 to 24."""
    return max(1, min(MAX_BATCH, memory_bytes // BYTES_PER_BATCH_ITEM))


class OnTorch(Library):
    """What every backend on PyTorch has alike."""

    def __init__(self) -> None:
        self._device = "cpu"

    def synchronize(self) -> None:
        if self._device != "cpu":
            _wait(import_module("torch"), self._device)

    def device_memory(self) -> DeviceMemory:
        """CUDA counts its peak; MPS only what the driver holds now, which its caching allocator keeps near the peak."""
        if self._device == "cpu":
            return super().device_memory()
        torch = import_module("torch")
        if self._device == "mps":
            active, held = torch.mps.current_allocated_memory(), torch.mps.driver_allocated_memory()
            return DeviceMemory(active, held, held - active, torch.mps.recommended_max_memory())
        return DeviceMemory(torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated())


class TransformersWhisper(OnTorch):
    """Whisper through `transformers.pipeline`: SDPA, fp16 on GPUs, fp32 on CPUs, 20 s chunks in batches, greedy."""

    name = "transformers"
    engine: Engine = "torch"
    summary = "Whisper on PyTorch, the insanely-fast recipe"
    models = catalogue.TRANSFORMERS
    layout = catalogue.TRANSFORMERS_FILES

    def __init__(self) -> None:
        super().__init__()
        self._batch = 1
        self._looked = False
        self._language = ""

    def availability(self) -> Availability:
        device = torch_device_expected()
        torch = installed("torch", "torch", "transformers", device)
        return installed("transformers", "transformers", "transformers", device) if torch.ok else torch

    def found_at(self, path: Path) -> ModelSpec | None:
        config = catalogue.folder_config(path)
        if config.get("model_type") != "whisper" or "d_model" not in config:
            return None
        return catalogue.folder_model(path, config, self.layout, config.get("vocab_size"))

    def import_library(self) -> None:
        # `transformers` resolves its names lazily: these are what the pipeline would import while it loads.
        from transformers import (  # noqa: F401
            WhisperFeatureExtractor,
            WhisperForConditionalGeneration,
            WhisperTokenizerFast,
            pipeline,
        )

    @operators_of_mps()
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        import torch
        from transformers import pipeline

        folder = self.path_of(location)
        device, refused = usable_device(torch)
        self._device = device
        self._batch = batch_size(options.memory_bytes)
        self._model = pipeline(
            "automatic-speech-recognition",
            model=str(folder),
            dtype=torch.float32 if device == "cpu" else torch.float16,
            device=device,
            model_kwargs={"attn_implementation": "sdpa"},
        )
        self.synchronize()
        model = self._model.model
        weights = list(model.parameters())
        stored = sum(w.numel() * w.element_size() for w in weights)
        parameters = sum(w.numel() for w in weights)
        return Loaded(
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            bits=stored * 8 / parameters,
            parameters=parameters,
            source=spec.source,
            revision=location.revision,
            files=tuple(str(folder / name) for name in ("config.json", _weights(spec, folder))),
            options=(
                ("attention", str(model.config._attn_implementation)),
                ("chunk", f"{CHUNK_SECONDS} s"),
                ("batch", str(self._batch)),
                ("timestamps", "none"),
                *((("operators that MPS lacks", "on the processor"),) if device == "mps" and _fallback() else ()),
            ),
            warnings=refused,
        )

    @operators_of_mps()
    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        invalid = ""
        if self._looked:
            text = self._text(samples, options)
        else:
            text, invalid = self._text_looked_at(samples, options)
            self._looked = True
        language = options.language or self._language
        detected = bool(self._language) and options.language is None and self._multilingual
        invalid = invalid or repetition_loop(text)
        return Transcription(text=text, language=language, invalid=invalid, detected=detected)

    @property
    def _multilingual(self) -> bool:
        return bool(getattr(self._model.model.generation_config, "is_multilingual", True))

    def _text(self, samples: Samples, options: TranscribeOptions) -> str:
        generate = {"task": "transcribe", "language": options.language}
        result = self._model(
            {"raw": samples, "sampling_rate": SAMPLE_RATE},  # made anew each time: the pipeline takes its keys out
            chunk_length_s=CHUNK_SECONDS,
            batch_size=self._batch,
            return_timestamps=False,
            # An English-only model refuses both keys.
            generate_kwargs=generate if self._multilingual else {},
        )
        return str(result["text"]).strip()

    def _text_looked_at(self, samples: Samples, options: TranscribeOptions) -> tuple[str, str]:
        """The text, and why it cannot count: NaN compares false with everything, and generation goes on regardless.

        Takes note of the language as well: generation puts what it detected for a chunk behind the first token of its
        prompt (`_retrieve_init_tokens`, transformers' generation_whisper.py). Later transcriptions pay for neither.
        Raises BackendError with kind "model" where the weights are to blame.
        """
        import torch

        model = self._model.model
        steps: list[Any] = []
        prompts: list[Any] = []

        def look(_model: object, _inputs: object, given: dict[str, Any], output: Any) -> None:
            # Stays on the device: asking for the answer here would make the device wait at each token.
            steps.append(output.logits.isfinite().all())
            prompt = given.get("decoder_input_ids")
            if prompt is not None and prompt.shape[-1] > 1:
                prompts.append(prompt[:, 1])

        hook = model.register_forward_hook(look, with_kwargs=True)
        try:
            text = self._text(samples, options)
        finally:
            hook.remove()
        known = {token: name.strip("<|>") for name, token in getattr(model.generation_config, "lang_to_id", {}).items()}
        found = Counter(known[token] for prompt in prompts for token in prompt.tolist() if token in known)
        self._language = found.most_common(1)[0][0] if found else "" if self._multilingual else "en"
        if not steps or bool(torch.stack(steps).all()):
            return text, ""
        return text, checks.blame([name for name, weight in model.named_parameters() if not weight.isfinite().all()])


def _weights(spec: ModelSpec, folder: Path) -> str:
    """The weights that the library chose, or their index where they are in shards."""
    names = next((file.names for file in spec.files if "model.safetensors" in file.names), ())
    return next((name for name in names if (folder / name).is_file()), "model.safetensors")


def _fallback() -> bool:
    """Whether PyTorch was told to use the processor for what Apple's GPU lacks; it takes "1" alone (MPSFallback.mm)."""
    return os.environ.get(FALLBACK) == "1"


def usable_device(torch: Any) -> tuple[str, tuple[str, ...]]:
    """CUDA, else Apple's GPU, else the processor, and a warning for each that says it is there and cannot multiply.

    MPS does so in virtual machines ("MPS backend out of memory", actions/runner-images #9918), CUDA with an old driver.
    """
    refused: list[str] = []
    for device, there in (("cuda:0", torch.cuda), ("mps", torch.backends.mps)):
        if not there.is_available():
            continue
        try:
            ones = torch.ones((16, 16), dtype=torch.float16, device=device)
            total = float((ones @ ones).sum())
            _wait(torch, device)
        except Exception as error:
            why = (str(error) or type(error).__name__).splitlines()[0][:120]
        else:
            if total == 16**3:
                return device, tuple(refused)
            why = f"a sum of {16**3} came out as {total:g}"
        refused.append(f"ran without {device}, which PyTorch says is there: {why}")
    return "cpu", tuple(refused)


def _wait(torch: Any, device: str) -> None:
    (torch.mps if device == "mps" else torch.cuda).synchronize()
