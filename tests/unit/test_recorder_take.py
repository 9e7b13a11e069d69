"""A take from open stream to finished file, driven tick by tick: no device, no thread, no clock but the test's own."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speedtest_tui.core.audio import spool
from speedtest_tui.core.audio.spool import SpoolWriter
from speedtest_tui.core.audio.take import FIRST_FRAME_S, PREROLL_S, RING_S, STALL_S, Opened, Take

RATE = 16_000
BLOCK = 160
TICK_S = 0.05


class Room:
    """A device that sends numbered frames in blocks of 10 ms, and a writer that ticks every 50 ms."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now, self.sent, self.plugged = 100.0, 0, True
        self.path: Path | None = None
        monkeypatch.setattr("speedtest_tui.core.audio.take.time.monotonic", lambda: self.now)
        opened = Opened("Toy", "Toy audio", RATE, 1)
        options = {"max_s": 60.0, **options}
        self.take = Take(opened, folder, alive=lambda: self.plugged, started=self._started, **options)

    def _started(self, path: Path) -> None:
        self.path = path

    def send(self, frames: Any, overflow: bool = False) -> None:
        times = SimpleNamespace(inputBufferAdcTime=self.now)
        self.take.callback(frames, len(frames), times, SimpleNamespace(input_overflow=overflow))
        self.sent += len(frames)

    def wait(self, seconds: float) -> None:
        """Time passes without a frame."""
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            self.take.tick(self.now)

    def hear(self, seconds: float, level: float | None = None) -> None:
        """Frames that carry their number, from 0 to 1, or a level."""
        for _ in range(round(seconds * RATE / BLOCK)):
            self.now += BLOCK / RATE
            numbers = np.arange(self.sent, self.sent + BLOCK) / 2**24
            values = numbers if level is None else np.full(BLOCK, level) * (-1) ** np.arange(BLOCK)
            self.send(values.astype(np.float32)[:, None])
            if self.sent % round(TICK_S * RATE) == 0:
                self.take.tick(self.now)

    def numbers(self) -> Any:
        """The numbers of the frames on disk."""
        assert self.path
        frames = np.concatenate([block[:, 0] for block in spool.blocks(self.path, self.facts)])
        return np.round(frames * 2**24).astype(int)

    @property
    def facts(self) -> spool.Facts:
        assert self.path
        return spool.read_facts(self.path)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(tmp_path / "recordings", monkeypatch)


def test_preroll_is_exactly_half_a_second_and_nothing_is_on_disk_before(room: Room, tmp_path: Path) -> None:
    assert room.take.reading().phase == "idle"
    room.hear(3.03)
    assert room.take.reading().phase == "armed"
    assert not (tmp_path / "recordings").exists()
    begun = room.sent
    room.take.begin()
    room.hear(1.0)
    assert room.take.reading().phase == "recording"
    stopped = room.sent
    room.take.stop()
    # What comes before the writer gets to it is not part of the recording.
    room.send(np.ones((BLOCK, 1), np.float32))
    room.wait(TICK_S)
    preroll = round(PREROLL_S * RATE)
    assert np.array_equal(room.numbers(), np.arange(begun - preroll, stopped))
    assert room.facts.preroll_s == PREROLL_S
    assert (room.facts.how, room.facts.missing_s, room.facts.dropped_frames) == ("stopped", 0.0, 0)
    assert room.take.reading().phase == "stopped"


def test_a_start_in_the_first_moments_keeps_what_there_is(room: Room) -> None:
    room.hear(0.2)
    room.take.begin()
    room.hear(0.3)
    room.take.stop()
    room.wait(TICK_S)
    assert room.facts.preroll_s == pytest.approx(0.2)
    assert np.array_equal(room.numbers(), np.arange(room.sent))


def test_a_start_before_the_first_frame(room: Room) -> None:
    room.take.begin()
    room.wait(0.5)
    assert room.take.reading().phase == "idle"
    room.hear(1.0)
    room.take.stop()
    room.wait(TICK_S)
    assert room.facts.preroll_s == 0.0
    assert np.array_equal(room.numbers(), np.arange(RATE))


def test_frames_are_on_disk_while_it_grows(room: Room) -> None:
    room.take.begin()
    room.hear(2.0)
    assert len(room.numbers()) == 2 * RATE
    assert room.facts.how == ""
    assert room.facts.device == "Toy"


def test_the_longest_recording_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(tmp_path, monkeypatch, max_s=1.2345)
    room.take.begin()
    room.hear(2.0)
    assert room.take.ended
    assert len(room.numbers()) == round(1.2345 * RATE)
    assert room.facts.how == "limit"


