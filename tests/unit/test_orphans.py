"""Nothing is left running, however the program ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from racing import TESTS, entry, eventually, marked, plan, python_path, run, survivors
from toys import hanging, well

from speedtest_tui.core.process.launch import launch
from speedtest_tui.core.process.lines import encode
from speedtest_tui.core.race.events import CHILD, Assignment, Transcribe

SOON_S = 2.0
"""How long after the end of its parent a child may still be seen."""


@pytest.fixture(params=["this system", "darwin"])
def registered(request: Any, toys: Path, places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hanging toys, as an installed distribution would register them. Returns the toys' journal."""
    information = places / "site" / "hanging_toys-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging-toys\nVersion: 1.0\n")
    classes = (well.Well, hanging.HangsInLoad, hanging.HoldsTheLockInRun, hanging.HangsInRun)
    classes += (hanging.HangsWithAGrandchild, hanging.IgnoresSigterm)
    classes += (hanging.HangsWithDaemons, hanging.HoldsTheLockWithDaemons)
    lines = [f"{toy.name} = {toy.reference}" for toy in map(entry, classes)]
    (information / "entry_points.txt").write_text("\n".join(["[speedtest_tui.backends]", *lines]))
    simulation = (TESTS / "systems/darwin",) if request.param == "darwin" else ()
    monkeypatch.setenv("PYTHONPATH", python_path(*simulation, TESTS, places / "site"))
    return toys


@pytest.fixture
def program(registered: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that a test starts; ended with it, whatever happens."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(program: list[subprocess.Popen[bytes]], journal: Path, *backends: type) -> subprocess.Popen[bytes]:
    """Start a race on the command line and wait until one of its toys hangs."""
    names = ",".join(toy.__name__ for toy in backends)
    command = [sys.executable, "-m", "speedtest_tui", "run", "--demo", "--backends", names]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    program.append(process)

    def hangs() -> bool:
        return process.poll() is not None or (journal.exists() and "hangs" in journal.read_text())

    assert eventually(hangs, 30)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize(
    "toy",
    [
        hanging.HangsInLoad,
        hanging.IgnoresSigterm,
        hanging.HoldsTheLockInRun,
        hanging.HangsWithAGrandchild,
        hanging.HangsWithDaemons,
        hanging.HoldsTheLockWithDaemons,
    ],
)
def test_parent_killed(program: list[subprocess.Popen[bytes]], registered: Path, mark: str, toy: type) -> None:
    process = start(program, registered, well.Well, toy)
    assert len(marked(mark, [process.pid])) >= 2
    process.kill()
    process.wait()
    assert eventually(lambda: not marked(mark) and not daemons(registered), SOON_S), marked(mark)


def daemons(journal: Path) -> list[int]:
    """Those of the processes that a toy has started in sessions of their own which live."""
    lines = [line.split() for line in journal.read_text().splitlines() if "daemons" in line]
    alive = []
    for number in map(int, (word for line in lines for word in line[2:])):
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                alive.append(number)
    return alive


@pytest.mark.parametrize(
    ("toy", "status"),
    [
        (hanging.LeavesDaemons, "ok"),
        (hanging.HangsWithDaemons, "timeout"),
        (hanging.HoldsTheLockWithDaemons, "timeout"),
        (hanging.CrashesWithADaemon, "failed"),
    ],
)
def test_nothing_of_a_backend_outlives_it_whatever_its_session(toys: Path, toy: type, status: str) -> None:
    bystander = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    raced = run(plan(toy, runs=1, stall_s=1.0 if status == "timeout" else 30.0))
    assert raced.rows[0].status == status, raced.rows[0].error
    assert "daemons" in toys.read_text()
    assert eventually(lambda: not daemons(toys), SOON_S)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_parent_asked_to_end(
    program: list[subprocess.Popen[bytes]], registered: Path, places: Path, mark: str, number: signal.Signals
) -> None:
    process = start(program, registered, well.Well, hanging.HangsInRun)
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors.decode()
    assert b"Traceback" not in errors
    assert survivors(mark) == []
    (session,) = (places / "data" / "sessions").iterdir()
    document = json.loads((session / "session.json").read_text())
    assert document["state"] == "cancelled"
    assert [result["status"] for result in document["results"]] == ["cancelled", "cancelled"]
    # HangsInRun had one good run before, and what was measured is kept and shown.
    assert len(document["results"][1]["runs_s"]) == 1
    assert b"cancelled" in out


@pytest.mark.parametrize("toy", [hanging.HangsInLoad, hanging.HangsWithAGrandchild])
def test_a_child_ends_when_its_stdin_does(toys: Path, mark: str, toy: type, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(bytes(64_000))
    with (tmp_path / "clip").open("rb") as clip:
        child = launch(CHILD, pass_fds=(clip.fileno(),))
        assert child.stdin
        assert child.stdout
        reference = entry(toy).reference
        spec = {"kind": "bundled", "source": "toy", "files": []}
        work = Assignment(reference, spec, {"path": None}, {}, {"language": None}, clip.fileno())
        os.write(child.stdin.fileno(), encode(work))
        if toy is hanging.HangsWithAGrandchild:
            os.write(child.stdin.fileno(), encode(Transcribe("warm-up", 0)))
        assert eventually(toys.exists, 30)
        child.stdin.close()
        assert child.wait(SOON_S) != 0
        child.stdout.close()
        assert child.stderr
        child.stderr.close()
    assert eventually(lambda: not marked(mark), SOON_S)
