"""Opening a folder: config.json, model.safetensors and the tokenizer files that the first of them names.

Every parameter must be there once and have its shape; nothing is left at random and nothing is dropped. What the
weights are called in each known layout is translated to the names of `model`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends import catalogue
from backends.base import BackendError
from backends.canary import architecture, tokenizers
from backends.canary.architecture import Architecture, Layout
from backends.canary.tokenizers import Vocabulary
from backends.mlx_runtime import packing
from backends.nemo_mel import MelSettings, settings_of

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
        config = catalogue.read_config(folder)
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
    layout = layout_of(set(stored), found.layout)
    weights = {renamed(name, layout): value for name, value in stored.items()}
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
    nn.quantize(model, class_predicate=lambda path, module: packing(weights, path, module))
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


def _refuse(what: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise architecture.refused(f"model.safetensors {what} {', '.join(found[:SHOWN])}{more}")


Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


NEMO = _rules(
    (r"^transf_decoder\._embedding\.", "transf_decoder.embedding."),
    (r"^transf_decoder\._decoder\.", "transf_decoder.decoder."),
    (r"^log_softmax\.mlp\.layer0\.", "head."),
)
CANARY_MLX = _rules(
    (r"^head\.classifier\.", "head."),
    (r"^transf_decoder\.(token_embedding|position_embedding)\.", r"transf_decoder.embedding.\1."),
    (r"^transf_decoder\.embedding_layer_norm\.", "transf_decoder.embedding.layer_norm."),
    (r"^transf_decoder\.(layers|final_layer_norm)\.", r"transf_decoder.decoder.\1."),
    (r"_sub_layer\.linear_q\.", "_sub_layer.query_net."),
    (r"_sub_layer\.linear_k\.", "_sub_layer.key_net."),
    (r"_sub_layer\.linear_v\.", "_sub_layer.value_net."),
    (r"_sub_layer\.linear_out\.", "_sub_layer.out_projection."),
    (r"_sub_layer\.linear1\.", "_sub_layer.dense_in."),
    (r"_sub_layer\.linear2\.", "_sub_layer.dense_out."),
)
MLX_AUDIO = _rules(
    (r"^encoder\.projection\.", "encoder_decoder_proj."),
    (r"^encoder\.conformer\.", "encoder."),
    (r"^decoder\.embedding\.", "transf_decoder.embedding.token_embedding."),
    (r"^decoder\.embedding_layer_norm\.", "transf_decoder.embedding.layer_norm."),
    (r"^decoder\.final_norm\.", "transf_decoder.decoder.final_layer_norm."),
    (r"^decoder\.output_proj\.", "head."),
    (r"^decoder\.blocks\.(\d+)\.", r"transf_decoder.decoder.layers.\1."),
    (r"\.self_attn_norm\.", ".layer_norm_1."),
    (r"\.cross_attn_norm\.", ".layer_norm_2."),
    (r"\.ff_norm\.", ".layer_norm_3."),
    (r"^(transf_decoder.*)\.self_attn\.", r"\1.first_sub_layer."),
    (r"^(transf_decoder.*)\.cross_attn\.", r"\1.second_sub_layer."),
    (r"\.q_proj\.", ".query_net."),
    (r"\.k_proj\.", ".key_net."),
    (r"\.v_proj\.", ".value_net."),
    (r"\.out_proj\.", ".out_projection."),
    (r"^(transf_decoder.*)\.ff1\.", r"\1.third_sub_layer.dense_in."),
    (r"^(transf_decoder.*)\.ff2\.", r"\1.third_sub_layer.dense_out."),
)
RULES: Mapping[Layout, Rules] = {"nemo": NEMO, "canary-mlx": CANARY_MLX, "mlx-audio": MLX_AUDIO}


def layout_of(names: set[str], declared: Layout) -> Layout:
    """Which layout the weights have; mlx-audio also reads folders that keep the names of the other two."""
    if declared == "mlx-audio" and not any(name.startswith("decoder.blocks.") for name in names):
        return "canary-mlx" if "head.classifier.weight" in names else "nemo"
    return declared


def renamed(name: str, layout: Layout) -> str:
    """The name of a parameter of `backends.canary.model`."""
    for pattern, replacement in RULES[layout]:
        name = pattern.sub(replacement, name)
    return name
