"""Canary's vocabularies, prompts, word times, and how long clips are cut and put together again."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path

import canary_toy
import numpy as np
import pytest

from backends.base import BackendError, Segment
from backends.canary import architecture, tokenizers
from backends.canary import mlx as prompts
from backends.canary import mlx as timing
from backends.canary import tokenizers as pieces

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spl_tokens.model").write_bytes(canary_toy.sentencepiece(("<unk>", *canary_toy.SPECIALS), 4))
    (tmp_path / "en.model").write_bytes(canary_toy.sentencepiece(canary_toy.ENGLISH))
    (tmp_path / "de.model").write_bytes(canary_toy.sentencepiece(canary_toy.GERMAN))
    return tmp_path


@pytest.fixture
def vocabulary(folder: Path) -> tokenizers.Vocabulary:
    return tokenizers.load(folder, architecture.read(canary_toy.config()))


def test_aggregate_offsets(vocabulary: tokenizers.Vocabulary) -> None:
    specials = len(canary_toy.SPECIALS) + 1
    assert vocabulary.offsets == {"spl_tokens": 0, "en": specials, "de": specials + len(canary_toy.ENGLISH)}
    assert vocabulary.text([specials + 3, specials + 4]) == "foxs"
    assert vocabulary.text([vocabulary.offsets["de"] + 3, vocabulary.offsets["de"] + 4]) == "foxn"


def test_specials_are_looked_up_in_their_own_part_only(vocabulary: tokenizers.Vocabulary) -> None:
    assert vocabulary.specials["<|en|>"] == canary_toy.SPECIALS.index("<|en|>") + 1
    assert vocabulary.languages == ("de", "en")


def test_text_leaves_out_special_tokens(vocabulary: tokenizers.Vocabulary) -> None:
    the = vocabulary.offsets["en"] + 1
    assert vocabulary.text([vocabulary.specials["<|en|>"], the, vocabulary.end, 999]) == "the"


def test_bytes_are_joined() -> None:
    model = pieces.parse(
        canary_toy.sentencepiece(("<|endoftext|>", "▁a"), 4) + canary_toy.sentencepiece(("<0xC3>", "<0xA9>"), 6)
    )
    assert tokenizers.single(model).text([1, 2, 3]) == "aé"


@pytest.mark.parametrize(
    ("prompt", "request_", "names"),
    [
        ("canary", prompts.Request("en", "de"), "startoftranscript en translate de pnc"),
        ("canary", prompts.Request("de", "de", punctuation=False), "startoftranscript de transcribe de nopnc"),
        (
            "canary2",
            prompts.Request("en", "en"),
            "startofcontext startoftranscript emo:undefined en en pnc noitn notimestamp nodiarize",
        ),
        (
            "canary2",
            prompts.Request("en", "de", punctuation=False, timestamps=True),
            "startofcontext startoftranscript emo:undefined en de nopnc noitn timestamp nodiarize",
        ),
    ],
)
def test_prompts(vocabulary: tokenizers.Vocabulary, prompt: str, request_: prompts.Request, names: str) -> None:
    wanted = [canary_toy.SPECIALS.index(f"<|{name}|>") + 1 for name in names.split()]
    assert prompts.ids(prompt, request_, vocabulary) == wanted


def test_prompt_for_a_language_with_a_country() -> None:
    model = pieces.parse(canary_toy.sentencepiece((*canary_toy.SPECIALS[:8], "<|de-DE|>", "<|endoftext|>"), 4))
    assert tokenizers.single(model).language_token("de") == "<|de-DE|>"


def test_unknown_language_and_times_are_refused(vocabulary: tokenizers.Vocabulary) -> None:
    with pytest.raises(BackendError, match="'fr'") as error:
        prompts.ids("canary2", prompts.Request("fr", "en"), vocabulary)
    assert "de, en" in error.value.hint
    with pytest.raises(BackendError, match="times of words"):
        prompts.ids("canary", prompts.Request(timestamps=True), vocabulary)


def test_one_tokenizer_has_a_space_in_front_of_its_prompt() -> None:
    names = ("<unk>", *canary_toy.SPECIALS, "▁")
    plain = canary_toy.sentencepiece(names, 4)
    # normalizer_spec (field 3) with add_dummy_prefix (field 3) false
    without = plain + b"\x1a\x02\x18\x00"
    space = names.index("▁")
    assert prompts.ids("canary2", prompts.Request(), tokenizers.single(pieces.parse(plain)))[0] == space
    assert tokenizers.single(pieces.parse(without)).prefix == ()


def test_tokenizer_within_the_configuration(folder: Path) -> None:
    packed = base64.b64encode(canary_toy.sentencepiece(("<unk>", *canary_toy.SPECIALS), 4)).decode()
    found = architecture.read({**canary_toy.config(), "tokenizer": {"model_base64": packed}})
    assert tokenizers.load(folder, found).end == canary_toy.SPECIALS.index("<|endoftext|>") + 1


@pytest.mark.parametrize(
    ("name", "said"), [("../en.model", "outside"), ("absent.model", "absent.model"), (None, "does not name")]
)
def test_wrong_tokenizer_files_are_named(folder: Path, name: str | None, said: str) -> None:
    config = canary_toy.config()
    config["tokenizer"]["langs"]["en"]["model_path"] = name
    with pytest.raises(BackendError, match=said):
        tokenizers.load(folder, architecture.read(config))


@pytest.mark.parametrize("damaged", [b"", b"\xff" * 40, b"\x0a\x50short", b"PK\x03\x04"])
def test_damaged_tokenizers_are_refused(folder: Path, damaged: bytes) -> None:
    (folder / "en.model").write_bytes(damaged)
    with pytest.raises(BackendError, match=r"en\.model"):
        tokenizers.load(folder, architecture.read(canary_toy.config()))


def test_word_times(vocabulary: tokenizers.Vocabulary) -> None:
    times = [vocabulary.specials[f"<|{n}|>"] for n in range(4)]
    the, fox = vocabulary.offsets["en"] + 1, vocabulary.offsets["en"] + 3
    found = timing.words([times[0], the, times[1], times[2], fox, times[3]], vocabulary, step=0.08, offset=10.0)
    assert found == [Segment(10.0, 10.08, "the"), Segment(10.16, pytest.approx(10.24), "fox")]
    assert [word.text for word in timing.words([the, times[1], fox], vocabulary, 0.08, 0.0)] == ["the", "fox"]


def test_words_of_two_pieces_are_kept_once() -> None:
    left = [Segment(0, 1, "a"), Segment(9.2, 9.8, "b"), Segment(10.1, 10.5, "c")]
    right = [Segment(9.3, 9.9, "b"), Segment(10.1, 10.6, "c"), Segment(11, 12, "d")]
    assert [word.text for word in timing.join(left, right, 10.0)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("we go to the old shop", "the old shop is shut", "we go to the old shop is shut"),
        ("We go to the old sh", "o the old shop is shut", "We go to the old shop is shut"),
        ("We stop. Then we go", "then we go on", "We stop. Then we go on"),
        ("go to the shop", "the man is here", "go to the shop the man is here"),
        ("one two three", "four five", "one two three four five"),
        ("", "four five", "four five"),
        ("one two", "", "one two"),
    ],
)
def test_merging(left: str, right: str, joined: str) -> None:
    assert timing.merge([left, right]) == joined


def test_merging_words_that_do_not_overlap_changes_nothing() -> None:
    assert timing.merge(["the", "the", "fox"], overlapping=False) == "the the fox"


def test_short_clips_stay_whole() -> None:
    samples = np.zeros(int(30 * RATE), np.float32)
    assert timing.pieces(samples, RATE) == (timing.Piece(0, len(samples)),)


def test_long_clips_are_cut_where_it_is_quiet() -> None:
    samples = np.random.default_rng(2).normal(size=int(70 * RATE)).astype(np.float32)
    samples[int(25.2 * RATE) : int(25.6 * RATE)] = 0
    found = timing.pieces(samples, RATE)
    cut = (found[0].end + found[1].start) / 2 / RATE
    assert 25.2 <= cut <= 25.6
    assert found[0].start == 0
    assert found[-1].end == len(samples)
    for before, after in itertools.pairwise(found):
        assert before.end - after.start == timing.OVERLAP_SECONDS * RATE
    assert all(piece.end - piece.start <= timing.LONGEST_SECONDS * RATE for piece in found)


@pytest.mark.parametrize("samples", [np.zeros(200 * RATE, np.float32), np.full(97 * RATE, np.nan, np.float32)])
def test_clips_without_any_sound_are_cut_too(samples: np.ndarray) -> None:
    found = timing.pieces(samples, RATE)
    assert found[-1].end == len(samples)
    assert all(a.start < b.start and a.end < b.end for a, b in itertools.pairwise(found))
