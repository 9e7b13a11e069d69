"""What users may set for canary-mlx: read, refused with a sentence, and in force where the model is run."""

from __future__ import annotations

from pathlib import Path

import canary_toy
import pytest

from backends.base import BackendError, LoadOptions, Location, ModelSpec
from backends.canary.mlx import CanaryMlx, Settings, read


def test_everything_can_be_set() -> None:
    chosen = (("beam", "4"), ("length_penalty", "0.5"), ("punctuation", "no"), ("timestamps", "Yes"), ("target", "DE"))
    assert read(Settings(), chosen) == Settings(4, 0.5, punctuation=False, timestamps=True, target="de")
    assert read(Settings(beam=3), ()) == Settings(beam=3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("beam", "0", "from 1 to 64"),
        ("beam", "2.5", "a whole number"),
        ("length_penalty", "nan", "from 0 to 5"),
        ("punctuation", "maybe", "yes or no"),
        ("target", "klingon", "a language code"),
        ("colour", "red", "choose from beam"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(BackendError) as caught:
        CanaryMlx().check_options([(name, value)])
    assert caught.value.kind == "option"
    assert said in caught.value.hint


def test_options_are_in_force_and_on_record(tmp_path: Path) -> None:
    folder = canary_toy.write(tmp_path / "toy")
    backend = CanaryMlx()
    options = LoadOptions(chosen=(("beam", "2"), ("punctuation", "no")))
    loaded = dict(backend.load(ModelSpec("folder", str(folder)), Location(folder), options).options)
    assert loaded["decoding"] == "beam of 2"
    assert loaded["text"] == "as spoken, without punctuation"
