"""A microphone for real: PulseAudio's null sink, a speech file played into it, PortAudio reading its monitor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Done, command_line
from racing import eventually
from sound_server import NoSoundServer, SoundServer, sound_server

from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import demo_clip, load_clip
from speedtest_tui.core.audio.level import measure
from speedtest_tui.core.audio.player import Player, PlayerState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PulseAudio stands in for a sound card on Linux only")

PATIENCE_S = 60.0
RATE = 44_100
"""What ALSA's plugin for PulseAudio says that it runs at."""

TAIL_S = 0.7
"""Recorded on after the speech has been played, for what is still on its way."""


@pytest.fixture(scope="session")
def server() -> Iterator[SoundServer]:
    try:
        with sound_server() as server:
            yield server
    except NoSoundServer as error:
        # Continuous integration installs all of it: there a missing part is a fault.
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled clip as a file that paplay reads."""
    import soundfile

    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, demo_clip().samples, 16_000)
    return path


class Desk:
    """A home of one test's own, with the server's microphone on the desk."""

    def __init__(self, folder: Path, models: Path, server: SoundServer) -> None:
        self.folder, self.models, self.server = folder, models, server
        (folder / "home").mkdir()

    def run(self, *arguments: str) -> Done:
        home, data = self.folder / "home", self.folder / "data"
        return command_line(home, self.models, data, *arguments, **self.server.environment)

    def record(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `record` and wait for the first frames."""
        environment = {"HOME": str(self.folder / "home"), "SPEEDTEST_DATA_DIR": str(self.folder / "data")}
        process = subprocess.Popen(
            [sys.executable, "-m", "speedtest_tui", "record", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment, **self.server.environment},
            cwd=self.folder,
        )
        assert eventually(lambda: process.poll() is not None or self.spooled() > 0, PATIENCE_S)
        assert process.poll() is None, process.communicate()
        return process

    def spooled(self) -> float:
        """Seconds on disk."""
        sizes = [path.stat().st_size for path in (self.folder / "data" / "recordings").glob("*.f32")]
        return sum(sizes) / (RATE * 2 * 4)


@pytest.fixture
def desk(tmp_path: Path, models_dir: Path, server: SoundServer) -> Desk:
    return Desk(tmp_path, models_dir, server)


def test_devices_lists_it(desk: Desk) -> None:
    done = desk.run("devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (device,) = json.loads(done.stdout)["devices"]
    assert (device["name"], device["host_api"], device["is_default"]) == ("default", "ALSA", True)
    assert device["rate"] == RATE


def test_speech_is_recorded_and_understood(desk: Desk, speech: Path, demo: Clip) -> None:
    """Stopped by Ctrl-C, as a person would; the words in the file are those that were played."""
    recording = desk.record("spoken.wav")
    desk.server.play(speech)
    played = desk.spooled()
    assert eventually(lambda: desk.spooled() > played + TAIL_S, PATIENCE_S)
    recording.send_signal(signal.SIGINT)
    out, errors = recording.communicate(timeout=PATIENCE_S)
    assert recording.returncode == 0, errors
    # The room is empty around the clip, and digitally so: nothing else may be wrong with it.
    assert all(b"exact zeros" in line for line in errors.splitlines()), errors
    assert b"spoken.wav" in out
    clip = load_clip(desk.folder / "spoken.wav")
    assert clip.seconds > demo.seconds
    assert not any("clipped" in warning for warning in clip.warnings)
    assert demo.reference
    arguments = ("--backends", "mlx-whisper", "--runs", "1", "--no-save", "--reference", demo.reference, "--json", "-")
    done = desk.run("run", str(desk.folder / "spoken.wav"), *arguments)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["wer"] <= 0.2, result["text"]


def test_so_many_seconds_are_exactly_so_many_frames(desk: Desk) -> None:
    recording = desk.record("timed.flac", "--seconds", "1.5")
    _, errors = recording.communicate(timeout=PATIENCE_S)
    # Nobody spoke, and the null sink's silence is digital: said, and told by the exit code.
    assert recording.returncode == 1
    assert b"exact zeros" in errors
    assert b"missing" not in errors
    assert len(load_clip(desk.folder / "timed.flac").samples) == 24_000


def test_silence_after_the_speech_stops_it(desk: Desk, speech: Path, demo: Clip) -> None:
    recording = desk.record("said.wav", "--silence-stop", "1.5")
    desk.server.play(speech)
    recording.communicate(timeout=PATIENCE_S)
    assert recording.returncode == 0
    assert demo.seconds < load_clip(desk.folder / "said.wav").seconds < 60


def test_a_server_that_goes_away_is_a_microphone_unplugged(desk: Desk, tmp_path: Path) -> None:
    with sound_server() as server:
        desk.server = server
        recording = desk.record("cut.wav")
        assert eventually(lambda: desk.spooled() > 1.0, PATIENCE_S)
    _, errors = recording.communicate(timeout=PATIENCE_S)
    assert recording.returncode == 1
    assert b"the recording broke off" in errors
    assert load_clip(desk.folder / "cut.wav").seconds >= 1.0


def test_what_is_played_is_heard(desk: Desk, demo: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desk.server.environment.items():
        monkeypatch.setenv(name, value)
    recording = desk.record("played.wav")
    player = Player(demo)
    player.play()
    assert player.wait(PATIENCE_S)
    assert player.state == PlayerState("finished", demo.seconds, demo.seconds, "default")
    played = desk.spooled()
    assert eventually(lambda: desk.spooled() > played + TAIL_S, PATIENCE_S)
    recording.send_signal(signal.SIGINT)
    recording.communicate(timeout=PATIENCE_S)
    heard, spoken = measure(load_clip(desk.folder / "played.wav").samples), measure(demo.samples)
    assert heard.active_db == pytest.approx(spoken.active_db, abs=1.5)
