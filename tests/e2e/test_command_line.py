"""The whole program on the demo clip: the real libraries, through the real command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, command_line

from backends.embedded import layouts
from speedtest_tui import __version__
from speedtest_tui.core.audio.clip import Clip

WHISPERS = ("mlx-whisper", "whisper-mps", "transformers", "faster-whisper", "whisper-cpp")


@pytest.fixture(scope="session")
def document(demo_race: Done) -> dict[str, Any]:
    """What the demo race printed, which must be JSON and nothing else."""
    parsed: dict[str, Any] = json.loads(demo_race.stdout)
    return parsed


@pytest.fixture(scope="session")
def results(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {result["backend"]: result for result in document["results"]}


def test_exit_code_and_silence(demo_race: Done) -> None:
    """What cannot run here was not asked for by name, so nothing failed; nothing but JSON is printed."""
    assert demo_race.returncode == 0
    assert demo_race.stderr == ""


@pytest.mark.parametrize("backend", WHISPERS)
def test_whispers_hear_every_word(results: dict[str, Any], backend: str) -> None:
    result = results[backend]
    assert (result["status"], result["wer"], result["error"]) == ("ok", 0.0, None)
    assert len(result["runs_s"]) == 2
    assert result["first_s"] > 0
    assert result["ci95_s"][0] <= result["median_s"] <= result["ci95_s"][1]
    assert result["warnings"] == []
    model = result["model"]
    assert model["source"].startswith("nano/")
    assert model["revision"] == f"nano-{layouts.source_sha256(model['source'])[:12]}"
    assert model["cache"] == "embedded"
    assert Path(model["path"]).is_dir()


def test_whispers_say_the_same(results: dict[str, Any]) -> None:
    assert len({results[backend]["text"].lower().rstrip(".") for backend in WHISPERS}) == 1


def test_pocketsphinx_runs(results: dict[str, Any]) -> None:
    result = results["pocketsphinx"]
    assert (result["status"], result["model"]["source"]) == ("ok", "pocketsphinx/en-us")
    assert result["text"]


@pytest.mark.parametrize("name", ["parakeet", "canary"])
def test_nvidias_kinds_run_with_nano_models_of_their_own(results: dict[str, Any], name: str) -> None:
    result = results[f"{name}-mlx"]
    assert (result["status"], result["error"], result["warnings"]) == ("ok", None, [])
    assert result["wer"] <= 0.2
    assert len(result["runs_s"]) == 2
    model = result["model"]
    assert model["source"] == f"{name}-nano/mlx"
    assert model["revision"] == f"{name}-nano-{layouts.source_sha256(model['source'])[:12]}"
    assert model["cache"] == "embedded"
    assert Path(model["path"]).is_dir()


def test_all_built_in_backends_are_there(results: dict[str, Any]) -> None:
    assert set(results) == {*WHISPERS, "parakeet-mlx", "canary-mlx", "pocketsphinx"}


def test_the_document(document: dict[str, Any], demo: Clip) -> None:
    assert (document["schema"], document["state"]) == (2, "done")
    assert document["clip"]["sha256"] == demo.sha256()
    assert document["clip"]["reference"] == demo.reference
    assert document["host"]["cores"] >= 1
    assert document["plan"]["runs"] == 2
    ranked = [r for r in document["results"] if r["status"] == "ok"]
    assert len(ranked) == 8
    for r in ranked:  # ties share a rank, and the next rank is a place
        assert r["shared"] == (sum(other["rank"] == r["rank"] for other in ranked) > 1)
        assert r["rank"] == 1 + sum(other["rank"] < r["rank"] for other in ranked)
    assert document["verdict"]["fastest"] in [r["candidate"] for r in document["results"] if r["rank"] == 1]
    assert all(r["rtfx"] == pytest.approx(demo.seconds / r["median_s"]) for r in document["results"] if r["rank"])


def test_csv_and_markdown_beside_it(demo_race: Done, demo_home: Path) -> None:
    rows = list(csv.DictReader((demo_home / "result.csv").open(newline="", encoding="utf-8")))
    assert [int(row["rank"]) for row in rows] == sorted(int(row["rank"]) for row in rows)
    assert (demo_home / "result.md").read_text(encoding="utf-8").count("\n| ") >= 7


def test_the_session_was_kept(demo_race: Done, demo_home: Path, models_dir: Path, document: dict[str, Any]) -> None:
    def sessions(*arguments: str) -> Done:
        return command_line(demo_home, models_dir, demo_home / "data", "sessions", *arguments)

    (listed,) = json.loads(sessions("list", "--json").stdout)["sessions"]
    assert listed["verdict"] == document["verdict"]
    assert json.loads(sessions("show", "last", "--json").stdout) == document
    shown = sessions("show", listed["name"][:8])
    assert shown.returncode == 0
    for words in (*WHISPERS, "parakeet-mlx", "canary-mlx", document["verdict"]["sentence"][:40]):
        assert words in shown.stdout
    assert (Path(listed["path"]) / "clip.flac").is_file()


def test_no_models_outside_our_folders(demo_race: Done, demo_home: Path) -> None:
    """Neither a download nor a cache of a library's own has appeared in the home."""
    names = {path.name for path in demo_home.rglob("*") if path.suffix in (".safetensors", ".pt", ".npz")}
    assert names == set()
    assert not (demo_home / ".cache" / "whisper").exists()


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str) -> None:
    command = [str(Path(sys.executable).with_name("speedtest-tui")), option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"speedtest-tui {__version__}\n", "")


def test_a_race_of_candidates_that_are_named(command: Callable[..., Done]) -> None:
    names = ["canary-mlx:nano", "canary-mlx:nano?beam=2", "mlx-whisper:nobody/has-this"]
    words = [word for name in names for word in ("--model", name)]
    done = command("run", "--demo", "--runs", "2", "--no-save", "--json", "-", *words)
    found = json.loads(done.stdout)
    assert done.returncode == 1, "what was named and is missing counts"
    assert found["plan"]["candidates"] == [one["candidate"] for one in found["results"]] == names
    labels = ["canary-mlx nano", "canary-mlx nano beam=2", "mlx-whisper has-this"]
    assert [one["label"] for one in found["results"]] == labels
    assert [one["size"] for one in found["results"]] == ["nano", "nano", None]
    assert [one["status"] for one in found["results"]] == ["ok", "ok", "missing-model"]
    assert [one["options"].get("decoding") for one in found["results"][:2]] == ["greedy", "beam of 2"]
    assert all(one["model"]["family"] == "canary" and one["energy_j"] is None for one in found["results"][:2])
    assert set(found["verdict"]["recommended"]) <= set(names) and labels[0] in found["verdict"]["sentence"]
