"""Canary's searches over small random models: cache, padding, limits, order of scores, arithmetic that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlx.core")
pytest.importorskip("parakeet_mlx")

import canary_toy
import mlx.core as mx

from backends.canary import decoding
from backends.canary import mlx as prompts
from backends.canary.architecture import Search
from backends.canary.load import Opened, open_folder

FRAMES = 200


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return open_folder(canary_toy.write(tmp_path_factory.mktemp("canary"), decoder_width=24))


def other(tmp_path: Path, seed: int) -> Opened:
    return open_folder(canary_toy.write(tmp_path / str(seed), seed))


def states(opened: Opened, seed: int = 0) -> Any:
    mel = np.random.default_rng(seed).normal(size=(FRAMES, 80)).astype(np.float32)
    return opened.model.encode(mx.array(mel))


def ids(opened: Opened) -> decoding.Ids:
    return decoding.Ids(opened.vocabulary.end, opened.vocabulary.pad, len(opened.vocabulary.pieces))


def prompt(opened: Opened) -> list[int]:
    return prompts.ids("canary2", prompts.Request(), opened.vocabulary)


def score(opened: Opened, heard: Any, tokens: tuple[int, ...], complete: bool) -> float:
    """The log-probability of a text, computed at once and without any cache of earlier steps."""
    written = [*tokens, opened.vocabulary.end] if complete else list(tokens)
    row = [*prompt(opened), *written]
    logits = opened.model.step(mx.array([row]), heard, opened.model.caches())[0]
    chances = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    start = len(prompt(opened)) - 1
    return sum(float(chances[start + n, token]) for n, token in enumerate(written))


def test_cache_gives_what_a_full_pass_gives(opened: Opened) -> None:
    heard = states(opened)
    # More tokens than one block of the cache holds.
    row = np.random.default_rng(1).integers(0, ids(opened).size, (1, 280))
    whole = np.array(opened.model.step(mx.array(row), heard, opened.model.caches()))
    caches = opened.model.caches()
    first = np.array(opened.model.step(mx.array(row[:, :9]), heard, caches))
    rest = [np.array(opened.model.step(mx.array(row[:, n : n + 1]), heard, caches)) for n in range(9, 280)]
    assert np.abs(np.concatenate([first, *rest], 1) - whole).max() < 1e-5


def test_reordered_cache_goes_on_from_the_chosen_row(opened: Opened) -> None:
    heard = states(opened)
    rows = np.array([[3, 4, 5], [6, 7, 8]])
    caches = opened.model.caches()
    opened.model.step(mx.array(rows), mx.repeat(heard, 2, 0), caches)
    for cache in caches:
        cache.reorder(mx.array([1, 1]))
    following = np.array(opened.model.step(mx.array([[9], [9]]), heard, caches))[:, -1]
    alone = np.array(opened.model.step(mx.array([[6, 7, 8, 9]]), heard, opened.model.caches()))[0, -1]
    assert np.abs(following - alone).max() < 1e-5


@pytest.mark.parametrize("width", [1, 3])
def test_padding_is_never_written(tmp_path: Path, width: int) -> None:
    opened = other(tmp_path, 4)
    real = ids(opened)
    bias = np.array(opened.model.head.bias)
    assert len(bias) > real.size
    bias[real.size :] = 50  # what belongs to no piece is now far likelier than all else
    opened.model.head.bias = mx.array(bias)
    written = decoding.beam(opened.model, states(opened), prompt(opened), real, 30, width=width)
    greedy = decoding.greedy(opened.model, states(opened), prompt(opened), real, 30)
    assert written.tokens
    assert max(written.tokens + greedy.tokens) < real.size


def test_beam_finds_likelier_texts_than_greedy(tmp_path: Path) -> None:
    """Mostly: a beam can lose what is likelier in the end, and then NeMo's loses it too."""
    gains = []
    for seed in range(10):
        opened = other(tmp_path, seed)
        bias = np.array(opened.model.head.bias)
        bias[opened.vocabulary.pad] = -1e4  # in a beam it ends a text as well, and `score` would count another token
        opened.model.head.bias = mx.array(bias)
        heard = states(opened, seed)
        greedy = decoding.greedy(opened.model, heard, prompt(opened), ids(opened), 12)
        wide = decoding.beam(opened.model, heard, prompt(opened), ids(opened), 12, width=5)
        gains.append(wide.score - greedy.score)
        for written in (greedy, wide):
            assert written.score == pytest.approx(score(opened, heard, written.tokens, written.complete), abs=1e-3)
    assert sum(gain >= -1e-4 for gain in gains) >= 8
    assert sum(gains) > 0


def test_beam_of_one_is_greedy(opened: Opened) -> None:
    heard = states(opened)
    greedy = decoding.greedy(opened.model, heard, prompt(opened), ids(opened), 25)
    assert decoding.beam(opened.model, heard, prompt(opened), ids(opened), 25, width=1).tokens == greedy.tokens


def test_end_of_text_ends_the_search(tmp_path: Path) -> None:
    opened = other(tmp_path, 6)
    bias = np.array(opened.model.head.bias)
    bias[opened.vocabulary.end] = 50
    opened.model.head.bias = mx.array(bias)
    for written in (
        decoding.greedy(opened.model, states(opened), prompt(opened), ids(opened), 30),
        decoding.beam(opened.model, states(opened), prompt(opened), ids(opened), 30, width=4),
    ):
        assert written.tokens == ()
        assert written.complete


def test_search_stops_at_the_limit(tmp_path: Path) -> None:
    opened = other(tmp_path, 7)
    bias = np.array(opened.model.head.bias)
    bias[opened.vocabulary.end] = -1e4
    opened.model.head.bias = mx.array(bias)
    written = decoding.greedy(opened.model, states(opened), prompt(opened), ids(opened), 17)
    assert len(written.tokens) == 17
    assert not written.complete


def test_limit_is_nemo_s(opened: Opened) -> None:
    found = opened.architecture
    # 300 positions; a prompt of 9; one token more where NeMo would search with a beam.
    assert decoding.limit(found, Search(delta=20), 9, 25) == 25 + 20 - 9 + 1
    assert decoding.limit(found, Search(delta=20, greedy=True), 9, 25) == 25 + 20 - 9
    assert decoding.limit(found, Search(delta=-1), 9, 25) == 300 - 9 + 1
    assert decoding.limit(found, Search(delta=1000), 9, 25) == 300 - 9 + 1
    assert decoding.limit(found, replace(Search(), delta=0), 9, 3) == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_arithmetic_that_failed_is_said(tmp_path: Path, wrong: float) -> None:
    opened = other(tmp_path, 8)
    bias = np.array(opened.model.head.bias)
    bias[5] = wrong
    opened.model.head.bias = mx.array(bias)
    with pytest.raises(decoding.NotFiniteError):
        decoding.greedy(opened.model, states(opened), prompt(opened), ids(opened), 5)
    with pytest.raises(decoding.NotFiniteError):
        decoding.beam(opened.model, states(opened), prompt(opened), ids(opened), 5, width=3)
