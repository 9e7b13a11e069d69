"""Which files of a repository a model needs: those that its backend requires, and what its libraries like to find."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.disk import is_left_by_a_system
from speedtest_tui.core.models.layout import is_safe_name

WEIGHTS = (
    ".safetensors", ".npz", ".pt", ".pth", ".bin", ".ckpt", ".onnx", ".gguf", ".nemo", ".h5", ".msgpack", ".ggml",
    ".tflite", ".mlmodel", ".ot", ".pdparams",
)  # fmt: skip
"""How weights end, by framework: large, and useless to any other framework."""

PACKED = (
    ".npy", ".onnx_data", ".pb", ".pkl", ".engine", ".data", ".zip", ".tar", ".gz", ".xz", ".7z",
)  # fmt: skip
"""How files end that are weights in a repository, and anything elsewhere."""

INDEX = ".index.json"
"""How the list of a model's shards is called after them: model.safetensors.index.json."""

WEIGHT_FOLDERS = frozenset((".mlmodelc", ".mlpackage"))
"""How folders end that are one model in themselves."""

FRAMEWORK_FOLDERS = frozenset(("onnx", "openvino", "coreml", "flax", "tf", "tensorrt"))

USELESS = frozenset((
    ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf", ".md", ".mp4", ".wav", ".mp3", ".flac", ".ipynb",
))  # fmt: skip
"""How files end that are for people to look at."""


def is_weights(name: str) -> bool:
    """Whether a file holds a model's numbers, by its name."""
    path = PurePosixPath(name)
    return path.suffix.lower() in (*WEIGHTS, *PACKED) or any(
        PurePosixPath(part).suffix.lower() in WEIGHT_FOLDERS for part in path.parts
    )


def accepted(file: RequiredFile, names: Collection[str]) -> str | None:
    """The first of a file's accepted names that is among `names`."""
    return next((name for name in file.names if name in names), None)


def wanted(spec: ModelSpec, names: Iterable[str]) -> tuple[str, ...]:
    """Of the names in a repository those to download: the required ones first, then the rest in order.

    Left out are weights that no required file names, pictures and texts for people, hidden and unsafe names.
    """
    present = {name for name in names if is_safe_name(name)}
    needed = [file for file in spec.files if not file.optional]
    required = [name for file in needed if (name := accepted(file, present)) is not None]
    # Which shards an index names is known when it is there; what they are called before.
    begins = tuple(name.removesuffix(INDEX).rpartition(".") for name in required if name.endswith(INDEX))
    for stem, _, suffix in begins:
        shard = re.compile(re.escape(stem) + r"-\d{5}-of-\d{5}\." + re.escape(suffix))
        required += sorted(filter(shard.fullmatch, present))
    others = sorted(name for name in present.difference(required) if _is_companion(name))
    return (*dict.fromkeys(required), *others)


def _is_companion(name: str) -> bool:
    path = PurePosixPath(name)
    if any(part.startswith(".") or is_left_by_a_system(part) for part in path.parts):
        return False
    if FRAMEWORK_FOLDERS.intersection(path.parts[:-1]):
        return False
    return not is_weights(name) and path.suffix.lower() not in USELESS
