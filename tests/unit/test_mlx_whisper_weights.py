"""Weights that are not those which the configuration asks for: the library would fill the gaps with random numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.base import BackendError, LoadOptions, Location
from backends.mlx_runtime import difference
from backends.whisper.mlx import MlxWhisper

Unpack = Callable[[str], Path]

BIAS = "decoder.blocks.0.attn.out.bias"


@pytest.fixture
def model(tmp_path: Path, unpacked: Unpack) -> Path:
    pytest.importorskip("mlx_whisper")
    return Path(shutil.copytree(unpacked("mlx"), tmp_path / "model"))


def load(folder: Path) -> Any:
    backend = MlxWhisper()
    backend.import_library()
    spec = backend.model("nano")
    assert spec is not None
    return backend.load(spec, Location(folder), LoadOptions())


def change(folder: Path, alter: Callable[[dict[str, Any]], object]) -> None:
    """Write the file of weights anew, altered."""
    import mlx.core as mx

    file = folder / "weights.safetensors"
    weights: Any = mx.load(str(file))
    mx.eval(weights)
    alter(weights)
    mx.save_safetensors(str(file), weights)


def refused(folder: Path) -> str:
    from mlx_whisper.whisper import Whisper

    with pytest.raises(BackendError) as caught:
        load(folder)
    assert (caught.value.kind, caught.value.hint) == ("model", "download the model again")
    assert "update" not in vars(Whisper)  # the library is as it was
    beginning = "its weights are not those that its config.json asks for: "
    assert caught.value.message.startswith(beginning)
    return caught.value.message.removeprefix(beginning)


def test_a_whole_model_loads(model: Path) -> None:
    assert load(model).parameters > 1_000_000


def test_one_layer_more_than_there_is(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["n_text_layer"] += 1
    (model / "config.json").write_text(json.dumps(config))
    # Two attentions of 7 parameters, three norms of 2 and two dense layers of 2.
    assert refused(model) == f"decoder.blocks.{config['n_text_layer'] - 1}.attn.query.weight is missing (and 23 more)"


def test_one_weight_is_absent(model: Path) -> None:
    change(model, lambda weights: weights.pop(BIAS))
    assert refused(model) == f"{BIAS} is missing"


def test_one_weight_is_too_many(model: Path) -> None:
    import mlx.core as mx

    change(model, lambda weights: weights.update({"decoder.other": mx.zeros((2,))}))
    assert refused(model) == "decoder.other has no place in it"


def test_one_weight_has_another_shape(model: Path) -> None:
    import mlx.core as mx

    change(model, lambda weights: weights.update({BIAS: mx.zeros((5,), mx.float16)}))
    assert refused(model) == f"{BIAS} has shape 5 instead of 96"


def test_alignment_heads_may_be_absent(model: Path) -> None:
    """Most files of the hub have none, and the library makes up good ones."""
    change(model, lambda weights: weights.pop("alignment_heads"))
    assert load(model).parameters > 1_000_000


def test_quantised_layers(model: Path) -> None:
    """They are compared as what the library makes of them: packed weights, scales and biases."""
    import mlx.core as mx
    from mlx import nn

    def quantise(weights: dict[str, Any]) -> None:
        for name in [name for name in weights if name.endswith(("query.weight", "value.weight"))]:
            layer = nn.QuantizedLinear.from_linear(linear(weights[name]), 32, 4)
            stem = name.removesuffix(".weight")
            weights[name] = layer.weight
            weights.update({f"{stem}.scales": layer.scales, f"{stem}.biases": layer.biases})
        mx.eval(weights)

    def linear(weight: Any) -> Any:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        made.weight = weight
        return made

    change(model, quantise)
    config = json.loads((model / "config.json").read_text())
    config["quantization"] = {"group_size": 32, "bits": 4}
    (model / "config.json").write_text(json.dumps(config))
    assert load(model).bits < 16
    change(model, lambda weights: weights.pop("decoder.blocks.0.attn.query.biases"))
    assert refused(model) == "decoder.blocks.0.attn.query.biases is missing"


def test_the_first_of_many_is_named() -> None:
    assert difference({"a": (1,), "b": (2, 3)}, {"a": (2,), "c": ()}) == "b is missing (and 2 more)"
    assert difference({"a": (1, 2)}, {"a": (2, 1)}) == "a has shape 2 x 1 instead of 1 x 2"
    assert difference({"a": (1,)}, {"a": (1,)}) == ""
