"""Opening Canary folders of every known layout, refusing the others by name, and the backend over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlx.core")
pytest.importorskip("parakeet_mlx")

import canary_toy
import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from backends.base import BackendError, LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.canary.load import open_folder
from backends.canary.mlx import CanaryMlx, Settings

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return canary_toy.write(tmp_path / "model", decoder_width=24)


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = str(folder / "model.safetensors")
    weights = {name: mx.array(np.array(value)) for name, value in mx.load(path).items()}
    mx.save_safetensors(path, change(weights))


def logits(folder: Path) -> np.ndarray:
    opened = open_folder(folder)
    mel = mx.array(np.random.default_rng(0).normal(size=(160, 80)).astype(np.float32))
    return np.array(opened.model.step(mx.array([[3, 1, 4]]), opened.model.encode(mel), opened.model.caches()))


def test_canary_mlx_layout(tmp_path: Path) -> None:
    folder = canary_toy.write(tmp_path)
    wanted = logits(folder)
    change_weights(folder, lambda weights: {community(name): value for name, value in weights.items()})

    def flatten(config: dict[str, Any]) -> None:
        config.pop("target")
        inner = config["transf_decoder"]["config_dict"]
        config["transf_decoder"] = {**inner, "vocab_size": config["head"]["num_classes"]}

    change_config(folder, flatten)
    assert np.abs(logits(folder) - wanted).max() < 1e-6


COMMUNITY = {
    "transf_decoder._embedding.layer_norm.": "transf_decoder.embedding_layer_norm.", "._embedding.": ".",
    "._decoder.": ".", "log_softmax.mlp.layer0": "head.classifier", "query_net": "linear_q", "key_net": "linear_k",
    "value_net": "linear_v", "out_projection": "linear_out", "dense_in": "linear1", "dense_out": "linear2",
}  # fmt: skip
"""What canary-mlx's converter calls things that NeMo calls otherwise."""

AUDIO = {
    "transf_decoder._embedding.token_embedding": "decoder.embedding", "log_softmax.mlp.layer0": "decoder.output_proj",
    "transf_decoder._embedding.layer_norm": "decoder.embedding_layer_norm",
    "transf_decoder._decoder.final_layer_norm": "decoder.final_norm",
    "transf_decoder._decoder.layers": "decoder.blocks", "third_sub_layer.dense_in": "ff1",
    "third_sub_layer.dense_out": "ff2", "first_sub_layer": "self_attn", "second_sub_layer": "cross_attn",
    "layer_norm_1": "self_attn_norm", "layer_norm_2": "cross_attn_norm", "layer_norm_3": "ff_norm",
    "query_net": "q_proj", "key_net": "k_proj", "value_net": "v_proj", "out_projection": "out_proj",
}  # fmt: skip
"""What mlx-audio calls them when it saves a model."""


def community(name: str) -> str:
    for old, new in COMMUNITY.items():
        name = name.replace(old, new)
    return name


def audio(name: str) -> str:
    if name.startswith("encoder."):
        return f"encoder.conformer.{name.removeprefix('encoder.')}"
    for old, new in AUDIO.items():
        name = name.replace(old, new)
    return name


def test_mlx_audio_layout(tmp_path: Path) -> None:
    folder = canary_toy.write(tmp_path)
    wanted = logits(folder)
    change_weights(folder, lambda weights: {audio(name): value for name, value in weights.items()})

    def as_mlx_audio(config: dict[str, Any]) -> None:
        for name in ("target", "prompt_format", "decoding"):
            config.pop(name)
        inner = config["transf_decoder"]["config_dict"]
        config["transf_decoder"] = {k: inner[k] for k in ("num_layers", "num_attention_heads", "inner_size")}
        config |= {"model_type": "canary", "vocab_size": config.pop("head")["num_classes"], "enc_output_dim": 16}

    change_config(folder, as_mlx_audio)
    assert np.abs(logits(folder) - wanted).max() < 1e-6


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_weights(tmp_path: Path, bits: int) -> None:
    folder = canary_toy.write(tmp_path, width=64, decoder_width=64)
    model = open_folder(folder).model
    divisible = lambda _path, module: hasattr(module, "to_quantized") and module.weight.shape[-1] % 32 == 0  # noqa: E731
    nn.quantize(model, group_size=32, bits=bits, class_predicate=divisible)
    weights = {canary_toy.nemo_name(name): value for name, value in tree_flatten(model.parameters())}
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    opened = open_folder(folder)
    layer = opened.model.transf_decoder.decoder.layers[0].first_sub_layer.query_net
    assert (layer.bits, layer.group_size) == (bits, 32)
    mel = mx.zeros((80, 80))
    step = opened.model.step(mx.array([[3]]), opened.model.encode(mel), opened.model.caches())
    plain = model.step(mx.array([[3]]), model.encode(mel), model.caches())
    assert np.abs(np.array(step) - np.array(plain)).max() < 1e-5


