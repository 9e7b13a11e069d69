"""`record` and `devices` as they are typed; only sounddevice in their processes is a stand-in (tests/sound)."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from racing import TESTS, eventually, python_path

from speedtest_tui.core.audio import recording

PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def folder(places: Path, mark: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", python_path(TESTS / "sound"))
    monkeypatch.chdir(places)
    return places


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that a test starts; ended with it, whatever happens."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "speedtest_tui", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE_S
    )


def spooled(seconds: float) -> bool:
    """Whether a recording of the stand-in (48 kHz, 2 channels) has grown so long."""
    folder = Path(os.environ["SPEEDTEST_DATA_DIR"]) / "recordings"
    return any(path.stat().st_size >= seconds * 48_000 * 8 for path in folder.glob("*.f32"))


@pytest.mark.parametrize(("name", "form"), [("a.wav", "WAV"), ("b.FLAC", "FLAC")])
def test_so_many_seconds(folder: Path, name: str, form: str) -> None:
    done = run("record", name, "--seconds", "0.7", "--device", "micro")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.7 s from 'Toy microphone'" in done.stdout
    information = soundfile.info(folder / name)
    assert (information.format, information.samplerate, information.channels) == (form, 16_000, 1)
    assert information.frames == round(0.7 * 16_000)
    assert list((folder / "data" / "recordings").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x.mp3",), "neither .wav nor .flac"),
        (("there.wav",), "already exists: choose another name, or use --force"),
        (("nowhere/x.wav",), "folder does not exist"),
        (("x.wav", "--seconds", "0"), "above 0"),
        (("x.wav", "--seconds", "nan"), "above 0"),
        (("x.wav", "--silence-stop", "-1"), "above 0"),
        (("x.wav", "--device", "nobody"), "no microphone is called 'nobody': choose from: 1 Toy microphone"),
        (("x.wav", "--recover"), "there is no unsaved recording"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "there.wav").write_text("mine")
    done = run("record", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "x.wav").exists()
    assert (folder / "there.wav").read_text() == "mine"


def test_force(folder: Path) -> None:
    (folder / "there.wav").write_text("mine")
    assert run("record", "there.wav", "--seconds", "0.3", "--force").returncode == 0
    assert soundfile.info(folder / "there.wav").duration == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("script", "words"),
    [("unplug:0.5", "broke off: the device was unplugged"), ("zeros", "exact zeros"), ("crash:0.5", "ended while")],
)
def test_what_came_is_written_and_the_failure_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", script)
    done = run("record", "x.wav", "--seconds", "0.9")
    assert done.returncode == 1
    assert words in done.stderr
    assert soundfile.info(folder / "x.wav").duration >= 0.3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_signals_keep_it(
    folder: Path, started: list[subprocess.Popen[bytes]], number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(command("record", "x.wav"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.append(process)
    assert eventually(lambda: spooled(0.5), PATIENCE_S)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (code, b"")
    assert soundfile.info(folder / "x.wav").duration >= 0.5


def test_ctrl_c_before_a_sound(
    folder: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", "silent")
    process = subprocess.Popen(command("record", "x.wav"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.append(process)
    assert eventually(lambda: spooled(0.0), PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert b"nothing was recorded" in errors
    assert not (folder / "x.wav").exists()


def test_enter_stops_it_on_a_terminal(folder: Path, started: list[subprocess.Popen[bytes]]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command("record", "x.wav"), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    started.append(process)
    os.close(theirs)
    assert eventually(lambda: spooled(0.8), PATIENCE_S)
    os.write(ours, b"\n")
    out, _ = process.communicate(timeout=PATIENCE_S)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert process.returncode == 0
    assert b"Toy microphone" in out
    assert b"Enter or Ctrl-C stops" in shown
    assert b"REC" in shown
    assert b"ALSA" not in shown


def test_a_killed_recording_is_offered_and_recovered(folder: Path, started: list[subprocess.Popen[bytes]]) -> None:
    process = subprocess.Popen(command("record", "x.wav"))
    started.append(process)
    assert eventually(lambda: spooled(0.6), PATIENCE_S)
    process.kill()
    process.wait()
    assert eventually(recording.leftovers, PATIENCE_S)
    done = run("record", "y.wav", "--seconds", "0.3")
    assert done.returncode == 0
    assert "record OUT.wav --recover" in done.stderr
    recovered = run("record", "z.wav", "--recover")
    assert recovered.returncode == 0
    assert "program was ended" in recovered.stderr
    assert soundfile.info(folder / "z.wav").duration >= 0.6
    assert recording.leftovers() == ()


def test_devices() -> None:
    assert "Toy microphone" in run("devices").stdout
    document = json.loads(run("devices", "--json").stdout)
    assert document["schema"] == 1
    assert document["devices"] == [
        {
            "name": "Toy microphone",
            "channels": 2,
            "rate": 48_000.0,
            "host_api": "Toy audio",
            "is_default": True,
            "index": 1,
        }
    ]
