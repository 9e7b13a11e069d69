"""Every kind of Parakeet model: loading it, greedy and beam search, chunks, words, and what it cannot do in words."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import catalogue
from backends.base import BackendError, Loaded, LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.parakeet.mlx import ParakeetMlx

pytest.importorskip("parakeet_mlx")
import parakeet_kinds

Folder = Callable[..., Path]

CLASSES = {"tdt": "ParakeetTDT", "rnnt": "ParakeetRNNT", "ctc": "ParakeetCTC", "hybrid": "ParakeetTDTCTC"}
NOISE = np.random.default_rng(1).normal(0, 0.1, 80_047).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a kind of model, made once."""

    @cache
    def made(kind: str, bits: int = 0) -> Path:
        return parakeet_kinds.write(kind, tmp_path_factory.mktemp(kind) / "model", bits)

    return made


def loaded(path: Path, english_only: bool = True, **chosen: str) -> tuple[ParakeetMlx, Loaded]:
    backend = ParakeetMlx()
    backend.import_library()
    spec = ModelSpec("folder", str(path), english_only=english_only)
    return backend, backend.load(spec, Location(path), LoadOptions(chosen=tuple(chosen.items())))


@pytest.mark.parametrize("kind", parakeet_kinds.KINDS)
def test_greedy(kind: str, folder: Folder) -> None:
    backend, facts = loaded(folder(kind))
    assert (facts.dtype, facts.bits) == ("bfloat16", 16.0)
    assert dict(facts.options) == {
        "decoder": CLASSES[kind],
        "decoding": "greedy",
        "mel": "the library's",
        "chunk": "120 s, overlap 15 s",
    }
    first, second = (backend.transcribe(NOISE, TranscribeOptions()) for _ in range(2))
    assert first.text
    assert first.text == second.text
    # Clips that are next to nothing are no reason to fail.
    for length in (0, 1, 159, 160, 257, 1_281):
        assert "NaN" not in backend.transcribe(NOISE[:length], TranscribeOptions()).invalid


@pytest.mark.parametrize("kind", parakeet_kinds.KINDS)
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_folders(kind: str, bits: int, folder: Folder) -> None:
    """The library's own loading would cast packed weights to bfloat16."""
    backend, facts = loaded(folder(kind, bits))
    assert facts.bits is not None
    assert bits < facts.bits < 32
    assert facts.dtype == "float32"
    assert backend.transcribe(NOISE, TranscribeOptions()).text


@pytest.mark.parametrize("kind", ["tdt", "hybrid"])
def test_beam(kind: str, folder: Folder) -> None:
    backend, facts = loaded(folder(kind), beam="3")
    assert dict(facts.options)["decoding"] == "beam of 3"
    searched = beams(backend)
    assert {beam.beam_size for beam in searched} == {3}


def beams(backend: ParakeetMlx) -> list[Any]:
    """The searches that the library is asked for."""
    seen = []
    model = type(backend._model)
    original = model.decode_beam

    def watched(*arguments: Any, config: Any) -> Any:
        seen.append(config.decoding)
        return original(*arguments, config=config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "decode_beam", watched)
        backend.transcribe(NOISE, TranscribeOptions())
    assert seen
    return seen


@pytest.mark.parametrize(("kind", "said"), [("rnnt", "RNNT"), ("ctc", "CTC")])
def test_no_beam_where_the_library_has_none(kind: str, said: str, folder: Folder) -> None:
    with pytest.raises(BackendError) as caught:
        loaded(folder(kind), beam="2")
    expected = f"parakeet-mlx has a beam search for TDT models only, and this one is of the kind {said}"
    assert (caught.value.message, caught.value.kind) == (expected, "option")


