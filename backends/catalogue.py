"""The model catalogue: which model each built-in backend maps a size to, and how the model in a folder is read.

The maps for tiny to large-v3 are those that users of mac-whisper-speedtest know; nothing else in the program names a
model. OpenAI's hashes are the last folder of each URL, as in openai/whisper `__init__.py` and whisper-mps 0.0.10.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.base import ModelSpec, RequiredFile

ABOUT_SIZES = {
    "nano": "built in: ranks overhead, knows about 70 words",
    "tiny": "39 M parameters",
    "base": "74 M parameters",
    "small": "244 M parameters",
    "medium": "769 M parameters",
    "large": "what each backend calls large: turbo for some, large-v3 for others",
    "large-v2": "1550 M parameters",
    "large-v3": "1550 M parameters",
    "turbo": "809 M parameters",
}
"""The sizes, and what people want to know of each. Parameter counts are of OpenAI's Whisper (model card in
openai/whisper); parakeet-mlx has one model for all."""

SIZES = tuple(ABOUT_SIZES)
"""What a user chooses from, smallest first. Backends may know further names of their own."""

PARAMETERS = {"tiny": 39, "base": 74, "small": 244, "medium": 769, "turbo": 809, "large": 1550}
"""Millions of parameters of OpenAI's models, from the same card; a name may hold one of these words."""

PUBLISHED_BYTES = {
    "tiny.en.pt": 75_571_315, "tiny.pt": 75_572_083, "base.en.pt": 145_261_783, "base.pt": 145_262_807,
    "small.en.pt": 483_615_683, "small.pt": 483_617_219, "medium.en.pt": 1_528_006_491, "medium.pt": 1_528_008_539,
    "large-v1.pt": 3_086_999_982, "large-v2.pt": 3_086_999_982, "large-v3.pt": 3_087_371_615,
    "large-v3-turbo.pt": 1_617_941_637,
    "openai/whisper-tiny.en": 151_060_136, "openai/whisper-tiny": 151_061_672, "openai/whisper-base.en": 290_401_888,
    "openai/whisper-base": 290_403_936, "openai/whisper-small.en": 966_992_008, "openai/whisper-small": 966_995_080,
    "openai/whisper-medium.en": 3_055_540_208, "openai/whisper-medium": 3_055_544_304,
    "openai/whisper-large-v2": 6_173_370_152, "openai/whisper-large-v3": 3_087_130_976,
    "openai/whisper-large-v3-turbo": 1_617_824_864,
}  # fmt: skip
"""Bytes of the weights where they are published: of the .pt files with the hashes below, and of model.safetensors in
OpenAI's repositories as of 2025. Those of other publishers are known once a download has listed them."""

CASTS = {"parakeet-mlx": "bfloat16"}
"""What a backend makes of plain numbers when it loads them, whatever they are stored as; packed layers stay packed."""


def _config(reader: str) -> RequiredFile:
    return RequiredFile(("config.json",), reader=reader)


MLX_WHISPER_FILES = (_config("mlx-whisper"), RequiredFile(("weights.safetensors", "weights.npz")))
TRANSFORMERS_FILES = (
    _config("transformers"),
    RequiredFile(("generation_config.json",)),
    RequiredFile(("preprocessor_config.json", "processor_config.json"), reader="transformers"),
    RequiredFile(("tokenizer.json", "vocab.json")),
    # In the order in which transformers 5 `modeling_utils.py` looks for them.
    RequiredFile(
        ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    ),
    *(
        RequiredFile((f"{name}.json",), optional=True)
        for name in ("tokenizer_config", "special_tokens_map", "added_tokens", "normalizer", "processor_config")
    ),
)
_WEIGHTS = RequiredFile(("model.safetensors",))
PARAKEET_FILES = (_config("parakeet-mlx"), _WEIGHTS)
CT2_FILES = (
    RequiredFile(("config.json",)),
    RequiredFile(("model.bin",)),
    RequiredFile(("tokenizer.json",)),
    RequiredFile(("vocabulary.txt", "vocabulary.json")),
    RequiredFile(("preprocessor_config.json",), optional=True),
)
CANARY_FILES = (_config("canary-mlx"), _WEIGHTS, RequiredFile(("tokenizer.model",)))


