"""The recorder with its real child process; only sounddevice inside it is a stand-in (tests/sound)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from racing import TESTS, eventually, marked, python_path, survivors

from speedtest_tui.core.audio import recording
from speedtest_tui.core.audio.devices import InputDevice, choose_device, scan_devices
from speedtest_tui.core.audio.player import Player, PlayerState
from speedtest_tui.core.audio.recorder import TRACE_POINTS, Recorder, RecorderState
from speedtest_tui.core.audio.take import PREROLL_S
from speedtest_tui.core.errors import UserError

PATIENCE_S = 30.0
SOON_S = 2.0


@pytest.fixture(autouse=True)
def sound(places: Path, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in in every child, and a home of this test's own."""
    monkeypatch.setenv("PYTHONPATH", python_path(TESTS / "sound"))


@pytest.fixture
def states() -> list[RecorderState]:
    return []


@pytest.fixture
def recorder(states: list[RecorderState], sound: None) -> Iterator[Recorder]:
    recorder = Recorder(states.append)
    yield recorder
    recorder.close()


def reached(recorder: Recorder, phase: str, seconds: float = 0.0) -> bool:
    """Wait until the recorder is in a phase, with so much recorded."""
    there = lambda: recorder.state.phase == phase and recorder.state.seconds >= seconds  # noqa: E731
    return bool(eventually(there, PATIENCE_S))


def test_arm_start_stop(recorder: Recorder, states: list[RecorderState], capfd: pytest.CaptureFixture[str]) -> None:
    recorder.arm()
    assert reached(recorder, "armed")
    assert eventually(lambda: len(recorder.state.trace) >= PREROLL_S / 0.05, PATIENCE_S)
    recorder.start()
    recorder.start()
    assert reached(recorder, "recording", 1.0)
    found = recorder.stop()
    assert found.facts.preroll_s == PREROLL_S
    assert found.seconds >= 1.0
    assert (found.facts.device, found.facts.host_api, found.facts.rate) == ("Toy microphone", "Toy audio", 48_000.0)
    assert (states[-1].phase, states[-1].how, found.facts.how) == ("stopped", "stopped", "stopped")
    assert states[-1].seconds == pytest.approx(found.seconds)
    assert states[-1].rms_db == pytest.approx(-20, abs=1)
    assert 0 < len(states[-1].trace) <= TRACE_POINTS
    clip = found.clip()
    assert clip.seconds == pytest.approx(found.seconds, abs=0.001)
    assert clip.warnings == ()
    # Nothing that the sound system printed came through, and nothing is offered as a leftover.
    assert capfd.readouterr() == ("", "")
    assert recording.leftovers() == ()
    found.discard()


def test_stop_can_be_called_again(recorder: Recorder) -> None:
    recorder.start()
    assert reached(recorder, "recording", 0.2)
    assert recorder.stop() == recorder.stop()


def test_nothing_recorded(recorder: Recorder) -> None:
    recorder.arm()
    assert reached(recorder, "armed")
    with pytest.raises(UserError, match="nothing was recorded"):
        recorder.stop()


@pytest.mark.parametrize(
    ("script", "how", "words"),
    [
        ("unplug:0.7", "lost", "unplugged"),
        ("stall:0.7", "lost", "nothing for 1 s"),
        ("crash:0.7", "lost", "segmentation fault"),
    ],
)
def test_what_came_is_kept(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, script: str, how: str, words: str
) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", script)
    recorder.start()
    assert recorder.wait(PATIENCE_S)
    assert (recorder.state.phase, recorder.state.how) == ("lost", how)
    assert words in recorder.state.reason
    found = recorder.stop()
    assert 0.5 <= found.seconds <= 0.71
    assert found.clip().warnings


def test_zeros_are_told(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", "zeros")
    recorder.start()
    assert reached(recorder, "recording", 0.3)
    assert recorder.stop().facts.sounding is False


def test_the_longest_time_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(max_s=0.5)
    recorder.start()
    assert recorder.wait(PATIENCE_S)
    assert (recorder.state.phase, recorder.state.how, recorder.stop().seconds) == ("stopped", "limit", 0.5)


@pytest.mark.parametrize(
    ("script", "device", "words"),
    [("refuse", None, "Device unavailable"), ("noise", "nowhere", "choose from: 1 Toy microphone")],
)
def test_devices_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, script: str, device: str | None, words: str
) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", script)
    recorder = Recorder(device=device)
    recorder.start()
    assert recorder.wait(PATIENCE_S)
    assert (recorder.state.phase, recorder.state.how) == ("lost", "failed")
    assert words in recorder.state.reason
    with pytest.raises(UserError, match=words):
        recorder.stop()


