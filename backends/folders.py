"""Model folders that are named by their path instead of a size: converted ones, and others laid out alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backends.base import BackendError, ModelSpec, RequiredFile

PARAKEET_TARGETS = frozenset({"EncDecCTCModelBPE", "EncDecRNNTBPEModel", "EncDecHybridRNNTCTCBPEModel"})
"""NeMo's classes that parakeet-mlx knows, as the `target` of a config.json ends."""

CASTS = {"parakeet-mlx": "bfloat16"}
"""What a backend makes of plain numbers when it loads them, whatever they are stored as; packed layers stay packed."""


def parakeet(size: str) -> ModelSpec | None:
    """The Parakeet model in the folder that `size` is the absolute path of, else None. Reads config.json."""
    config = _config(size)
    if config is None or str(config.get("target", "")).rpartition(".")[2] not in PARAKEET_TARGETS:
        return None
    return _spec(size, config, ())


def canary(size: str, reads: Callable[[dict[str, Any]], object]) -> ModelSpec | None:
    """The Canary model in the folder that `size` is the absolute path of, else None; its tokenizer files belong to it.

    reads: raises BackendError where a config.json is no Canary's
    """
    config = _config(size)
    if config is None:
        return None
    try:
        reads(config)
    except BackendError:
        return None
    return _spec(size, config, tuple(dict.fromkeys(_tokenizers(config.get("tokenizer")))))


def _config(size: str) -> dict[str, Any] | None:
    folder = Path(size)
    if not folder.is_absolute():
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _spec(size: str, config: dict[str, Any], more: tuple[str, ...]) -> ModelSpec:
    packing = config.get("quantization")
    bits = packing.get("bits") if isinstance(packing, dict) else None
    names = ("config.json", "model.safetensors", *more)
    files = tuple(RequiredFile((name,)) for name in names)
    return ModelSpec("folder", size, files, variant=f"{bits}-bit" if bits else "")


def _tokenizers(section: object) -> Iterator[str]:
    """The files that a tokenizer section names, those of each language where there are several."""
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if key == "model_path" and isinstance(value, str):
            yield value.removeprefix("nemo:")
        else:
            yield from _tokenizers(value)
