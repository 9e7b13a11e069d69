"""A model's folder as --size: every command and the dashboard take the same names for it, and refuse the same."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speedtest_tui.cli.dashboard import request
from speedtest_tui.cli.main import build_parser
from speedtest_tui.core.errors import UserError

Command = Callable[..., Any]
COMMANDS = (("check-models",), ("download",), ("repair",), ("run", "--demo", "--runs", "1", "--no-save"))


@pytest.fixture
def home(command: Command, tmp_path: Path, unpacked: Callable[[str], Path]) -> Path:
    """The folder in which commands run, with a real Parakeet for MLX in `par`."""
    shutil.copytree(unpacked("parakeet-nano/mlx"), tmp_path / "home" / "par")
    return tmp_path / "home"


@pytest.fixture
def converted(home: Path, models_dir: Path) -> str:
    """The same as a model that this program converted; the name of its folder."""
    folder = models_dir / "converted" / "mine"
    shutil.copytree(home / "par", folder, dirs_exist_ok=True)
    return folder.name


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_every_command_takes_it(command: Command, home: Path, arguments: tuple[str, ...]) -> None:
    done = command(*arguments, "--size", "./par", "--json", *(("-",) if arguments[0] == "run" else ()))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    sources = {
        "check-models": lambda: [(one["backend"], one["source"], one["usable"]) for one in document["models"]],
        "download": lambda: [(one["backends"], one["source"], one["ok"]) for one in document["skipped"]],
        "repair": lambda: document["plan"] + document["notes"],
        "run": lambda: [(one["backend"], one["model"]["source"], one["status"]) for one in document["results"]],
    }
    path = str(home / "par")
    assert (
        sources[arguments[0]]()
        == {
            "check-models": [("parakeet-mlx", path, True)],
            "download": [(["parakeet-mlx"], path, True)],
            "repair": [],
            "run": [("parakeet-mlx", path, "ok")],
        }[arguments[0]]
    )


@pytest.mark.usefixtures("converted")
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("./nothing", "./nothing does not exist: name a model's folder"),
        ("par/config.json", "no backend can read par/config.json (a .json file): name the folder"),
        ("../home", "no backend can read ../home (it has no config.json): name the folder"),
        (
            "./other",
            "no backend can read ./other (a model of another kind): name the folder or repository of another one",
        ),
        ("converted/nothing", "no converted model is called 'converted/nothing'"),
    ],
)
def test_every_command_refuses_what_is_none(
    command: Command, home: Path, arguments: tuple[str, ...], size: str, said: str
) -> None:
    (home / "other").mkdir()
    (home / "other" / "config.json").write_text('{"model_type": "gpt"}')
    done = command(*arguments, "--size", size)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_all_spellings_mean_one_folder(command: Command, home: Path, converted: str) -> None:
    def meant(size: str) -> list[str]:
        models = json.loads(command("check-models", "--size", size, "--json").stdout)["models"]
        return [size for model in models for size in model["sizes"]]

    for size in ("./par", "par", "par/", "./par/", "../home/par", str(home / "par"), "~/par"):
        assert meant(size) == [str(home / "par")]
    for size in (f"converted/{converted}", converted):
        assert meant(size) == [f"converted/{converted}"]


def test_one_that_is_damaged_is_the_same_to_all(command: Command, home: Path) -> None:
    weights = home / "par" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    for arguments in COMMANDS:
        done = command(*arguments, "--size", "par")
        assert done.returncode == (0 if arguments == ("repair",) else 1), done
        assert "model.safetensors is cut short" in " ".join((done.stdout + done.stderr).split()), arguments


def dashboard(*arguments: str) -> Any:
    options: argparse.Namespace = build_parser().parse_args([*arguments])
    return request(options)


def test_the_dashboard_takes_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(home))
    plan = dashboard("--size", "./par", "--option", "parakeet-mlx.beam=3").plan
    assert plan.size == str(home / "par")
    assert [(one.backend, one.options) for one in plan.candidates] == [("parakeet-mlx", (("beam", "3"),))]
    with pytest.raises(UserError, match=r"\./nothing does not exist"):
        dashboard("--size", "./nothing")
