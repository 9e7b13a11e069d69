"""Real base and tiny.en on real speech: what each backend hears, and that it is what its library alone hears."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from racing import TESTS, python_path

from speedtest_tui.core.accuracy.wer import word_error_rate

TOOLS = TESTS.parent / "tools" / "bench"
SPEECH = ("librivox-0870", "librivox-0880", "librivox-0890", "librivox-0930")
"""Sentences of a reading of Sense and Sensibility."""

QUICK = ("faster-whisper", "whisper-cpp", "openai-whisper")
"""What hears a sentence in seconds on two cores; MLX takes minutes on processors."""

WRONG = {"base": 0.08, "tiny.en": 0.2}
"""Words that may be wrong in all sentences together."""

PANGRAMS = {code: f"{code}-pangrama" for code in ("fr", "es", "it", "ja", "pt", "zh", "hi")}
"""Without Polish: base takes its pangram for English."""

Hear = Callable[..., dict[str, Any]]


def samples_of(path: Path) -> Any:
    samples, rate = soundfile.read(path, dtype="float32")
    return samples if rate == 16_000 else soxr.resample(samples, rate, 16_000).astype(np.float32)


def model_of(real: Path, backend: str, size: str) -> Path:
    """Where the files of a model are: a folder, or the one file."""
    if backend in ("openai-whisper", "whisper-mps"):
        return real / "whisper" / f"{size}.pt"
    repository = {"faster-whisper": f"Systran--faster-whisper-{size}", "whisper-cpp": "ggerganov--whisper.cpp"}[backend]
    (snapshot,) = (real / "hub" / f"models--{repository}" / "snapshots").iterdir()
    return snapshot / f"ggml-{size}.bin" if backend == "whisper-cpp" else snapshot


@pytest.fixture
def hear(real: Path, tmp_path: Path) -> Hear:
    """Lets a backend, in a process of its own, hear clips; `backend_probe` says what it did."""

    def run(backend: str, size: str, clips: dict[str, Any], language: str = "") -> dict[str, Any]:
        names = []
        for name, samples in clips.items():
            np.save(tmp_path / f"{name}.npy", samples)
            names.append(str(tmp_path / f"{name}.npy"))
        done = subprocess.run(
            [sys.executable, "-m", "backend_probe", backend, str(model_of(real, backend, size)), *names],
            env={**os.environ, "PYTHONPATH": python_path(TESTS), "OMP_NUM_THREADS": "2", "PROBE_LANGUAGE": language},
            capture_output=True,
            text=True,
            check=True,
        )
        (facts,) = json.loads(done.stdout.splitlines()[-1])
        return facts | {"texts": dict(zip(clips, facts["results"], strict=True))}

    return run


@pytest.mark.parametrize("size", WRONG)
@pytest.mark.parametrize("backend", QUICK)
def test_it_hears_what_was_read(hear: Hear, real: Path, tmp_path: Path, backend: str, size: str) -> None:
    clips = {name: samples_of(real / "speech" / f"{name}.wav") for name in SPEECH}
    facts = hear(backend, size, clips)
    assert facts["loads"] == [1, 0]
    assert facts["connections"] == 0
    assert facts["loaded"]["parameters"] == {"base": 72_593_920, "tiny.en": 37_760_256}[size]
    said = {name: (real / "speech" / f"{name}.txt").read_text() for name in SPEECH}
    heard = {name: result["text"] for name, result in facts["texts"].items()}
    wrong = word_error_rate(" ".join(said.values()), " ".join(heard.values()), language="en")
    assert wrong is not None and wrong <= WRONG[size], heard
    for name, result in facts["texts"].items():
        assert result["language"] == "en" and result["invalid"] == ""
        times = [at for segment in result["segments"] for at in (segment["start"], segment["end"])]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= len(clips[name]) / 16_000 + 0.05

    clips[SPEECH[0]].astype("<f4").tofile(tmp_path / "clip.f32")
    script = TOOLS / f"bare_{backend.replace('-', '_')}.py"
    bare = subprocess.run(
        [sys.executable, str(script), str(model_of(real, backend, size)), str(tmp_path / "clip.f32")],
        input="go\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answer = next(line for line in bare.stdout.splitlines() if line.startswith('{"seconds"'))
    assert json.loads(answer)["text"] == heard[SPEECH[0]]


@pytest.mark.parametrize("backend", QUICK)
def test_it_tells_languages_apart_and_obeys_one(hear: Hear, real: Path, backend: str) -> None:
    clips = {code: samples_of(real / "speech" / f"{name}.wav") for code, name in PANGRAMS.items()}
    results = hear(backend, "base", clips)["texts"]
    assert {code: (result["language"], result["detected"]) for code, result in results.items()} == {
        code: (code, True) for code in clips
    }
    (obeyed,) = hear(backend, "base", {"fr": clips["fr"]}, "en")["texts"].values()
    assert (obeyed["language"], obeyed["detected"]) == ("en", False)


@pytest.mark.parametrize("backend", QUICK)
def test_silence_is_silent(hear: Hear, backend: str) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, 8 * 16_000).astype(np.float32)
    results = hear(backend, "tiny.en", {"silence": np.zeros(8 * 16_000, np.float32), "noise": noise})["texts"]
    assert {name: result["text"] for name, result in results.items()} == {"silence": "", "noise": ""}


@pytest.mark.parametrize("backend", QUICK)
def test_a_long_clip_is_heard_whole(hear: Hear, real: Path, backend: str) -> None:
    """All sentences five times, with pauses: over two minutes."""
    pause = np.zeros(8_000, np.float32)
    parts = [part for name in SPEECH * 7 for part in (samples_of(real / "speech" / f"{name}.wav"), pause)]
    clip = np.concatenate(parts)
    assert len(clip) > 120 * 16_000
    (result,) = hear(backend, "tiny.en", {"long": clip})["texts"].values()
    said = " ".join((real / "speech" / f"{name}.txt").read_text().strip() for name in SPEECH * 7)
    wrong = word_error_rate(said, result["text"], language="en")
    assert wrong is not None and wrong <= 0.25, result["text"]
    assert len(re.findall("dashwood", result["text"].lower())) >= 5
    times = [segment["start"] for segment in result["segments"]]
    assert times == sorted(times) and times[-1] > 0.8 * len(clip) / 16_000
