"""The real libraries, each in a process of its own: nothing loads twice, nothing reaches for the network."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from racing import TESTS, python_path

from backends.base import LoadOptions, Location, TranscribeOptions
from backends.embedded import nano
from speedtest_tui.core.accuracy.wer import word_error_rate
from speedtest_tui.core.audio.clip import Clip

Probe = Callable[..., list[dict[str, Any]]]
Unpack = Callable[[str], Path]

LAYOUT = {
    "mlx-whisper": "mlx", "whisper-mps": "openai", "transformers": "hf", "faster-whisper": "ct2", "whisper-cpp": "ggml",
    "openai-whisper": "openai",
}  # fmt: skip
LENGTHS = [16_000 + extra for extra in (0, 1, 47, 48, 159)]
MODULE = {name: name.replace("-", "_") for name in LAYOUT} | {
    "whisper-cpp": "pywhispercpp", "openai-whisper": "whisper",
}  # fmt: skip


def python(home: Path, *arguments: str) -> str:
    """Run a module of the tests with an empty home, no program on the path (no ffmpeg), offline."""
    environment = {**os.environ, "HOME": str(home), "PATH": "", "HF_HUB_OFFLINE": "1", "PYTHONPATH": python_path(TESTS)}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """What happened when a backend was used in some ways, one after another; tried once for the whole module."""
    home = tmp_path_factory.mktemp("home")
    known: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def run(*arguments: str) -> list[dict[str, Any]]:
        if arguments not in known:
            known[arguments] = json.loads(python(home, "backend_probe", *arguments).splitlines()[-1])
        return known[arguments]

    return run


@pytest.fixture(params=LAYOUT)
def whisper(request: pytest.FixtureRequest, probe: Probe, unpacked: Unpack) -> tuple[str, dict[str, Any]]:
    """One of the three Whisper backends, and what it did with the nano model."""
    pytest.importorskip(MODULE[request.param])
    return request.param, probe(request.param, str(unpacked(LAYOUT[request.param])))[0]


@pytest.fixture(scope="module")
def parakeet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Parakeet model with random weights."""
    pytest.importorskip("parakeet_mlx")
    folder = tmp_path_factory.mktemp("parakeet")
    python(folder, "parakeet_toy", str(folder))
    return folder


@pytest.fixture(scope="module")
def parakeets(probe: Probe, parakeet: Path) -> list[dict[str, Any]]:
    """What happened with it: the same second of noise three times, lengths of all kinds, a path that is relative."""
    same, lengths = ["32000"] * 3, map(str, LENGTHS)
    return probe("parakeet-mlx", str(parakeet), *same, "--", str(parakeet), *lengths, "--", "some/folder")


def test_the_model_is_loaded_once_and_in_load(whisper: tuple[str, dict[str, Any]]) -> None:
    assert whisper[1]["loads"] == [1, 0]
    assert whisper[1]["connections"] == 0


def test_all_say_the_same_words(whisper: tuple[str, dict[str, Any]], demo: Clip) -> None:
    assert [result["text"].lower().rstrip(".") for result in whisper[1]["results"]] == [demo.reference] * 3
    assert {result["invalid"] for result in whisper[1]["results"]} == {""}
    assert {(result["language"], result["detected"]) for result in whisper[1]["results"]} == {("en", False)}


def test_observed_facts(whisper: tuple[str, dict[str, Any]], unpacked: Unpack) -> None:
    name, facts = whisper
    loaded = facts["loaded"]
    # One architecture: the same number of weights, in the precision that each implementation really computes in.
    assert loaded["parameters"] == sum(value.size for value in nano.expand().values())
    on_torch = name in ("transformers", "faster-whisper", "openai-whisper")
    half = not on_torch or (name != "openai-whisper" and loaded["device"] != "cpu")
    # A ggml file has positions, biases and norms in float32, which are much of a model this small.
    bits = 17 if name == "whisper-cpp" else 16
    assert (loaded["dtype"], round(loaded["bits"])) == (("float16", bits) if half else ("float32", 32))
    assert loaded["device"].startswith(("cpu", "gpu", "mps", "cuda"))
    assert loaded["source"] == f"nano/{LAYOUT[name]}"
    folder = unpacked(LAYOUT[name])
    assert loaded["files"]
    assert all(Path(file).is_file() and Path(file).is_relative_to(folder) for file in loaded["files"])
    assert dict(loaded["options"])


@pytest.mark.parametrize("name", ["mlx-whisper", "whisper-mps"])
def test_mlx_counts_its_memory(name: str, probe: Probe, unpacked: Unpack) -> None:
    pytest.importorskip(MODULE[name])
    memory = probe(name, str(unpacked(LAYOUT[name])))[0]["memory"]
    assert memory["peak"] >= memory["active"] > 5_000_000


def test_whisper_mps_refuses_a_file_of_another_hash(tmp_path: Path, probe: Probe) -> None:
    pytest.importorskip("whisper_mps")
    file = tmp_path / "tiny.pt"
    file.write_bytes(b"junk")
    (facts,) = probe("whisper-mps", str(file))
    assert (facts["kind"], facts["connections"]) == ("model", 0)
    assert facts["error"] == "tiny.pt does not match the sha256 that OpenAI publishes"
    assert facts["hint"] == "fetch the file again"
    assert file.read_bytes() == b"junk"


