"""A backend from somebody else's package, really installed, takes part like the built-in ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from racing import TESTS, python_path

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy distribution, built and installed by pip without a network."""
    pytest.importorskip("hatchling")
    import shutil

    # A copy: builds leave files beside the source.
    source = shutil.copytree(TESTS / "data" / "toy_backend", tmp_path_factory.mktemp("source") / "toy")
    target = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_it_races_against_a_built_in_one(command: Command, installed: Path) -> None:
    arguments = ("run", "--demo", "--backends", "echo,pocketsphinx", "--runs", "2", "--json", "-")
    done = command(*arguments, PYTHONPATH=python_path(installed))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    echo, built_in = document["results"]
    assert (echo["backend"], echo["status"], built_in["status"]) == ("echo", "ok", "ok")
    assert echo["text"] == f"{document['clip']['seconds']:.2f} seconds"
    assert document["verdict"]["fastest"].startswith("echo:")


def test_it_may_know_sizes_of_its_own(command: Command, installed: Path) -> None:
    arguments = ("run", "--demo", "--backends", "echo", "--size", "huge", "--runs", "1", "--json", "-")
    done = command(*arguments, PYTHONPATH=python_path(installed))
    assert json.loads(done.stdout)["results"][0]["status"] == "ok"


def test_doctor_names_its_package(command: Command, installed: Path) -> None:
    backends = json.loads(command("doctor", "--json", PYTHONPATH=python_path(installed)).stdout)["backends"]
    (echo,) = [backend for backend in backends if backend["name"] == "echo"]
    assert (echo["provider"], echo["version"], echo["ok"]) == ("echo-backend", "1.2.3", True)


def test_without_it_the_name_is_unknown(command: Command) -> None:
    assert command("run", "--demo", "--backends", "echo").returncode == 2
