"""faster-whisper: Whisper on CTranslate2, on processors and NVIDIA's GPUs."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue
from backends.base import (
    Availability,
    BackendError,
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
from backends.checks import not_a_number, repetition_loop
from backends.whisper import settings

if TYPE_CHECKING:
    from backends.base import Samples

COMPUTE_TYPES = ("default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16",
                 "bfloat16", "float32")  # fmt: skip
"""CTranslate2's (docs/quantization.md); "default" is that of the file, or what the processor has instead."""

SETTINGS: dict[str, settings.Setting] = {
    "compute_type": ("default", COMPUTE_TYPES),
    "threads": ("0", range(257)),  # 0 leaves it to CTranslate2
    "beam": ("1", range(1, 17)),
    "batch": ("1", range(1, 129)),
    "vad": ("off", settings.SWITCH),
}


class FasterWhisper(Library):
    """faster-whisper 1.2: greedy by default as the others here; the library's own default is 5 beams."""

    name = "faster-whisper"
    engine: Engine = "cpu"
    summary = "Whisper on CTranslate2, with int8 on processors"
    models = catalogue.FASTER_WHISPER
    layout = catalogue.CT2_FILES
    # The tokenizer the library imports while it loads a model.
    imports = ("faster_whisper", "tokenizers")

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._multilingual = True

    def availability(self) -> Availability:
        nvidia = Path("/proc/driver/nvidia/version").exists()
        return installed("faster_whisper", "faster-whisper", "faster-whisper", "CUDA" if nvidia else "CPU")

    def found_at(self, path: Path) -> ModelSpec | None:
        config = catalogue.folder_config(path)
        if not (path / "model.bin").is_file() or "suppress_ids" not in config:
            return None
        return catalogue.folder_model(path, config, self.layout)

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Raises BackendError with kind "option" for what cannot be set so."""
        values = settings.read(SETTINGS, chosen)
        if int(values["batch"]) > 1 and values["vad"] == "off" and ("vad", "off") in chosen:
            raise BackendError("option vad is 'off'", "leave it out: batches are cut where nobody speaks", "option")

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        folder = self.path_of(location)
        values = settings.read(SETTINGS, options.chosen)
        batch, threads = int(values["batch"]), int(values["threads"])
        try:
            model = WhisperModel(
                str(folder), compute_type=values["compute_type"], cpu_threads=threads, local_files_only=True
            )
        except ValueError as error:
            if "compute type" in str(error):
                raise BackendError(
                    str(error).strip().splitlines()[0], "choose another compute_type", "option"
                ) from error
            raise
        self._multilingual = bool(model.model.is_multilingual)
        # Batches are made of the stretches that the library's voice detection finds.
        vad = values["vad"] == "on" or batch > 1
        self._given = {"beam_size": int(values["beam"]), "vad_filter": vad, "temperature": 0.0}
        self._model = model
        if batch > 1:
            self._model = BatchedInferencePipeline(model)
            self._given["batch_size"] = batch
        kind = str(model.model.compute_type)
        parameters, bits = composition(folder / "model.bin", kind)
        facts = {**values, "vad": "on" if vad else "off", "compute_type": kind, "temperature": "0"}
        facts["threads"] = values["threads"] if threads else "the library's default"
        return Loaded(
            device=str(model.model.device),
            dtype=kind,
            bits=bits,
            parameters=parameters,
            source=spec.source,
            revision=location.revision,
            files=tuple(str(folder / name) for name in ("config.json", "model.bin", "tokenizer.json")),
            options=tuple(facts.items()),
        )

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        language = options.language if self._multilingual else "en"
        lazy, info = self._model.transcribe(samples, language=language, **self._given)
        found = list(lazy)  # the work is done here, not above
        text = " ".join(segment.text.strip() for segment in found).strip()
        return Transcription(
            text=text,
            segments=tuple(Segment(float(one.start), float(one.end), one.text.strip()) for one in found),
            language=str(info.language or ""),
            invalid=not_a_number(segment.avg_logprob for segment in found) or repetition_loop(text),
            detected=language is None,
        )


WIDTHS = (4, 1, 2, 4, 2, 2)
"""Bytes of a number of each of CTranslate2's types (float32, int8, int16, int32, float16, bfloat16)."""


def variables(model: Path) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Name, shape and type of what is in a model.bin of format 6; `_serialize` of CTranslate2's model_spec.py."""
    with model.open("rb") as file:

        def number(form: str) -> int:
            value: int = struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0]
            return value

        def string() -> str:
            return file.read(number("H"))[:-1].decode()

        number("I"), string(), number("I")
        for _ in range(number("I")):
            name = string()
            shape = tuple(number("I") for _ in range(number("B")))
            kind = number("B")
            yield name, shape, kind
            file.seek(number("I"), 1)


def composition(model: Path, compute_type: str) -> tuple[int | None, float | None]:
    """How many weights a model has, and the bits of each as it computes; None where the file is of another form.

    Rows of matrices become int8 or int16 with a float32 as their scale, all else has the type behind the "_"
    (`process_linear_weights` of CTranslate2's src/models/model.cc); convolutions stay as they are (whisper.cc). The
    zeros that stand for the biases that Whisper's keys lack are no weights.
    """
    small = {"int8": 8, "int16": 16}.get(compute_type.partition("_")[0])
    wide = 16 if compute_type.endswith("16") and compute_type != "int16" else 32
    count, bits = 0, 0
    try:
        for name, shape, kind in variables(model):
            size = math.prod(shape)
            if not shape or name.endswith("_scale") or WIDTHS[kind] == 0:
                continue
            if name.endswith("attention/linear_0/bias") and "self_" in name:
                size = size * 2 // 3
            elif name.endswith("/attention/linear_1/bias"):
                size //= 2
            matrix = small is not None and len(shape) == 2 and name.endswith("weight")
            count += size
            bits += size * small + shape[0] * 32 if matrix and small else size * wide
    except (OSError, struct.error, UnicodeDecodeError, IndexError):
        return None, None
    return (count, bits / count) if count else (None, None)
