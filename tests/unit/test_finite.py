"""Weights that hold NaN, and arithmetic that makes it: looked for in the first transcription, and said in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from racing import TESTS, python_path

from backends import checks
from backends.base import BackendError

Unpack = Callable[[str], Path]
Facts = dict[str, dict[str, Any]]

WEIGHTS = {
    "transformers": ("model.encoder.conv1.weight", "model.decoder.layers.1.fc2.bias"),
    "parakeet-mlx": ("encoder.layers.0.norm_out.weight", "joint.pred.weight"),
}
"""One of the encoder and one of the decoder, of each backend that looks for such numbers."""

# A fresh backend for each case: "noise", "nan" (noise with one such sample), or the name of a weight, of which one
# number is made NaN in a copy of the model. Good weights come first, so that a watch which stays is seen.
CODE = """
import json, shutil, sys
from pathlib import Path
import numpy as np
from backends.base import BackendError, LoadOptions, Location, TranscribeOptions
from backends.registry import BUILT_IN, create
from test_finite import poison

name, home, model, *cases = sys.argv[1:]
if not model:
    import parakeet_toy
    model = Path(home) / "toy"
    model.mkdir()
    parakeet_toy.write(model)
reference = next(entry.reference for entry in BUILT_IN if entry.name == name)

def use(case):
    folder = Path(model)
    if case not in ("noise", "nan"):
        folder = Path(shutil.copytree(model, Path(home) / case))
        poison(folder / "model.safetensors", case)
    backend = create(reference)
    backend.import_library()
    backend.load(backend.model("nano"), Location(folder), LoadOptions())
    if name == "transformers":
        watched = lambda: len(backend._model.model._forward_hooks)
    else:
        joint = type(backend._model.joint)
        original = joint.__call__
        watched = lambda: int(joint.__call__ is not original)
    samples = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    if case == "nan":
        samples[8_000] = float(case)
    facts = {"invalid": [], "error": None}
    try:
        for _ in range(2):
            facts["invalid"].append(backend.transcribe(samples, TranscribeOptions()).invalid)
    except BackendError as error:
        facts["error"] = [error.kind, error.message, error.hint]
    return {**facts, "watched": watched()}

print(json.dumps({case: use(case) for case in cases}))
"""


@pytest.fixture(scope="module", params=list(WEIGHTS))
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, unpacked: Unpack) -> Facts:
    """What two transcriptions gave in each case: of noise, with one sample that is no number, with broken weights."""
    name = request.param
    pytest.importorskip(name.replace("-", "_"))
    home = tmp_path_factory.mktemp(name)
    model = str(unpacked("hf")) if name == "transformers" else ""
    path = python_path(TESTS, Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", CODE, name, str(home), model, "noise", "nan", *WEIGHTS[name]],
        env={**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def poison(file: Path, tensor: str) -> None:
    """Make one number of a tensor NaN, in place; the file stays as valid as it was."""
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])[tensor]
    number = {"F16": b"\x00\x7e", "BF16": b"\xc0\x7f", "F32": b"\x00\x00\xc0\x7f"}[header["dtype"]]
    begin = 8 + size + header["data_offsets"][0]
    data[begin : begin + len(number)] = number
    file.write_bytes(data)


def test_weights_are_named(facts: Facts) -> None:
    poisoned = {case: found for case, found in facts.items() if case not in ("noise", "nan")}
    assert len(poisoned) == 2
    for tensor, found in poisoned.items():
        kind, message, _ = found["error"]
        assert (kind, tensor in message, found["invalid"]) == ("model", True, [])


def test_arithmetic_that_fails_on_good_weights(facts: Facts) -> None:
    """The first transcription is enough to discredit a row; the timed ones are left alone."""
    assert facts["nan"]["error"] is None
    assert facts["nan"]["invalid"][0] == checks.ARITHMETIC
    assert facts["nan"]["invalid"][1] != checks.ARITHMETIC
    assert facts["nan"]["watched"] == 0


def test_good_models_pass(facts: Facts) -> None:
    assert facts["noise"]["error"] is None
    assert checks.ARITHMETIC not in facts["noise"]["invalid"]
    assert len(facts["noise"]["invalid"]) == 2
    assert facts["noise"]["watched"] == 0


def test_few_of_many_are_named() -> None:
    with pytest.raises(BackendError) as caught:
        checks.blame(["a", "b", "c", "d"])
    assert caught.value.message == "its weights have NaN or infinite numbers (a, b and 2 more)"
