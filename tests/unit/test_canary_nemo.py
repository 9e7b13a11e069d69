"""Canary in MLX against what NeMo itself computed on the same audio (tests/nemo/fixtures)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlx.core")
pytest.importorskip("parakeet_mlx")
pytest.importorskip("torch", reason="reads NeMo's checkpoints")
pytest.importorskip("yaml")

import canary_toy
import mlx.core as mx

from backends.canary import decoding
from backends.canary import mlx as prompts
from backends.canary.load import Opened, open_folder
from backends.nemo_mel import nemo_mel

FIXTURES = Path(__file__).parents[1] / "nemo" / "fixtures"
NAMES = [name for name in ("canary1", "flash", "canary2") if (FIXTURES / f"{name}.nemo").exists()]


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, dict[str, Any]]:
    folder = canary_toy.unpack(FIXTURES / f"{request.param}.nemo", tmp_path_factory.mktemp(request.param))
    with np.load(FIXTURES / f"{request.param}.npz") as stored:
        return open_folder(folder), dict(stored)


def states(opened: Opened, expected: dict[str, Any]) -> Any:
    return opened.model.encode(mx.array(expected["mel"]))


def test_encoder(pair: tuple[Opened, dict[str, Any]]) -> None:
    opened, expected = pair
    assert np.abs(np.array(states(opened, expected)[0]) - expected["states"]).max() < 1e-5


def test_decoder(pair: tuple[Opened, dict[str, Any]]) -> None:
    opened, expected = pair
    logits = opened.model.step(mx.array(expected["ids"][None]), states(opened, expected), opened.model.caches())[0]
    found = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
    assert np.abs(found - expected["decoder"]).max() < 1e-5


def test_prompt(pair: tuple[Opened, dict[str, Any]]) -> None:
    opened, expected = pair
    made = prompts.ids(opened.architecture.prompt_format, prompts.Request("en", "de"), opened.vocabulary)
    assert made == expected["prompt"].tolist()


@pytest.mark.parametrize("width", [1, 4])
def test_tokens(pair: tuple[Opened, dict[str, Any]], width: int) -> None:
    opened, expected = pair
    mel = nemo_mel(expected["audio"].astype(np.float32) / 32768, opened.mel)
    heard = opened.model.encode(mx.array(mel))
    prompt = prompts.ids(opened.architecture.prompt_format, prompts.Request("en", "de"), opened.vocabulary)
    ids = decoding.Ids(opened.vocabulary.end, opened.vocabulary.pad, len(opened.vocabulary.pieces))
    longest = decoding.limit(opened.architecture, opened.architecture.search, len(prompt), heard.shape[1])
    if width == 1:
        found = decoding.greedy(opened.model, heard, prompt, ids, longest)
    else:
        found = decoding.beam(opened.model, heard, prompt, ids, longest, width=width)
    assert list(found.tokens) == expected["tokens" if width == 1 else "beam_tokens"].tolist()