def hub(repository: str, files: tuple[RequiredFile, ...], **facts: object) -> ModelSpec:
    """A repository on the Hugging Face hub."""
    return ModelSpec("hub", repository, files, **facts)  # type: ignore[arg-type]


def _mlx_whisper(repository: str, plain: str = "", variant: str = "") -> ModelSpec:
    fallback = hub(plain, MLX_WHISPER_FILES) if plain else None
    return hub(repository, MLX_WHISPER_FILES, variant=variant, fallback=fallback)


MLX_WHISPER = {
    "nano": ModelSpec("embedded", "nano/mlx", MLX_WHISPER_FILES, english_only=True),
    "tiny": _mlx_whisper("mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx", "4-bit"),
    "base": _mlx_whisper("mlx-community/whisper-base-mlx"),
    "small": _mlx_whisper("mlx-community/whisper-small-mlx-4bit", "mlx-community/whisper-small-mlx", "4-bit"),
    "medium": _mlx_whisper("mlx-community/whisper-medium-mlx-8bit", "mlx-community/whisper-medium-mlx", "8-bit"),
    "large": _mlx_whisper("mlx-community/whisper-large-v3-turbo", variant="turbo"),
    "large-v2": _mlx_whisper("mlx-community/whisper-large-v2-mlx-4bit", "mlx-community/whisper-large-v2-mlx", "4-bit"),
    "large-v3": _mlx_whisper("mlx-community/whisper-large-v3-mlx-8bit", "mlx-community/whisper-large-v3-mlx", "8-bit"),
    "turbo": _mlx_whisper("mlx-community/whisper-large-v3-turbo", variant="turbo"),
    "turbo-4bit": _mlx_whisper("mlx-community/whisper-large-v3-turbo-q4", variant="turbo, 4-bit"),
    # Each size in each precision: one that a size means already is the same model under a second name.
    "tiny-4bit": _mlx_whisper("mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx", "4-bit"),
    **{
        f"{size}-{bits}bit": _mlx_whisper(f"mlx-community/whisper-{size}-mlx-{bits}bit", plain, f"{bits}-bit")
        for size, bits, plain in (
            ("tiny", 8, ""),
            ("base", 4, ""),
            ("base", 8, ""),
            ("small", 4, "mlx-community/whisper-small-mlx"),
            ("small", 8, ""),
            ("medium", 4, ""),
            ("medium", 8, "mlx-community/whisper-medium-mlx"),
            ("large-v2", 4, "mlx-community/whisper-large-v2-mlx"),
            ("large-v2", 8, ""),
            ("large-v3", 4, ""),
            ("large-v3", 8, "mlx-community/whisper-large-v3-mlx"),
        )
    },
    **{
        f"{size}-fp16": _mlx_whisper(f"mlx-community/whisper-{size}-mlx")
        for size in ("tiny", "base", "small", "medium", "large-v2", "large-v3")
    },
    **{
        f"{size}.en": replace(_mlx_whisper(f"mlx-community/whisper-{size}.en-mlx"), english_only=True)
        for size in ("tiny", "base", "small", "medium")
    },
    **{
        f"distil-{size}": replace(_mlx_whisper(f"mlx-community/distil-whisper-{size}"), english_only=True)
        for size in ("medium.en", "large-v2", "large-v3")
    },
}


def _transformers(repository: str, variant: str = "") -> ModelSpec:
    return hub(repository, TRANSFORMERS_FILES, variant=variant)


TRANSFORMERS = {
    "nano": ModelSpec("embedded", "nano/hf", TRANSFORMERS_FILES, english_only=True),
    "tiny": _transformers("openai/whisper-tiny"),
    "base": _transformers("openai/whisper-base"),
    "small": _transformers("openai/whisper-small"),
    "medium": _transformers("openai/whisper-medium"),
    "large": _transformers("openai/whisper-large-v3-turbo", "turbo"),
    "large-v2": _transformers("openai/whisper-large-v2"),
    "large-v3": _transformers("openai/whisper-large-v3"),
    "turbo": _transformers("openai/whisper-large-v3-turbo", "turbo"),
    "large-v1": _transformers("openai/whisper-large"),
    **{
        f"{size}.en": replace(_transformers(f"openai/whisper-{size}.en"), english_only=True)
        for size in ("tiny", "base", "small", "medium")
    },
    **{
        f"distil-{size}": replace(_transformers(f"distil-whisper/distil-{size}"), english_only=True)
        for size in ("small.en", "medium.en", "large-v2", "large-v3", "large-v3.5")
    },
}

