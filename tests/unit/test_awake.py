"""The machine is kept awake exactly while something runs, with a program of the test's own in place of caffeinate."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest
from racing import TESTS, eventually, python_path

from speedtest_tui.core.audio.recorder import Recorder
from speedtest_tui.core.process import background as module
from speedtest_tui.core.process.background import Background, awake


@pytest.fixture
def caffeinate(tmp_path: Path) -> Path:
    """Writes down its arguments and its number, then waits to be ended."""
    program = tmp_path / "caffeinate"
    program.write_text(
        f'#!/bin/sh\necho "$$ $*" >{tmp_path}/new && mv {tmp_path}/new {tmp_path}/said\nexec sleep 600\n'
    )
    program.chmod(0o755)
    return program


def said(program: Path) -> list[str]:
    """What it wrote: its number, then its arguments."""
    words = eventually(lambda: (program.parent / "said").exists() and (program.parent / "said").read_text().split(), 10)
    assert words
    return list(words)


def test_while_it_lasts(caffeinate: Path) -> None:
    with awake(str(caffeinate)):
        number, *arguments = said(caffeinate)
        assert psutil.pid_exists(int(number))
    assert arguments == ["-i", "-w", str(os.getpid())]
    assert not psutil.pid_exists(int(number))


def test_it_ends_where_the_work_fails(caffeinate: Path) -> None:
    with pytest.raises(RuntimeError, match="broke"), awake(str(caffeinate)):
        number = said(caffeinate)[0]
        raise RuntimeError("broke")
    assert not psutil.pid_exists(int(number))


@pytest.mark.parametrize("program", ["", "/nowhere/caffeinate", "/dev/null"])
def test_without_such_a_program_the_work_is_done_all_the_same(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", "")
    done = False
    with awake(program):
        done = True
    assert done


def test_races_and_jobs_are_work(caffeinate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", str(caffeinate))
    running, stop = threading.Event(), threading.Event()

    class Work(Background):
        def work(self) -> None:
            running.set()
            stop.wait(30)

    work = Work("work")
    work.start()
    assert running.wait(10)
    number = int(said(caffeinate)[0])
    assert psutil.pid_exists(number)
    stop.set()
    work.join(10)
    assert not psutil.pid_exists(number)


def test_recording_is_work_and_listening_is_not(
    caffeinate: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRAM", str(caffeinate))
    monkeypatch.setenv("PYTHONPATH", python_path(TESTS / "sound"))
    recorder = Recorder()
    try:
        recorder.arm()
        assert eventually(lambda: recorder.state.phase == "armed", 30)
        assert not (caffeinate.parent / "said").exists()
        recorder.start()
        number = int(said(caffeinate)[0])
        assert eventually(lambda: recorder.state.seconds > 0.2, 30)
        assert psutil.pid_exists(number)
        recorder.stop()
        assert eventually(lambda: not psutil.pid_exists(number), 10)
    finally:
        recorder.close()