@pytest.mark.parametrize("kind", parakeet_kinds.KINDS)
def test_chunks(kind: str, folder: Folder) -> None:
    from parakeet_mlx import parakeet

    backend, facts = loaded(folder(kind), chunk_seconds="2", overlap_seconds="0.5")
    assert dict(facts.options)["chunk"] == "2 s, overlap 0.5 s"
    sizes = []
    original, read = parakeet.get_logmel, parakeet.load_audio

    def watched(audio: Any, arguments: Any) -> Any:
        sizes.append(audio.shape[0])
        return original(audio, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parakeet, "get_logmel", watched)
        result = backend.transcribe(NOISE, TranscribeOptions())
    assert sizes == [32_000, 32_000, 32_000, 8_160]
    assert parakeet.load_audio is read
    if kind != "ctc":  # of chunks with one token each the library may drop all while it joins them
        assert result.segments[-1].end > 4


def test_a_last_chunk_of_next_to_nothing(folder: Folder) -> None:
    """160 samples behind the last whole chunk would damage the memory of the process."""
    backend, _ = loaded(folder("tdt"), chunk_seconds="2", overlap_seconds="0")
    for _ in range(20):
        assert backend.transcribe(NOISE[: 64_000 + 160], TranscribeOptions()).text


@pytest.mark.parametrize("kind", parakeet_kinds.KINDS)
def test_words(kind: str, folder: Folder) -> None:
    backend, _ = loaded(folder(kind))
    result = backend.transcribe(NOISE, TranscribeOptions())
    assert " ".join(word.text for word in result.words) == result.text
    seconds = len(NOISE) / 16_000
    assert all(0 <= word.start <= word.end <= seconds for word in (*result.words, *result.segments))
    assert all(a.start <= b.start for a, b in itertools.pairwise(result.words))


def test_languages(folder: Folder) -> None:
    """English-only models say so; others find out by themselves, whatever they are told."""
    english, _ = loaded(folder("tdt"))
    assert english.transcribe(NOISE, TranscribeOptions("de")).language == "en"
    many, _ = loaded(folder("tdt"), english_only=False)
    result = many.transcribe(NOISE, TranscribeOptions("de"))
    assert (result.language, result.warnings) == ("", ("the model finds out the language by itself: de was ignored",))
    assert many.transcribe(NOISE, TranscribeOptions()).warnings == ()


def test_foreign_letters_are_a_warning_of_english_only_models(folder: Folder, tmp_path: Path) -> None:
    config = parakeet_kinds.config("ctc")
    config["decoder"]["vocabulary"] = ["▁да", "▁нет", *"абвгдежз"]
    path = tmp_path / "russian"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes((folder("ctc") / "model.safetensors").read_bytes())
    for english_only, count in ((True, 1), (False, 0)):
        backend, _ = loaded(path, english_only)
        warnings = backend.transcribe(NOISE, TranscribeOptions()).warnings
        assert len(warnings) == count
        assert all("are not Latin (Cyrillic), from an English-only model" in warning for warning in warnings)


@pytest.mark.parametrize(
    "damage", ["no weights", "no config", "no json", "one layer more", "unknown target", "cut off"]
)
def test_folders_that_cannot_be_read(damage: str, folder: Folder, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    config = parakeet_kinds.config("tdt")
    weights = (folder("tdt") / "model.safetensors").read_bytes()
    if damage == "one layer more":
        config["encoder"]["n_layers"] += 1
    if damage == "unknown target":
        config["target"] = "nobody.knows.This"
    if damage == "cut off":
        weights = weights[:-100]
    if damage != "no weights":
        (path / "model.safetensors").write_bytes(weights)
    if damage != "no config":
        (path / "config.json").write_text("{" if damage == "no json" else json.dumps(config))
    with pytest.raises(BackendError) as caught:
        loaded(path)
    assert caught.value.kind == "model"
    assert caught.value.message.startswith("parakeet-mlx cannot read this folder: ")
    assert "\n" not in caught.value.message


def test_sizes_of_the_catalogue() -> None:
    """All names are those of a repository, and only v3 knows more than English."""
    for name, spec in catalogue.PARAKEET_MLX.items():
        if name.startswith("parakeet-"):
            assert spec.source in (f"mlx-community/{name}", f"mlx-community/{name}-v2")
        assert spec.english_only == (name != "parakeet-tdt-0.6b-v3")
