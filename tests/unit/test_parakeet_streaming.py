"""Streaming: the figures as they are defined, and each kind of model fed step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.base import BackendError, LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.parakeet.streaming import ParakeetStream, Step, figures

NOISE = np.random.default_rng(1).normal(0, 0.1, 40_000).astype(np.float32)


def test_figures_of_work_that_keeps_up() -> None:
    """Every step waits for its audio: the lag is the work."""
    steps = [Step(1, 0.2, False), Step(2, 0.1, True), Step(3, 0.4, True)]
    assert dict(figures(steps)) == pytest.approx({"first_word_s": 2.1, "lag_median_s": 0.2, "lag_max_s": 0.4})


def test_figures_of_work_that_falls_behind() -> None:
    """A step waits for the one before: 1.5 s of work a second are half a second more behind each time."""
    steps = [Step(arrived, 1.5, True) for arrived in (1, 2, 3)]
    assert figures(steps) == (("first_word_s", 2.5), ("lag_median_s", 2.0), ("lag_max_s", 2.5))


def test_a_step_may_catch_up() -> None:
    steps = [Step(1, 3.0, False), Step(2, 0.1, False), Step(10, 0.1, False)]
    lags = dict(figures(steps))
    assert "first_word_s" not in lags
    assert lags["lag_max_s"] == pytest.approx(3.0)
    assert lags["lag_median_s"] == pytest.approx(2.1)


def test_no_steps_no_figures() -> None:
    assert figures([]) == ()


@pytest.mark.parametrize("kind", ["tdt", "rnnt", "hybrid"])
def test_each_kind(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("parakeet_mlx")
    import parakeet_kinds

    path = parakeet_kinds.write(kind, tmp_path / kind)
    backend = ParakeetStream()
    backend.import_library()
    spec = ModelSpec("folder", str(path), english_only=True)
    loaded = backend.load(spec, Location(path), LoadOptions(chosen=(("step_seconds", "0.5"), ("left_context", "32"))))
    options = dict(loaded.options)
    assert (options["step"], options["context"]) == ("0.5 s", "32 frames before, 256 after")
    result = backend.transcribe(NOISE, TranscribeOptions())
    measured = dict(result.figures)
    assert result.text
    # The first step's audio is there after half a second, and no sooner.
    assert measured["first_word_s"] > 0.5
    assert measured["lag_max_s"] >= measured["lag_median_s"] > 0
    assert (result.words, result.segments) == ((), ())
    for length in (0, 1, 160, 8_001):
        assert "NaN" not in backend.transcribe(NOISE[:length], TranscribeOptions()).invalid


def test_ctc_models_do_not_stream(tmp_path: Path) -> None:
    """The library fails as soon as a step has no frame to be final: "Cannot argmax reduce zero size array"."""
    pytest.importorskip("parakeet_mlx")
    import parakeet_kinds

    path = parakeet_kinds.write("ctc", tmp_path / "ctc")
    with pytest.raises(BackendError, match="cannot stream CTC models") as caught:
        ParakeetStream().load(ModelSpec("folder", str(path)), Location(path), LoadOptions())
    assert caught.value.kind == "unsupported"


def test_its_options_are_its_own() -> None:
    with pytest.raises(BackendError, match="no option is called 'chunk_seconds'"):
        ParakeetStream().check_options([("chunk_seconds", "20")])
    ParakeetStream().check_options([("beam", "2"), ("right_context", "64")])
