"""Every family, converted as the program does it: the result in MLX against what NeMo itself computes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from checkpoints import CANARIES, FAMILIES, PARAKEETS, Convert, checkpoint, members, reference, samples

from backends.nemo_mel import MelSettings, nemo_mel, settings_of
from speedtest_tui.core.convert import report

mx = pytest.importorskip("mlx.core")
pytest.importorskip("parakeet_mlx")
pytest.importorskip("torch")

ENCODER_BOUND = LOGITS_BOUND = 1e-5


def config_of(folder: Any) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())  # type: ignore[no-any-return]


def log_softmax(logits: Any) -> np.ndarray:
    return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))


def parakeet(folder: Any) -> Any:
    from parakeet_mlx import from_pretrained

    return from_pretrained(str(folder), dtype=mx.float32)


def heard(model: Any, name: str, folder: Any) -> list[int]:
    """The tokens of parakeet-mlx's own greedy search on the exact mel."""
    settings = settings_of(config_of(folder)["preprocessor"])
    result = model.generate(mx.array(nemo_mel(samples(name), settings)))[0]
    return [token.id for sentence in result.sentences for token in sentence.tokens]


@pytest.mark.parametrize("name", PARAKEETS)
def test_parakeet_mlx_computes_what_nemo_does(converted: Convert, name: str) -> None:
    expected, folder = reference(name), converted(name).folder
    model = parakeet(folder)
    states, _ = model.encoder(mx.array(expected["mel"])[None])
    assert np.abs(np.array(states[0]) - expected["encoder"]).max() <= ENCODER_BOUND
    if "ctc" in expected:
        head = model.ctc_decoder if name == "hybrid" else model.decoder
        assert np.abs(np.array(head(states)[0]) - expected["ctc"]).max() <= LOGITS_BOUND
    if "joint" in expected:
        out, state = model.decoder(None, None)
        steps = [out]
        for label in expected["labels"]:
            out, state = model.decoder(mx.array([[int(label)]]), state)
            steps.append(out)
        logits, count = model.joint(states, mx.concatenate(steps, axis=1))[0], len(model.vocabulary) + 1
        theirs = mx.array(expected["joint"])
        for part in (slice(None, count), slice(count, None)):
            if logits[..., part].shape[-1]:
                difference = log_softmax(logits[..., part]) - log_softmax(theirs[..., part])
                assert np.abs(difference).max() <= LOGITS_BOUND


@pytest.mark.parametrize("name", PARAKEETS)
def test_parakeet_mlx_hears_the_tokens_that_nemo_transcribes(converted: Convert, name: str) -> None:
    expected, folder = reference(name), converted(name).folder
    assert heard(parakeet(folder), name, folder) == expected["tokens"].tolist()


def test_the_ctc_head_of_a_hybrid_hears_what_nemo_does(converted: Convert) -> None:
    expected, model = reference("hybrid"), parakeet(converted("hybrid").folder)
    states, _ = model.encoder(mx.array(nemo_mel(samples("hybrid")))[None])
    best = np.array(model.ctc_decoder(states)[0]).argmax(-1)
    kept = best[np.append(True, best[1:] != best[:-1])]
    assert kept[kept != len(model.vocabulary)].tolist() == expected["ctc_tokens"].tolist()


@pytest.mark.parametrize("name", CANARIES)
def test_canary_computes_what_nemo_does(converted: Convert, name: str) -> None:
    from backends.canary.load import open_folder

    expected = reference(name)
    opened = open_folder(converted(name).folder)
    assert opened.mel == MelSettings(bins=128)
    mel = mx.array(expected["mel"])
    states, _ = opened.model.encoder(mel[None])
    assert np.abs(np.array(states[0]) - expected["encoder"]).max() <= ENCODER_BOUND
    heard_states = opened.model.encode(mel)
    assert np.abs(np.array(heard_states[0]) - expected["states"]).max() <= ENCODER_BOUND
    logits = opened.model.step(mx.array(expected["ids"][None]), heard_states, opened.model.caches())[0]
    assert np.abs(log_softmax(logits) - expected["decoder"]).max() <= LOGITS_BOUND


@pytest.mark.parametrize("name", FAMILIES)
def test_the_folder_says_what_it_is(converted: Convert, name: str) -> None:
    result = converted(name)
    found = report.read(result.folder)
    assert found == result.report
    assert found and found.source and found.keys and found.tools
    assert found.source.bytes == checkpoint(name).stat().st_size
    assert len(found.source.sha256) == 64
    assert all(stage.ok and stage.max_difference <= 1e-4 for stage in found.stages)
    assert found.keys.skipped
    assert found.tools["mlx"][0].isdigit()
    files = {path.name for path in result.folder.iterdir()}
    assert files == {"config.json", "conversion.json", "model.safetensors", *found.tokenizer_files}
    assert list(result.folder.parent.glob(".*")) == []


@pytest.mark.parametrize("name", FAMILIES)
def test_tokenizer_files_are_those_that_the_yaml_names(converted: Convert, name: str) -> None:
    folder = converted(name).folder
    tokenizer = config_of(folder)["tokenizer"]
    parts = tokenizer["langs"].values() if tokenizer["type"] == "agg" else [tokenizer]
    stored = members(name)
    for part in parts:
        assert (folder / part["model_path"]).read_bytes() == stored[f"./{part['model_path']}"]


@pytest.mark.parametrize("form", ["float16", "bfloat16"])
def test_half_formats_are_stored_as_such(converted: Convert, form: str) -> None:
    result = converted(f"tdt:{form}")
    weights = mx.load(str(result.folder / "model.safetensors"))
    assert {value.dtype for value in weights.values()} == {getattr(mx, form)}
    exact = mx.load(str(converted("tdt").folder / "model.safetensors"))
    for name, value in weights.items():
        assert mx.array_equal(value, exact[name].astype(getattr(mx, form))), name
    encoder, *heads = result.report.stages
    assert encoder.share is None
    assert all(head.share > 0.9 for head in heads)


def test_quantising_packs_with_mlx_s_own(converted: Convert) -> None:
    from backends.parakeet.mlx import is_quantised, open_folder

    result = converted("ctc:8")
    assert is_quantised(result.folder)
    assert config_of(result.folder)["quantization"] == {"group_size": 32, "bits": 8}
    model = open_folder(result.folder)
    assert model.encoder.layers[0].feed_forward1.linear2.bits == 8
    # Width 16 is no multiple of a group: those layers stay plain, and the record says which.
    assert "encoder.layers.0.feed_forward1.linear1.weight" in result.report.plain_layers
    exact = mx.load(str(converted("ctc").folder / "model.safetensors"))
    expected = mx.quantize(exact["encoder.layers.0.feed_forward1.linear2.weight"], group_size=32, bits=8)
    weights = mx.load(str(result.folder / "model.safetensors"))
    for part, value in zip(("weight", "scales", "biases"), expected, strict=True):
        assert mx.array_equal(weights[f"encoder.layers.0.feed_forward1.linear2.{part}"], value)
