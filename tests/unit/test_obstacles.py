"""Caches that cannot be looked into: a disk that is not there, a file in the way, no permission, an I/O error.

Each is one line with the folder's whole path, wherever it is asked about; never is a model "not downloaded" that may be
behind it, no step is planned for it, and everything else goes on.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from caches import COMMIT, SPEC, put, write
from racing import TESTS
from repairing import ENTRY

from backends.base import Advice, ModelSpec
from backends.catalogue import openai_checkpoint
from speedtest_tui.core.jobs.download import wanted
from speedtest_tui.core.models.inspect import Blocked, inspect_model, locate
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.models.wording import of_caches, of_report
from speedtest_tui.core.repair.plan import plan

WHISPER = openai_checkpoint("tiny")
MINE = ModelSpec("hub", "my/own", SPEC.files)
EMBEDDED = ModelSpec("embedded", "nano/mlx", SPEC.files)
SPECS = {"hf": SPEC, "whisper": WHISPER, "local": MINE}
HUB, LOCAL, PT = ".cache/huggingface/hub", "models", ".cache/whisper"
REPOSITORY = f"{HUB}/models--org--name"


@dataclass(frozen=True)
class Case:
    """What is in the way of the model of a cache; `named` is the path in the sentence where it is another."""

    cache: str
    path: str
    named: str = ""


FOLDERS = {
    "hub": Case("hf", HUB),
    "parent of the hub": Case("hf", ".cache/huggingface"),
    "whisper": Case("whisper", PT),
    "models": Case("local", LOCAL),
    "hub in models": Case("local", f"{LOCAL}/hub"),
    "repository": Case("hf", REPOSITORY),
    "blobs": Case("hf", f"{REPOSITORY}/blobs"),
    "snapshots": Case("hf", f"{REPOSITORY}/snapshots"),
}
LINKS = {
    **FOLDERS,
    "snapshot": Case("hf", f"{REPOSITORY}/snapshots/{COMMIT}"),
    "checkpoint": Case("whisper", f"{PT}/tiny.pt"),
}
FILES = {name: case for name, case in FOLDERS.items() if name not in ("blobs", "snapshots")}
CLOSED = {**FOLDERS, "snapshot": LINKS["snapshot"], "file": Case("hf", f"{REPOSITORY}/blobs/*")}


def fill(home: Path) -> None:
    put(home / HUB)
    write(home / PT / "tiny.pt", b"x")
    put(home / LOCAL / "hub", repository="my/own")


def surroundings(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "SPEEDTEST_MODELS_DIR": str(home / LOCAL),
        "SPEEDTEST_DATA_DIR": str(home / "data"),
    }


def told(cache: str) -> dict[str, list[str]]:
    """What is said of the model of a cache and of the caches by each command; and the states of the other models."""
    reports = {name: inspect_model(ENTRY, spec, ("tiny",)) for name, spec in SPECS.items()}
    rows = list(scan())
    found = plan(list(reports.values()), rows)
    located = locate(SPECS[cache])
    assert not isinstance(located, Advice) or isinstance(located, Blocked)
    others = [report for name, report in reports.items() if name != cache]
    return {
        "check": [str(problem.advice) for problem in of_report(reports[cache], named=True)],
        "caches": [str(problem.advice) for problem in of_caches(rows, use(rows), list(reports.values()))],
        "repair": list(dict.fromkeys(str(note.advice) for note in found.notes if note.cache == cache)),
        "steps": [f"{step.kind} {step.path}" for step in found.steps if step.cache == cache and not step.optional],
        "download": [one.reason for one in wanted([reports[cache]])],
        "run": [str(located)] if isinstance(located, Advice) else [],
        "others": [str(report.location is not None) for report in others if report.spec is not WHISPER],
    }


def check(case: Case, said: dict[str, list[str]], home: Path, sentence: str) -> None:
    path = str(home / (case.named or case.path)).rstrip("*")
    for where in ("check", "repair"):
        assert said[where], (where, said)
        assert all(path in line and sentence in line and ": " in line for line in said[where]), (where, said)
        assert not any("not downloaded" in line for line in said[where])
    # Without another wish a model goes to the HF cache, which can be used although the local one cannot.
    both = said["run"] if case.cache == "local" else said["run"] + said["download"]
    assert all(path in line and sentence in line for line in both), said
    assert len(said["check"]) == len(said["run"]) == len(said["download"]) == 1, said
    assert said["steps"] == []
    assert not any("not downloaded" in line or "`speedtest-tui" in line for line in said["caches"]), said
    assert said["others"] in (["True"], ["True", "True"]), said


def home_of(places: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = places / name
    fill(home)
    for variable, value in surroundings(home).items():
        monkeypatch.setenv(variable, value)
    return home


def away(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(f"/nowhere/disk/{path.name}")


@pytest.mark.parametrize("name", LINKS)
def test_a_disk_that_is_not_there(name: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(places, name, monkeypatch)
    away(home / LINKS[name].path)
    check(LINKS[name], told(LINKS[name].cache), home, "is a link to a disk that is not there (/nowhere/disk/")


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_way(name: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(places, name, monkeypatch)
    shutil.rmtree(home / FILES[name].path)
    (home / FILES[name].path).touch()
    check(FILES[name], told(FILES[name].cache), home, "is a file where a folder belongs")


@pytest.mark.parametrize("name", FILES)
def test_a_disk_that_fails(name: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(places, name, monkeypatch)
    failing = str(home / FOLDERS[name].path)

    def failing_under(real: Callable[..., object]) -> Callable[..., object]:
        def ask(path: object, *rest: object, **more: object) -> object:
            if not isinstance(path, int) and os.fspath(path).startswith(failing):  # type: ignore[arg-type]
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return real(path, *rest, **more)

        return ask

    for call in ("scandir", "stat", "lstat", "listdir", "open"):
        monkeypatch.setattr(os, call, failing_under(getattr(os, call)))
    said = told(FOLDERS[name].cache)
    monkeypatch.undo()
    check(FOLDERS[name], said, home, "cannot be read (Input/output error): check the disk")


CAPABILITIES = "-dac_override,-dac_read_search"
WITHOUT = ("setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES)


def test_what_may_not_be_read(places: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may read everything")
    command = [*(WITHOUT if os.geteuid() == 0 else ()), sys.executable, __file__, str(places)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "hub")))}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if child.stderr.startswith("setpriv"):
        pytest.skip("root that may not give up a capability")
    assert child.returncode == 0, child.stderr
    said = json.loads(child.stdout)
    for name, case in CLOSED.items():
        if name != "file":
            check(case, said[name], places / name, "cannot be read (Permission denied): make it readable: chmod u+rwX")
        else:
            assert all(
                "may not be read" in line and ": make it readable: chmod u+r" in line for line in said[name]["repair"]
            )
            assert said[name]["steps"] == [] and len(said[name]["repair"]) == 2


def test_the_built_in_model_names_the_folder(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(places, "models", monkeypatch)
    away(home / LOCAL)
    report = inspect_model(ENTRY, EMBEDDED, ("nano",))
    (problem,) = of_report(report, named=True)
    assert problem.counts and "is a link to a disk that is not there" in problem.advice.what
    assert report.location is None


if __name__ == "__main__":
    answers = {}
    for called, one in CLOSED.items():
        base = Path(sys.argv[1]) / called
        fill(base)
        os.environ.update(surroundings(base))
        closed = list(base.glob(one.path))
        for found in closed:
            found.chmod(0)
        answers[called] = told(one.cache)
        for found in closed:
            found.chmod(0o755)
    print(json.dumps(answers))
