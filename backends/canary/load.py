"""Opening a folder: config.json, model.safetensors and the tokenizer files that the first of them names.

Every parameter must be there once and have its shape; nothing is left at random and nothing is dropped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import BackendError
from backends.canary import architecture, names, tokenizers
from backends.canary.architecture import Architecture
from backends.canary.tokenizers import Vocabulary
from backends.nemo_mel import MelSettings, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 3
"""How many parameters an error names."""


@dataclass(frozen=True)
class Opened:
    """A model that is ready to run, and the names of the files that were read."""

    model: Any
    architecture: Architecture
    vocabulary: Vocabulary
    mel: MelSettings
    files: tuple[str, ...]


def open_folder(folder: Path) -> Opened:
    """Load a Canary folder. Raises BackendError of kind "model" that says what is wrong with it."""
    config = read_config(folder)
    found = architecture.read(config)
    vocabulary = tokenizers.load(folder, found)
    if len(vocabulary.pieces) > found.decoder.rows:
        raise architecture.refused(
            f"its tokenizer has {len(vocabulary.pieces)} pieces, its head only {found.decoder.rows} rows"
        )
    try:
        mel = settings_of(found.mel)
    except (ValueError, TypeError) as error:
        raise architecture.refused(str(error)) from error
    weights = read_weights(folder, found)
    files = ("config.json", "model.safetensors", *tokenizer_files(found))
    return Opened(build(found, weights), found, vocabulary, mel, files)


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json. Raises BackendError."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendError(f"config.json cannot be read: {error.strerror}", kind="model") from error
    except ValueError as error:
        raise BackendError(f"config.json is not JSON: {error}", kind="model") from error
    if not isinstance(config, dict):
        raise BackendError("config.json holds no settings", kind="model")
    return config


def tokenizer_files(found: Architecture) -> tuple[str, ...]:
    """Names of the tokenizer files in the folder."""
    given = found.tokenizer
    if given.get("type") == "agg":
        paths = [part["model_path"] for part in given["langs"].values()]
    elif given.get("model_base64"):
        paths = []
    else:
        paths = [given.get("model_path", "tokenizer.model")]
    return tuple(path.removeprefix("nemo:") for path in paths)


def read_weights(folder: Path, found: Architecture) -> dict[str, Any]:
    """Read model.safetensors under the names of `backends.canary.model`. Raises BackendError."""
    import mlx.core as mx

    path = folder / "model.safetensors"
    if not path.is_file():
        raise BackendError("the folder has no model.safetensors", kind="model")
    try:
        stored: Any = mx.load(str(path))
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"model.safetensors cannot be read: {error}", kind="model") from error
    layout = names.layout_of(set(stored), found.layout)
    weights = {names.renamed(name, layout): value for name, value in stored.items()}
    embedding, head = "transf_decoder.embedding.token_embedding.", "head."
    if f"{head}weight" not in weights:  # NeMo ties it to the embedding, so it may be stored once
        tied = [part for part in ("weight", "scales", "biases") if embedding + part in weights]
        weights |= {head + part: weights[embedding + part] for part in tied}
    return weights


def build(found: Architecture, weights: Mapping[str, Any]) -> Any:
    """Make the network and fill it. Raises BackendError that names parameters missing, unknown or of another shape."""
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten

    from backends.canary.model import Canary

    unequal = found.encoder.d_model != found.decoder.hidden_size
    model = Canary(found, projection=unequal)
    nn.quantize(model, class_predicate=lambda path, module: _packing(weights, path, module))
    expected = dict(tree_flatten(model.parameters()))
    _refuse("lacks", sorted(expected.keys() - weights.keys()))
    _refuse("has unknown", sorted(weights.keys() - expected.keys()))
    wrong = [name for name, value in expected.items() if value.shape != weights[name].shape]
    _refuse("has parameters of another shape than its config.json says:", wrong)
    for name, value in weights.items():
        if mx.issubdtype(expected[name].dtype, mx.floating) != mx.issubdtype(value.dtype, mx.floating):
            raise architecture.refused(f"parameter {name} has type {value.dtype}")
    model.load_weights(list(weights.items()))
    model.eval()
    return model


def _packing(weights: Mapping[str, Any], path: str, module: Any) -> bool | dict[str, int]:
    """Group size and bits of a quantised layer, which follow from its shapes; False for plain ones."""
    scales, packed = weights.get(f"{path}.scales"), weights.get(f"{path}.weight")
    if scales is None or packed is None or not hasattr(module, "to_quantized"):
        return False
    width = module.weight.shape[-1]
    return {"group_size": width // scales.shape[-1], "bits": packed.shape[-1] * 32 // width}


def _refuse(what: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise architecture.refused(f"model.safetensors {what} {', '.join(found[:SHOWN])}{more}")
