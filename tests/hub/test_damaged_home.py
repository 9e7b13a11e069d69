"""The whole story through the command line: a damaged home is checked, repaired, verified, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, command_line
from damaged_home import Home, build
from repos import Kit
from server import HubServer


class Story:
    """The home after each command, in the order in which a person would type them."""

    def __init__(self, home: Home, hub: HubServer) -> None:
        self.home = home
        self._environment = home.environment(hub)
        self.before = self.run("check-models", "--all", "--checksum", "--json")
        self.plan = self.run("repair", "--all", "--json")
        self.applied = self.run("repair", "--all", "--apply", "--json")
        self.second_plan = self.run("repair", "--all", "--json")
        self.after = self.run("check-models", "--all", "--checksum", "--json")

    def run(self, *arguments: str) -> Done:
        environment = dict(self._environment)
        folder = Path(environment.pop("HOME"))
        models, data = (Path(environment.pop(name)) for name in ("SPEEDTEST_MODELS_DIR", "SPEEDTEST_DATA_DIR"))
        done = command_line(folder, models, data, *arguments, **environment)
        assert "Traceback" not in done.stderr
        return done


def models(done: Done) -> dict[tuple[str, str], dict[str, Any]]:
    """The models of `check-models --json` by backend and size."""
    document = json.loads(done.stdout)
    return {(model["backend"], size): model for model in document["models"] for size in model["sizes"]}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, kit: Kit) -> Iterator[Story]:
    """Told once for all tests of this module."""
    with HubServer() as hub:
        home = build(tmp_path_factory.mktemp("home"), hub, kit)
        yield Story(home, hub)


@pytest.mark.timeout(600)
def test_every_fault_is_named(story: Story) -> None:
    assert story.before.returncode == 1
    found = models(story.before)
    for damaged in story.home.damaged:
        model = found[damaged.backend, damaged.size]
        assert model["caches"][damaged.cache]["state"] == damaged.state, damaged
        assert model["problems"], damaged


def test_only_a_hash_tells_of_a_flipped_byte(story: Story) -> None:
    state = models(story.before)["mlx-whisper", "tiny"]["caches"]["hf"]
    assert state["state"] == "damaged" and "checksum" in state["detail"]


def test_faults_outside_the_catalogue_are_named(story: Story) -> None:
    said = " ".join(json.dumps(problem) for problem in json.loads(story.before.stdout)["problems"])
    assert "notes.txt" in said


def test_the_plan_says_what_it_costs(story: Story) -> None:
    document = json.loads(story.plan.stdout)
    plan = document["plan"]
    assert (story.plan.returncode, document["applied"]) == (1, None)
    assert {step["kind"] for step in plan} == {"relink", "adopt", "write-ref", "resume", "download"}
    assert sum(step["download_bytes"] or 0 for step in plan) > 50_000_000


def test_everything_that_can_be_repaired_is_complete_afterwards(story: Story) -> None:
    assert story.applied.returncode == 0, story.applied.stderr
    applied = json.loads(story.applied.stdout)["applied"]
    assert [(step["what"], step["message"]) for step in applied["steps"] if step["state"] != "done"] == []
    assert {model["state"] for model in applied["models"]} == {"complete"}
    assert len(applied["models"]) >= len(story.home.damaged)
    found = models(story.after)
    for damaged in story.home.damaged:
        assert found[damaged.backend, damaged.size]["caches"][damaged.cache]["state"] == "complete", damaged
    assert found["mlx-whisper", "tiny"]["caches"]["hf"]["state"] == "complete"


def test_a_second_plan_is_empty(story: Story) -> None:
    assert story.second_plan.returncode == 0
    assert json.loads(story.second_plan.stdout)["plan"] == []


def test_nothing_is_lost(story: Story) -> None:
    kept = {path.read_bytes() for path in (story.home.folder / "data" / "trash").rglob("*") if path.is_file()}
    for payload in story.home.payloads:
        assert payload in kept
    assert (story.home.hf / "notes.txt").exists() and (story.home.whisper / "notes.txt").exists()
    assert (story.home.folder / "outside").read_bytes() == b"nobody's business"


def test_what_was_repaired_loads(story: Story) -> None:
    for backend, size in (("mlx-whisper", "small"), ("parakeet-mlx", "tiny"), ("transformers", "tiny")):
        done = story.run("check-models", "--size", size, "--backends", backend, "--verify", "--json")
        assert done.returncode == 0, done.stdout
        assert models(done)[backend, size]["verified"]["outcome"] == "ok"


def test_undo_brings_the_damage_back(story: Story) -> None:
    """The last test: it changes the home."""
    assert story.run("repair", "--undo").returncode == 0
    found = models(story.run("check-models", "--all", "--json"))
    for backend, size, cache in (("mlx-whisper", "small", "hf"), ("transformers", "small", "hf")):
        assert found[backend, size]["caches"][cache]["state"] == "damaged"
