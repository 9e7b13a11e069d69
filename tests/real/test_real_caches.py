"""The caches' own view of real files: whole, of the published content, and damaged where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done

Program = Callable[..., Done]

ON_THE_HUB = {"base": "mlx-whisper,transformers", "tiny.en": "whisper-mps"}
"""What is in the caches, by size."""


def test_real_files_are_whole_and_of_the_published_content(program: Program) -> None:
    done = program("check-models", "--size", "base", "--backends", ON_THE_HUB["base"], "--checksum", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert all(model["usable"] for model in found["models"]), found


def test_the_container_made_here_is_not_the_published_one(program: Program, real: Path) -> None:
    """OpenAI's numbers in another zip: right as a path, and said to be damaged as a name of the catalogue."""
    done = program("check-models", "--size", "base", "--backends", "whisper-mps", "--checksum")
    assert done.returncode == 1
    assert "base.pt does not match its checksum" in done.stdout


@pytest.mark.parametrize("backend", ON_THE_HUB["base"].split(","))
def test_verify_loads_it(program: Program, backend: str) -> None:
    done = program("check-models", "--size", "base", "--backends", backend, "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
