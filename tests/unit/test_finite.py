"""Weights that hold NaN, and arithmetic that makes it: looked for in the first transcription, and said in words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from racing import TESTS

from backends import checks as finite
from backends.base import BackendError

Unpack = Callable[[str], Path]

CODE = """
import json, sys
from pathlib import Path
import numpy as np
from backends.base import BackendError, LoadOptions, Location, TranscribeOptions
from backends.registry import BUILT_IN, create

name, path, filling = sys.argv[1:]
backend = create(next(entry.reference for entry in BUILT_IN if entry.name == name))
backend.import_library()
backend.load(backend.model("nano"), Location(Path(path)), LoadOptions())
if name == "transformers":
    watched = lambda: len(backend._pipeline.model._forward_hooks)
else:
    joint = type(backend._model.joint)
    original = joint.__call__
    watched = lambda: int(joint.__call__ is not original)
samples = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
if filling != "noise":
    samples[8_000] = float(filling)
facts = {"invalid": [], "error": None}
try:
    for _ in range(2):
        facts["invalid"].append(backend.transcribe(samples, TranscribeOptions()).invalid)
except BackendError as error:
    facts["error"] = [error.kind, error.message, error.hint]
facts["watched"] = watched()
print(json.dumps(facts))
"""


def python(home: Path, *arguments: str) -> str:
    environment = {**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, unpacked: Unpack) -> Callable[[str], Path]:
    """A private copy of the smallest model of a backend."""

    def copy(backend: str) -> Path:
        folder = tmp_path_factory.mktemp(backend)
        if backend == "transformers":
            pytest.importorskip("transformers")
            return Path(shutil.copytree(unpacked("hf"), folder / "model"))
        pytest.importorskip("parakeet_mlx")
        python(folder, "-m", "parakeet_toy", str(folder))
        return folder

    return copy


def poison(file: Path, tensor: str) -> None:
    """Make one number of a tensor NaN, in place; the file stays as valid as it was."""
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])[tensor]
    number = {"F16": b"\x00\x7e", "BF16": b"\xc0\x7f", "F32": b"\x00\x00\xc0\x7f"}[header["dtype"]]
    begin = 8 + size + header["data_offsets"][0]
    data[begin : begin + len(number)] = number
    file.write_bytes(data)


def use(tmp_path: Path, backend: str, model: Path, filling: str = "noise") -> dict[str, Any]:
    """What two transcriptions gave: of noise, or of noise with one sample that is `filling`."""
    facts: dict[str, Any] = json.loads(python(tmp_path, "-c", CODE, backend, str(model), filling).splitlines()[-1])
    return facts


@pytest.mark.parametrize(
    ("backend", "tensor"),
    [
        ("transformers", "model.encoder.conv1.weight"),
        ("transformers", "model.decoder.layers.1.fc2.bias"),
        ("parakeet-mlx", "encoder.layers.0.norm_out.weight"),
        ("parakeet-mlx", "joint.pred.weight"),
    ],
)
def test_weights_are_named(tmp_path: Path, models: Callable[[str], Path], backend: str, tensor: str) -> None:
    model = models(backend)
    poison(model / "model.safetensors", tensor)
    facts = use(tmp_path, backend, model)
    message = f"its weights have NaN or infinite numbers ({tensor})"
    assert facts["error"] == ["model", message, "fetch the model again"]
    assert facts["invalid"] == []


@pytest.mark.parametrize("backend", ["transformers", "parakeet-mlx"])
def test_arithmetic_that_fails_on_good_weights(tmp_path: Path, models: Callable[[str], Path], backend: str) -> None:
    """The first transcription is enough to discredit a row; the timed ones are left alone."""
    facts = use(tmp_path, backend, models(backend), "nan")
    assert facts["error"] is None
    assert facts["invalid"][0] == finite.ARITHMETIC
    assert facts["invalid"][1] != finite.ARITHMETIC
    assert facts["watched"] == 0


@pytest.mark.parametrize("backend", ["transformers", "parakeet-mlx"])
def test_good_models_pass(tmp_path: Path, models: Callable[[str], Path], backend: str) -> None:
    facts = use(tmp_path, backend, models(backend))
    assert facts["error"] is None
    assert finite.ARITHMETIC not in facts["invalid"]
    assert len(facts["invalid"]) == 2
    assert facts["watched"] == 0


def test_few_of_many_are_named() -> None:
    with pytest.raises(BackendError) as caught:
        finite.blame(["a", "b", "c", "d"])
    assert caught.value.message == "its weights have NaN or infinite numbers (a, b and 2 more)"