OPENAI_URL = "https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{file}"

_OPENAI_SHA256 = {
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
_OPENAI_FILE = {"large": "large-v3", "turbo": "large-v3-turbo"}
"""Names whose file is called otherwise: `large` is saved as large-v3.pt, not large.pt."""


def openai_checkpoint(name: str) -> ModelSpec:
    """The .pt file that OpenAI publishes under `name`."""
    stem = _OPENAI_FILE.get(name, name)
    sha256 = _OPENAI_SHA256[stem]
    url = OPENAI_URL.format(sha256=sha256, file=f"{stem}.pt")
    variant = "turbo" if stem.endswith("turbo") else ""
    return ModelSpec(
        "openai", url, (RequiredFile((f"{stem}.pt",), sha256),), variant=variant, english_only=name.endswith(".en")
    )


def checkpoint_at(path: Path) -> ModelSpec | None:
    """A checkpoint as openai/whisper keeps it: the .pt file itself, or the folder with that one file."""
    files = [path] if path.is_file() else sorted(path.glob("*.pt")) if path.is_dir() else []
    if len(files) != 1 or not _holds_dimensions(files[0]):
        return None
    return ModelSpec("folder", str(path), (RequiredFile((files[0].name,)),))


def _holds_dimensions(file: Path) -> bool:
    """Whether the pickle of a .pt file names Whisper's dimensions; read as bytes, nothing of it is run."""
    import zipfile

    if file.suffix != ".pt":
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            pickle = next(one for one in archive.infolist() if one.filename.endswith("data.pkl"))
            with archive.open(pickle) as opened:
                return b"n_audio_state" in opened.read(1 << 20)
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False


WHISPER_MPS = {
    "nano": ModelSpec("embedded", "nano/openai", (RequiredFile(("nano.en.pt",)),), english_only=True),
    **{name: openai_checkpoint(name) for name in (*_OPENAI_SHA256, *_OPENAI_FILE)},
}


OPENAI_WHISPER = WHISPER_MPS
"""The same files in the same place."""


def _faster(repository: str, name: str, variant: str = "") -> ModelSpec:
    return hub(repository, CT2_FILES, variant=variant, english_only=name.endswith(".en") or name.startswith("distil"))


_FASTER_TURBO = _faster("mobiuslabsgmbh/faster-whisper-large-v3-turbo", "turbo", "turbo")

FASTER_WHISPER = {
    "nano": ModelSpec("embedded", "nano/ct2", CT2_FILES, english_only=True),
    **{
        size: _faster(f"Systran/faster-whisper-{size}", size)
        for size in (
            *("tiny", "base", "small", "medium", "large-v1", "large-v2", "large-v3"),
            *("tiny.en", "base.en", "small.en", "medium.en"),
        )
    },
    **dict.fromkeys(("large", "turbo"), _FASTER_TURBO),
    **{
        f"distil-{size}": _faster(f"Systran/faster-distil-whisper-{size}", f"distil-{size}")
        for size in ("small.en", "medium.en", "large-v2", "large-v3")
    },
    "distil-large-v3.5": _faster("distil-whisper/distil-large-v3.5-ct2", "distil-large-v3.5"),
}
"""As `_MODELS` of faster_whisper/utils.py; only "large" is what the other implementations call so here."""

WHISPER_CPP_REPOSITORY = "ggerganov/whisper.cpp"
_QUANTISED = {
    **dict.fromkeys(("tiny", "tiny.en", "base", "base.en", "small", "small.en"), ("q5_1", "q8_0")),
    **dict.fromkeys(("medium", "medium.en", "large-v2", "large-v3-turbo"), ("q5_0", "q8_0")),
    "large-v3": ("q5_0",),
    "large-v1": (),
}


def ggml_file(stem: str) -> ModelSpec:
    """One file of whisper.cpp's repository, which holds all of them."""
    name, _, variant = stem.partition("-q")
    variant = ", ".join(filter(None, ("turbo" if name.endswith("turbo") else "", f"q{variant}" if variant else "")))
    files = (RequiredFile((f"ggml-{stem}.bin",)),)
    english = name.endswith(".en")
    return hub(WHISPER_CPP_REPOSITORY, files, variant=variant, english_only=english, shared=True)


WHISPER_CPP = {
    "nano": ModelSpec("embedded", "nano/ggml", (RequiredFile(("ggml-nano.en.bin",)),), english_only=True),
    **{name: ggml_file(_OPENAI_FILE.get(name, name)) for name in (*_QUANTISED, "turbo")},
    "large": ggml_file("large-v3-turbo"),
    **{
        f"{'turbo' if name == 'large-v3-turbo' else name}-{kind}": ggml_file(f"{name}-{kind}")
        for name, kinds in _QUANTISED.items()
        for kind in kinds
    },
}


def _parakeet(repository: str, *, english_only: bool = True) -> ModelSpec:
    return hub(repository, PARAKEET_FILES, english_only=english_only)


_PARAKEET_DEFAULT = _parakeet("mlx-community/parakeet-tdt-0.6b-v2")

PARAKEET_MLX = {
    "nano": ModelSpec("embedded", "parakeet-nano/mlx", PARAKEET_FILES, english_only=True),
    **dict.fromkeys(SIZES[1:], _PARAKEET_DEFAULT),
    "parakeet-tdt-0.6b": _PARAKEET_DEFAULT,
    "parakeet-tdt-0.6b-v2": _PARAKEET_DEFAULT,
    # 25 European languages; which one it hears the model finds out by itself.
    "parakeet-tdt-0.6b-v3": _parakeet("mlx-community/parakeet-tdt-0.6b-v3", english_only=False),
    "parakeet-tdt-1.1b": _parakeet("mlx-community/parakeet-tdt-1.1b"),
    "parakeet-ctc-0.6b": _parakeet("mlx-community/parakeet-ctc-0.6b"),
    "parakeet-ctc-1.1b": _parakeet("mlx-community/parakeet-ctc-1.1b"),
    "parakeet-rnnt-0.6b": _parakeet("mlx-community/parakeet-rnnt-0.6b"),
    "parakeet-rnnt-1.1b": _parakeet("mlx-community/parakeet-rnnt-1.1b"),
    "parakeet-tdt_ctc-110m": _parakeet("mlx-community/parakeet-tdt_ctc-110m"),
    "parakeet-tdt_ctc-1.1b": _parakeet("mlx-community/parakeet-tdt_ctc-1.1b"),
}

_CANARY_DEFAULT = hub("Mediform/canary-1b-v2-mlx-q8", CANARY_FILES, variant="8-bit")

CANARY_MLX = {
    # Its tokenizer files are called as its config.json says.
    "nano": ModelSpec("embedded", "canary-nano/mlx", CANARY_FILES[:2], english_only=True),
    # There is no Canary of the smaller sizes: one of a thousand million parameters would be raced with Whisper tiny.
    **dict.fromkeys(("large", "large-v2", "large-v3", "turbo"), _CANARY_DEFAULT),
    "canary-1b-v2": _CANARY_DEFAULT,
}

POCKETSPHINX = dict.fromkeys(
    SIZES, ModelSpec("bundled", "pocketsphinx/en-us", variant="GMM, one model for every size", english_only=True)
)

WHISPERKIT = {
    name: ModelSpec("bundled", f"argmaxinc/whisperkit-coreml/{folder}", english_only=name.endswith(".en"))
    for name, folder in {
        **{name: f"openai_whisper-{name}" for name in ("tiny", "base", "small", "medium", "large-v2", "large-v3")},
        **{f"{name}.en": f"openai_whisper-{name}.en" for name in ("tiny", "base", "small", "medium")},
        **dict.fromkeys(("large", "turbo"), "openai_whisper-large-v3-v20240930"),
        "turbo-626MB": "openai_whisper-large-v3-v20240930_626MB",
        "distil-large-v3": "distil-whisper_distil-large-v3",
    }.items()
}
"""Folders of the repository argmaxinc/whisperkit-coreml, kept by the program itself."""

_FLUID_V2 = ModelSpec("bundled", "FluidInference/parakeet-tdt-0.6b-v2-coreml", variant="v2", english_only=True)
_FLUID_V3 = ModelSpec("bundled", "FluidInference/parakeet-tdt-0.6b-v3-coreml", variant="v3")
FLUIDAUDIO = {
    **dict.fromkeys(SIZES[1:], _FLUID_V2),
    "parakeet-tdt-0.6b-v2": _FLUID_V2,
    "parakeet-tdt-0.6b-v3": _FLUID_V3,
}

APPLE_SPEECH = dict.fromkeys(
    SIZES[1:], ModelSpec("bundled", "apple/speech", variant="the system's own, for every size")
)

BY_BACKEND = {
    "mlx-whisper": MLX_WHISPER,
    "parakeet-mlx": PARAKEET_MLX,
    "canary-mlx": CANARY_MLX,
    "whisper-mps": WHISPER_MPS,
    "transformers": TRANSFORMERS,
    "faster-whisper": FASTER_WHISPER,
    "whisper-cpp": WHISPER_CPP,
    "openai-whisper": OPENAI_WHISPER,
    "pocketsphinx": POCKETSPHINX,
    "whisperkit": WHISPERKIT,
    "fluidaudio": FLUIDAUDIO,
    "apple-speech": APPLE_SPEECH,
}


FAMILIES = ("whisper", "parakeet", "canary", "pocketsphinx")


def family_of(backend: str, source: str) -> str | None:
    """The architecture of a model by who runs it and its name; None where neither says."""
    words = f"{'whisper' if backend == 'transformers' else backend} {source}".lower()
    return next((family for family in FAMILIES if family in words), None)


def sources(models: Mapping[str, ModelSpec]) -> dict[str, ModelSpec]:
    """The models of a map, what they fall back to included, by where they come from."""
    found = [one for spec in models.values() for one in (spec, spec.fallback) if one]
    return {one.source: one for one in reversed(found) if not one.shared}


def sizes_of(spec: ModelSpec) -> tuple[str, str]:
    """The built-in backend and the first of its sizes that mean a model, be it as a fallback; ("", "") for none."""
    for backend, models in BY_BACKEND.items():
        for size, known in models.items():
            if spec in (known, known.fallback):
                return backend, size
    return "", ""


def published_bytes(spec: ModelSpec) -> int | None:
    """Bytes of a model's weights as its publisher offers them, where that is known without asking."""
    return PUBLISHED_BYTES.get(spec.files[0].names[0] if spec.kind == "openai" and spec.files else spec.source)


def parameters_of(name: str) -> int | None:
    """How many parameters a model has as its name says: "parakeet-tdt-0.6b-v2", "whisper-small-mlx-4bit", "small.pt".

    None where it does not: distilled models keep the name of what they were made of.
    """
    name = name.lower()
    if found := re.search(r"(?:^|[-_/])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", name):
        return round(float(found[1]) * (1e9 if found[2] == "b" else 1e6))
    words = () if "distil" in name or "nano" in name else re.split(r"[^a-z0-9]+", name)
    return next((millions * 1_000_000 for word, millions in PARAMETERS.items() if word in words), None)


def folder_config(folder: Path) -> dict[str, Any]:
    """The config.json of the model in a folder; empty where there is none, or none that can be read."""
    try:
        config = read_config(folder)
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


CONFIG_MAX = 16_000_000
"""Bytes of a config.json; one with a tokenizer in it has some 2 MB."""


def read_config(folder: Path) -> Any:
    """What a folder's config.json holds; a pipe or a huge file of that name is not read. Raises OSError, ValueError."""
    import json

    path = folder / "config.json"
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > CONFIG_MAX:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file of a few megabytes", str(path))
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return json.loads(file.read(CONFIG_MAX))


ENGLISH_VOCABULARY = 51_864
"""Tokens of Whisper's English-only models; the multilingual ones have more."""


def folder_model(
    folder: Path, config: dict[str, Any], files: tuple[RequiredFile, ...], vocabulary: object = None
) -> ModelSpec:
    """The model in a folder with that configuration; vocabulary: of a Whisper model, how many tokens it has."""
    packing = config.get("quantization")
    bits = packing.get("bits") if isinstance(packing, dict) else None
    english_only = isinstance(vocabulary, int) and vocabulary <= ENGLISH_VOCABULARY
    variant = f"{bits}-bit" if bits else ""
    return ModelSpec("folder", str(folder), files, variant=variant, english_only=english_only)