def test_head_stored_once(folder: Path) -> None:
    head, embedding = "log_softmax.mlp.layer0.weight", "transf_decoder._embedding.token_embedding.weight"
    change_weights(folder, lambda w: {**w, head: w[embedding]})
    wanted = logits(folder)
    change_weights(folder, lambda w: {k: v for k, v in w.items() if k != head})
    assert np.array_equal(logits(folder), wanted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {k: v for k, v in w.items() if k != "encoder_decoder_proj.bias"}, "lacks encoder_decoder_proj.bias"),
        (lambda w: {**w, "transf_encoder.x": mx.zeros(1)}, r"unknown transf_encoder\.x"),
        (lambda w: {**w, "encoder_decoder_proj.bias": mx.zeros(3)}, "another shape .*encoder_decoder_proj.bias"),
        (lambda w: {**w, "encoder_decoder_proj.bias": mx.zeros(24, mx.int32)}, "encoder_decoder_proj.bias has type"),
    ],
)
def test_every_parameter_must_be_there_once(folder: Path, change: Callable[[Any], Any], said: str) -> None:
    change_weights(folder, change)
    with pytest.raises(BackendError, match=said):
        open_folder(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "nemo.x.EncDecRNNTBPEModel"}, "EncDecRNNTBPEModel, not an EncDecMultiTaskModel"),
        ({"target": "", "model_type": "whisper", "head": None, "transf_decoder": None}, "no layout"),
        ({"prompt_format": "llama"}, "prompt format 'llama'"),
        ({"transf_encoder": {"num_layers": 2}}, "Transformer encoder"),
        ({"encoder": {}}, "incomplete"),
        ({"head": {}}, "number of classes"),
        ({"preprocessor": {"normalize": "all_features"}}, "preprocessor.normalize"),
        ({"head": {"num_classes": 8}}, "only 8 rows"),
    ],
)
def test_unsupported_models_are_refused_by_name(folder: Path, change: dict[str, Any], said: str) -> None:
    change_config(folder, lambda config: config.update(change))
    with pytest.raises(BackendError, match=said) as error:
        open_folder(folder)
    assert error.value.kind == "model"


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", b"{"), ("config.json", b"[]"), ("model.safetensors", b""), ("model.safetensors", b"version h")],
)
def test_damaged_files_are_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(BackendError, match=name.replace(".", r"\.")):
        open_folder(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "en.model"])
def test_absent_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BackendError, match=name.replace(".", r"\.")):
        open_folder(folder)


def loaded(folder: Path, settings: Settings | None = None) -> CanaryMlx:
    backend = CanaryMlx(settings)
    spec = ModelSpec("hub", "org/canary")
    facts = backend.load(spec, Location(folder), LoadOptions())
    assert facts.dtype == "float32"
    assert facts.parameters
    assert {Path(path).name for path in facts.files} >= {"config.json", "model.safetensors", "spl_tokens.model"}
    return backend


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).normal(size=int(seconds * RATE))).astype(np.float32)


def test_backend_transcribes_long_clips_in_pieces(folder: Path) -> None:
    result = loaded(folder).transcribe(noise(65), TranscribeOptions(language="en"))
    starts = [segment.start for segment in result.segments]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert result.segments[-1].end == 65
    assert result.text
    assert result.language == "en"


def test_backend_translates(folder: Path) -> None:
    assert loaded(folder, Settings(target="de", beam=2)).transcribe(noise(1), TranscribeOptions("en")).language == "de"


def test_backend_writes_the_times_of_words(folder: Path) -> None:
    result = loaded(folder, Settings(timestamps=True)).transcribe(noise(40), TranscribeOptions("en"))
    assert result.text == " ".join(segment.text for segment in result.segments)
    assert all(segment.start <= segment.end for segment in result.segments)


def test_missing_language_is_warned_of(folder: Path) -> None:
    warnings = loaded(folder).transcribe(noise(1), TranscribeOptions()).warnings
    assert any("English" in warning for warning in warnings)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 1000, 2000])
def test_clips_too_short_to_hold_a_word_are_silent(folder: Path, length: int) -> None:
    result = loaded(folder).transcribe(np.ones(length, np.float32), TranscribeOptions("en"))
    assert result.text == ""
    assert not result.invalid


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_clip_that_is_no_number_is_invalid(folder: Path, wrong: float) -> None:
    samples = noise(2)
    samples[100] = wrong
    result = loaded(folder).transcribe(samples, TranscribeOptions("en"))
    assert "NaN" in result.invalid


def test_weights_that_are_no_numbers_are_invalid(folder: Path) -> None:
    change_weights(folder, lambda w: {**w, "log_softmax.mlp.layer0.bias": w["log_softmax.mlp.layer0.bias"] * mx.nan})
    result = loaded(folder).transcribe(noise(2), TranscribeOptions("en"))
    assert "NaN" in result.invalid
