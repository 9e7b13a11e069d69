"""The conversion as a process: an empty folder is filled, a cancelled or killed one leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from checkpoints import checkpoint, pack
from racing import survivors

from speedtest_tui.core import disk
from speedtest_tui.core.convert import convert as parent
from speedtest_tui.core.convert.convert import ConversionCancelledError, Progress, convert
from speedtest_tui.core.errors import UserError

pytest.importorskip("torch")
pytest.importorskip("mlx.core")

PATIENCE_S = 60.0


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something becomes true before the patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def children(module: str = parent.CHILD_MODULE) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if module in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_an_empty_folder_is_filled_and_stages_come_in_order(tmp_path: Path) -> None:
    (target := tmp_path / "out").mkdir()
    seen: list[Progress] = []
    done = convert(checkpoint("ctc"), target, "float16", on_progress=seen.append)
    assert done.folder == target
    order = list(dict.fromkeys(progress.stage for progress in seen))
    assert order == list(parent.STAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stage", ["starting", "converting", "proving"])
def test_cancelling_leaves_nothing(tmp_path: Path, stage: str) -> None:
    cancelled = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.stage == stage:
            cancelled.set()

    with pytest.raises(ConversionCancelledError):
        convert(checkpoint("ctc"), tmp_path / "out", on_progress=watch, cancelled=cancelled)
    assert list(tmp_path.iterdir()) == []
    assert eventually(lambda: not children())


def test_a_child_that_is_killed_is_one_line(tmp_path: Path) -> None:
    def kill(progress: Progress) -> None:
        if progress.stage == "proving":
            for process in children():
                process.kill()

    with pytest.raises(UserError, match=r"ended early: was killed \(SIGKILL\)"):
        convert(checkpoint("ctc"), tmp_path / "out", on_progress=kill)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom speedtest_tui.core.convert.convert import convert\n"
        "convert(Path(sys.argv[1]), Path(sys.argv[2]), on_progress=lambda p: print(p.stage, flush=True))"
    )
    target = tmp_path / "out"
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(checkpoint("ctc")), str(target)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout
    for line in program.stdout:
        if line.startswith("converting"):
            break
    assert len(list(tmp_path.glob(".out.*.partial"))) == 1
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    program.stdout.close()
    assert eventually(lambda: list(tmp_path.iterdir()) == [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals, mark: str) -> None:
    command = [sys.executable, "-m", "speedtest_tui", "convert", str(checkpoint("ctc")), str(tmp_path / "out")]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert eventually(lambda: any(tmp_path.glob(".out.*.partial/*")))
    program.send_signal(number)
    out, errors = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, out, errors) == (130, b"", b"speedtest-tui: cancelled\n")
    assert list(tmp_path.iterdir()) == []
    assert survivors(mark) == []


def test_what_a_power_cut_left_is_swept_away_but_not_what_is_in_work(tmp_path: Path) -> None:
    dead, other = (tmp_path / name for name in (".out.abcdefgh.partial", ".other.abcdefgh.partial"))
    with disk.new_folder(tmp_path / "out") as alive:
        for folder in (dead, alive, other):
            folder.mkdir(exist_ok=True)
            (folder / "model.safetensors").write_bytes(b"half")
            os.utime(folder, (0, 0))
        convert(checkpoint("ctc"), tmp_path / "out")
        assert alive.exists() and not dead.exists()
        shutil.rmtree(tmp_path / "out")
    assert other.exists()


def test_a_folder_that_comes_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def interfere(progress: Progress) -> None:
        if progress.stage == "saving":
            target.mkdir()
            (target / "theirs").write_text("theirs")

    with pytest.raises(UserError, match="choose another folder"):
        convert(checkpoint("ctc"), target, on_progress=interfere)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]


def test_damage_is_one_line_of_the_child_too(tmp_path: Path) -> None:
    source = pack(tmp_path / "model.nemo", {"./nothing": b""})
    with pytest.raises(UserError, match=r"holds no model_config\.yaml"):
        convert(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [source]