def test_silence_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(tmp_path, monkeypatch, silence_s=1.0)
    room.take.begin()
    room.hear(0.5, 0.0005)
    room.hear(1.0, 0.2)
    room.hear(3.0, 0.0005)
    assert room.facts.how == "silence"
    assert len(room.numbers()) / RATE == pytest.approx(2.5, abs=2 * TICK_S)


def test_overflows_are_counted_from_the_start_only(room: Room) -> None:
    room.send(np.zeros((BLOCK, 1), np.float32), overflow=True)
    room.hear(1.0)
    room.take.begin()
    room.hear(0.5)
    room.send(np.zeros((BLOCK, 1), np.float32), overflow=True)
    room.hear(0.5)
    room.take.stop()
    room.wait(TICK_S)
    assert room.facts.overflows == 1


def test_a_gap_is_counted_against_the_clock(room: Room) -> None:
    room.take.begin()
    room.hear(3.0)
    room.now += 0.25
    room.hear(3.0)
    assert room.take.reading().missing_ms == pytest.approx(250, abs=5)
    room.take.stop()
    room.wait(TICK_S)
    assert room.facts.missing_s == pytest.approx(0.25, abs=0.005)


def test_a_disk_that_stalls_costs_only_what_the_ring_cannot_hold(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.take.begin()
    room.hear(1.0)
    tick = room.take.tick
    monkeypatch.setattr(room.take, "tick", lambda _: None)
    room.hear(RING_S + 2)
    monkeypatch.setattr(room.take, "tick", tick)
    room.take.tick(room.now)
    room.hear(1.0)
    room.take.stop()
    room.wait(TICK_S)
    facts = room.facts
    assert facts.dropped_frames == pytest.approx(2 * RATE, abs=TICK_S * RATE)
    # What came and was dropped is not missing as well.
    assert facts.missing_s == 0.0
    assert len(room.numbers()) + facts.dropped_frames == room.sent


def test_no_callback_for_a_second(room: Room) -> None:
    room.take.begin()
    room.hear(1.0)
    room.wait(STALL_S - 2 * TICK_S)
    assert room.take.ended is None
    room.wait(4 * TICK_S)
    assert room.facts.how == "lost"
    assert "nothing for 1 s" in room.facts.reason
    assert len(room.numbers()) == RATE
    assert room.take.reading().phase == "lost"


def test_a_headset_may_take_its_time(room: Room) -> None:
    room.take.begin()
    room.wait(FIRST_FRAME_S - 1)
    assert room.take.ended is None
    room.wait(1.5)
    assert room.take.ended
    assert room.take.ended.how == "lost"


def test_a_machine_that_slept_is_not_a_lost_device(room: Room) -> None:
    room.take.begin()
    room.hear(1.0)
    room.now += 3600
    room.take.tick(room.now)
    assert room.take.ended is None
    room.hear(1.0)
    assert room.take.ended is None


@pytest.mark.parametrize("told", [True, False])
def test_unplugged(room: Room, told: bool) -> None:
    room.take.begin()
    room.hear(1.0)
    room.send(np.zeros((BLOCK, 1), np.float32))
    if told:
        room.take.finished()
    else:
        room.plugged = False
    room.wait(TICK_S)
    assert (room.facts.how, "unplugged" in room.facts.reason) == ("lost", True)
    assert len(room.numbers()) == room.sent


def test_unplugged_while_armed_leaves_nothing(room: Room) -> None:
    room.hear(1.0)
    room.plugged = False
    room.wait(TICK_S)
    assert room.take.ended
    assert room.path is None


def test_exact_zeros_are_known_as_such(room: Room) -> None:
    room.hear(1.0, 0.5)
    room.hear(0.6, 0.0)
    room.take.begin()
    room.hear(1.0, 0.0)
    room.take.stop()
    room.wait(TICK_S)
    assert room.facts.sounding is False
    assert room.take.reading().clipped == 0


def test_a_full_disk_keeps_what_was_written(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.take.begin()
    room.hear(1.0)

    def full(_spool: SpoolWriter, _frames: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(SpoolWriter, "append", full)
    room.hear(0.1)
    assert (room.facts.how, "No space left" in room.facts.reason) == ("lost", True)
    assert len(room.numbers()) == RATE


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    room = Room(tmp_path / "file", monkeypatch)
    room.take.begin()
    room.hear(0.1)
    assert room.take.ended
    assert "cannot be written" in room.take.ended.reason