@pytest.mark.parametrize(("name", "dtype"), [("parakeet-mlx", "bfloat16"), ("canary-mlx", "float16")])
def test_nano_models_of_nvidias_kinds(name: str, dtype: str, probe: Probe, unpacked: Unpack, demo: Clip) -> None:
    pytest.importorskip("parakeet_mlx")
    layout = f"{name.removesuffix('-mlx')}-nano/mlx"
    folder = unpacked(layout)
    (facts,) = probe(name, str(folder))
    assert (facts["loads"], facts["connections"]) == ([1, 0], 0)
    loaded = facts["loaded"]
    assert (loaded["source"], loaded["dtype"], loaded["bits"]) == (layout, dtype, 16.0)
    assert 1_000_000 < loaded["parameters"] < 2_000_000
    assert loaded["files"]
    assert all(Path(file).is_file() and Path(file).is_relative_to(folder) for file in loaded["files"])
    (text,) = {result["text"] for result in facts["results"]}
    assert word_error_rate(demo.reference, text) <= 0.2
    assert {result["invalid"] for result in facts["results"]} == {""}


def test_parakeet_loads_from_a_folder(parakeet: Path, parakeets: list[dict[str, Any]]) -> None:
    facts = parakeets[0]
    assert facts["loads"] == [1, 0]
    assert facts["connections"] == 0
    loaded = facts["loaded"]
    assert (loaded["dtype"], loaded["bits"]) == ("bfloat16", 16.0)
    assert dict(loaded["options"])["decoder"] == "ParakeetTDT"
    assert loaded["files"] == [str(parakeet / "config.json"), str(parakeet / "model.safetensors")]
    texts = [result["text"] for result in facts["results"]]
    assert texts[0]
    assert len(set(texts)) == 1


def test_parakeet_takes_any_length(parakeets: list[dict[str, Any]]) -> None:
    """Its own front end reads past the buffer unless the length is a multiple of 160."""
    for length, result in zip(LENGTHS, parakeets[1]["results"], strict=True):
        assert result["text"]
        assert all(0 <= part["start"] <= part["end"] <= length / 16_000 + 0.5 for part in result["segments"])


def test_parakeet_cuts_long_clips_into_chunks(tmp_path: Path, parakeet: Path) -> None:
    code = """
import json, sys
from pathlib import Path
import numpy as np
import parakeet_mlx.parakeet
from backends.parakeet import mlx as ours
from backends.base import LoadOptions, Location, TranscribeOptions

library = sys.modules["parakeet_mlx.parakeet"]
seen, original = [], library.get_logmel
def watched(audio, config):
    seen.append(audio.shape[0])
    return original(audio, config)
library.get_logmel = watched
load_audio = library.load_audio
backend = ours.ParakeetMlx()
options = LoadOptions(chosen=(("chunk_seconds", "2"), ("overlap_seconds", "0.5")))
backend.load(backend.model("nano"), Location(Path(sys.argv[1])), options)
noise = np.random.default_rng(1).normal(0, 0.1, 80_047).astype(np.float32)
result = backend.transcribe(noise, TranscribeOptions())
assert library.load_audio is load_audio
print(json.dumps([seen, result.text, [s.end for s in result.segments]]))
"""
    (tmp_path / "chunks.py").write_text(code)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, str(tmp_path / "chunks.py"), str(parakeet)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    sizes, text, ends = json.loads(done.stdout.splitlines()[-1])
    assert sizes == [32_000, 32_000, 32_000, 8_160]
    assert text
    assert max(ends) > 4.0


def test_parakeet_wants_an_absolute_path(parakeets: list[dict[str, Any]]) -> None:
    facts = parakeets[2]
    assert (facts["kind"], facts["connections"]) == ("model", 0)


def test_pocketsphinx_says_the_same_each_time(probe: Probe) -> None:
    pytest.importorskip("pocketsphinx")
    (facts,) = probe("pocketsphinx", "")
    texts = [result["text"] for result in facts["results"]]
    assert len(set(texts)) == 1
    assert len(texts[0].split()) > 4
    words = facts["results"][0]["segments"]
    assert [word["text"] for word in words] == texts[0].split()
    assert all(a["end"] <= b["start"] + 0.02 for a, b in itertools.pairwise(words))
    assert facts["loads"] == [1, 0]
    assert all(Path(file).exists() for file in facts["loaded"]["files"])


def test_pocketsphinx_begins_each_run_in_the_same_state(demo: Clip) -> None:
    """What it keeps of the means of one utterance must not reach the next, whatever was heard before."""
    pytest.importorskip("pocketsphinx")
    from backends.pocketsphinx import PocketSphinx

    backend = PocketSphinx()
    spec = backend.model("nano") or backend.model("tiny")
    assert spec
    backend.load(spec, Location(None, "", ""), LoadOptions(8 << 30))
    after = []
    for samples in (demo.samples, demo.samples, demo.samples[::-1].copy(), demo.samples):
        backend.transcribe(samples[:32_000], TranscribeOptions())
        after.append(backend._model.get_cmn(False))
    assert after[0] == after[1] == after[3] != after[2]