def test_closing_before_anything_happened(mark: str, recorder: Recorder) -> None:
    recorder.start()
    recorder.close()
    assert recorder.state.over
    assert eventually(lambda: not marked(mark), SOON_S)


def test_a_thread_that_started_it_may_end(recorder: Recorder) -> None:
    thread = threading.Thread(target=recorder.arm)
    thread.start()
    thread.join()
    # Linux would kill a child together with the thread that forked it.
    assert reached(recorder, "armed")
    recorder.start()
    assert reached(recorder, "recording", 0.5)
    assert recorder.state.phase == "recording"


def test_killed_child(recorder: Recorder) -> None:
    recorder.start()
    assert reached(recorder, "recording", 0.6)
    assert recorder.pid
    os.kill(recorder.pid, signal.SIGKILL)
    assert recorder.wait(PATIENCE_S)
    assert recorder.state.phase == "lost"
    assert "SIGKILL" in recorder.state.reason
    found = recorder.stop()
    assert found.seconds >= 0.6
    assert found.facts.sounding
    assert "ended while recording" in found.clip().warnings[0]


PROGRAM = """
import sys, threading
from speedtest_tui.core.audio.recorder import Recorder
recorder = Recorder()
recorder.start()
while recorder.state.seconds < 0.6:
    recorder.wait(0.05)
print(recorder.pid, flush=True)
threading.Event().wait()
"""


def test_killed_parent() -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
    try:
        assert program.stdout
        child = int(program.stdout.readline())
        assert recording.leftovers() == ()
    finally:
        program.kill()
        program.communicate()
    gone = lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # noqa: E731
    assert eventually(gone, SOON_S)
    (left,) = eventually(recording.leftovers, SOON_S)
    assert left.seconds >= 0.6
    assert left.facts.how == ""
    clip = left.clip()
    assert clip.seconds == pytest.approx(left.seconds, abs=0.001)
    left.discard()
    assert recording.leftovers() == ()


def test_a_parent_that_does_not_listen_costs_nothing(places: Path) -> None:
    # As Ctrl-Z would: nobody reads what the child reports.
    release = threading.Event()

    def hold(_: RecorderState) -> None:
        release.wait(PATIENCE_S)

    recorder = Recorder(hold)
    recorder.start()

    def grown() -> bool:
        return any(path.stat().st_size >= 48_000 * 8 for path in (places / "data" / "recordings").glob("*.f32"))

    assert eventually(grown, PATIENCE_S)
    assert recorder.state.seconds == 0.0
    release.set()
    found = recorder.stop()
    assert (found.facts.dropped_frames, found.facts.missing_s) == (0, 0.0)
    recorder.close()


def test_scanning_in_a_process_of_its_own() -> None:
    report = scan_devices()
    assert report.devices == (InputDevice("Toy microphone", 2, 48_000.0, "Toy audio", True),)
    assert report.devices[0].index == 1
    assert report.advice is None
    for name in (None, "toy MICROPHONE", "mic", "1"):
        assert choose_device(name, report) == report.devices[0]
    for name in ("", "speaker", "0"):
        with pytest.raises(UserError, match="choose from"):
            choose_device(name, report)


def test_a_sound_system_that_crashes_while_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", "abort")
    report = scan_devices()
    assert report.devices == ()
    assert "SIGABRT" in str(report.advice)
    recorder = Recorder()
    recorder.start()
    assert recorder.wait(PATIENCE_S)
    assert recorder.state.how == "failed"
    assert "SIGABRT" in recorder.state.reason


def played(clip: Any) -> tuple[Player, list[PlayerState]]:
    states: list[PlayerState] = []
    player = Player(clip, states.append)
    player.play()
    assert player.wait(PATIENCE_S)
    return player, states


def test_playing_to_the_end(demo: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOUND_SPEED", "20")
    player, states = played(demo)
    assert player.state == PlayerState("finished", demo.seconds, demo.seconds, "Toy speaker")
    positions = [state.seconds for state in states if state.phase == "playing"]
    assert positions == sorted(positions)
    assert len(positions) > demo.seconds * 9
    assert capfd.readouterr() == ("", "")


def test_stopping_the_player(demo: Any, mark: str) -> None:
    player = Player(demo)
    player.play(1.0)
    assert eventually(lambda: player.state.phase == "playing" and player.state.seconds > 1.0, PATIENCE_S)
    player.stop()
    assert player.state.phase == "stopped"
    assert not survivors(mark)


def test_no_loudspeaker(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUND_SCRIPT", "deaf")
    player, _ = played(demo)
    assert player.state.phase == "failed"
    assert "there is no loudspeaker" in player.state.problem
    assert "\n" not in player.state.problem
