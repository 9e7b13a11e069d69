"""whisper.cpp through pywhispercpp: ggml files, quantised ones too; Metal on Macs, CUDA where it was built with it."""

from __future__ import annotations

import math
import re
import struct
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from backends import catalogue
from backends.base import (
    SAMPLE_RATE,
    Availability,
    BackendError,
    Engine,
    Library,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    RequiredFile,
    Segment,
    TranscribeOptions,
    Transcription,
    installed,
)
from backends.checks import repetition_loop
from backends.whisper import settings

if TYPE_CHECKING:
    from backends.base import Samples

MAGIC = 0x67676D6C
TYPES = {
    0: ("float32", 1, 4), 1: ("float16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24), 8: ("q8_0", 32, 34), 10: ("q2_K", 256, 84), 11: ("q3_K", 256, 110), 12: ("q4_K", 256, 144),
    13: ("q5_K", 256, 176), 14: ("q6_K", 256, 210),
}  # fmt: skip
"""ggml's types by number: name, numbers in a block, bytes of a block (ggml/src/ggml-common.h)."""

SETTINGS: dict[str, settings.Setting] = {
    "threads": ("0", range(257)),  # 0 leaves it to whisper.cpp: 4, or fewer where the machine has fewer
    "beam": ("1", range(1, 9)),
    "gpu": ("on", settings.SWITCH),
    "flash_attention": ("on", settings.SWITCH),
}


class WhisperCpp(Library):
    """whisper.cpp as pywhispercpp 1.5 ships it: greedy at temperature 0, with timestamps."""

    name = "whisper-cpp"
    engine: Engine = "cpu"
    summary = "whisper.cpp, from ggml files (Metal on Macs)"
    models = catalogue.WHISPER_CPP
    imports = ("pywhispercpp.model",)

    def __init__(self) -> None:
        self._multilingual = True

    def availability(self) -> Availability:
        import sys

        device = "Metal GPU" if sys.platform == "darwin" else "CPU"
        return installed("pywhispercpp", "pywhispercpp", "whisper-cpp", device)

    def found_at(self, path: Path) -> ModelSpec | None:
        files = [path] if path.is_file() else sorted(path.glob("ggml-*.bin")) if path.is_dir() else []
        if len(files) != 1 or (facts := header(files[0])) is None:
            return None
        english = facts[0] <= catalogue.ENGLISH_VOCABULARY
        return ModelSpec("folder", str(path), (RequiredFile((files[0].name,)),), english_only=english)

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Raises BackendError with kind "option" for what cannot be set so."""
        settings.read(SETTINGS, chosen)

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from pywhispercpp.model import Model

        path = self.path_of(location, "a ggml file")
        file = path if path.is_file() else path / spec.files[0].names[0]
        if (facts := header(file)) is None:
            raise BackendError(f"{file.name} is no model of whisper.cpp", "download the model again", "model")
        self._multilingual = facts[0] > catalogue.ENGLISH_VOCABULARY
        values = settings.read(SETTINGS, options.chosen)
        threads, beam = int(values["threads"]), int(values["beam"])
        # As the others here: no fallbacks to higher temperatures, which draw words by chance, and no "[BLANK_AUDIO]".
        given: dict[str, Any] = {"temperature": 0.0, "temperature_inc": 0.0, "suppress_nst": True}
        given["print_progress"] = False
        if threads:
            given["n_threads"] = threads
        if beam > 1:
            given["beam_search"] = {"beam_size": beam, "patience": -1.0}
        context = {"use_gpu": values["gpu"] == "on", "flash_attn": values["flash_attention"] == "on"}
        with tempfile.NamedTemporaryFile("r", suffix=".log", errors="replace") as log:
            self._model = Model(
                str(file),
                params_sampling_strategy=int(beam > 1),
                redirect_whispercpp_logs_to=log.name,
                context_params=context,  # type: ignore[arg-type]
                **given,
            )
            told = log.read()
        kind, parameters, bits = facts[1:]
        return Loaded(
            device=device_of(told),
            dtype=kind,
            bits=bits,
            parameters=parameters,
            source=spec.source,
            revision=location.revision,
            files=(str(file),),
            options=(*{**values, "threads": str(self._model._params.n_threads), "temperature": "0"}.items(),),
        )

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        import _pywhispercpp as library

        language = (options.language or "auto") if self._multilingual else "en"
        found = self._model.transcribe(samples, language=language)
        text = " ".join(segment.text for segment in found).strip()
        end = len(samples) / SAMPLE_RATE

        def within(hundredths: int) -> float:
            """Seconds. A model with two layers in its decoder tells no times: what comes then is far outside."""
            return min(max(hundredths / 100, 0.0), end)

        told = library.whisper_lang_str(library.whisper_full_lang_id(self._model._ctx)) if self._multilingual else "en"
        return Transcription(
            text=text,
            segments=tuple(Segment(within(one.t0), within(one.t1), one.text) for one in found),
            language=str(told or ""),
            invalid=repetition_loop(text),
            detected=language == "auto",
        )


def device_of(log: str) -> str:
    """The device in what whisper.cpp says while it loads (`whisper_backend_init_gpu` of its src/whisper.cpp)."""
    using = re.search(r"whisper_backend_init_gpu: using (\S+) backend", log)
    named = re.search(r"(?:ggml_metal_(?:device_)?init: GPU name: |Device 0: )\s*([^,\n]+)", log)
    if using is None:
        return "cpu"
    return f"gpu ({named[1].strip()}, {using[1]})" if named else f"gpu ({using[1]})"


def header(file: Path) -> tuple[int, str, int, float] | None:
    """Size of the vocabulary, type of most weights, how many there are and bits of each; None for what is no model.

    The sizes, the mel filters, the words, then the tensors: `whisper_model_load` of whisper.cpp's src/whisper.cpp. Only
    what stands before each tensor is read.
    """
    try:
        with file.open("rb") as opened:
            return _header(opened, file.stat().st_size)
    except (OSError, struct.error, UnicodeDecodeError, KeyError):
        return None


def _header(file: BinaryIO, size: int) -> tuple[int, str, int, float] | None:
    def numbers(count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}i", file.read(4 * count))

    if numbers(1)[0] != MAGIC:
        return None
    vocabulary = numbers(11)[0]
    rows, columns = numbers(2)
    file.seek(4 * rows * columns, 1)
    for _ in range(numbers(1)[0]):
        file.seek(numbers(1)[0], 1)
    kinds: Counter[str] = Counter()
    parameters = stored = 0
    while file.tell() < size:
        dimensions, length, number = numbers(3)
        count = math.prod(numbers(dimensions))
        kind, block, width = TYPES[number]
        taken = count // block * width
        file.seek(length + taken, 1)
        kinds[kind] += taken
        parameters += count
        stored += taken
    if file.tell() != size or not parameters:
        return None
    return vocabulary, kinds.most_common(1)[0][0], parameters, stored * 8 / parameters
