"""The pieces of the recorder one by one: the ring, frames against the clock, the live meter, stopping on silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from speedtest_tui.core.audio.meter import FIRST_WORD_S, STEP_S, Meter, SilenceWatch
from speedtest_tui.core.audio.ring import FrameRing, Mark, StreamClock

RATE = 48_000
BLOCK = 480


def ramp(begin: int, count: int, channels: int = 1) -> Any:
    """Frames that carry their own number."""
    return np.repeat(np.arange(begin, begin + count, dtype=np.float32)[:, None], channels, axis=1)


def test_ring_gives_back_what_it_got_in_order() -> None:
    ring = FrameRing(1000, 2)
    random = np.random.default_rng(1)
    taken = 0
    for _ in range(200):
        count = int(random.integers(1, 400))
        ring.put(ramp(ring.written, count, 2), 0.0, 0.0, False)
        end = int(random.integers(ring.read, ring.written + 1)) if ring.written - ring.read < 500 else ring.written
        for frames in ring.view(ring.read, end):
            assert np.array_equal(frames, ramp(taken, len(frames), 2))
            taken += len(frames)
        ring.read = end
    assert taken == ring.read
    assert ring.dropped == 0


def test_full_ring_counts_what_it_drops_and_keeps_what_it_has() -> None:
    ring = FrameRing(1000, 1)
    ring.put(ramp(0, 800), 0.0, 0.0, False)
    ring.put(ramp(800, 300), 0.0, 0.0, True)
    assert (ring.written, ring.dropped, ring.overflows) == (800, 300, 1)
    assert np.array_equal(np.concatenate(list(ring.view(0, 800))), ramp(0, 800))
    # Dropped frames did come, so the clock must not count them once more.
    assert ring.marks[-1].frames == 1100


def marks(seconds: float, *, gaps: dict[float, float] | None = None, **rest: float) -> list[Mark]:
    """Callbacks every 10 ms with the jitter of bursts. gaps: at which second how much audio is missing.

    drift: seconds gained per second; buffer_at, buffer: from when on callbacks come how much later, without any loss
    """
    random = np.random.default_rng(2)
    made, lost, heard_frames = [], 0.0, 0
    for index in range(round(seconds * RATE / BLOCK)):
        due = index * BLOCK / RATE
        lost = sum(missing for at, missing in (gaps or {}).items() if due >= at)
        late = rest.get("buffer", 0.0) if due >= rest.get("buffer_at", 1e9) else 0.0
        sampled = (due + lost) * (1 + rest.get("drift", 0.0))
        heard_frames += BLOCK
        made.append(Mark(heard_frames, BLOCK, 50 + sampled, 900 + sampled + 0.03 + late + 0.02 * random.random() ** 2))
    return made


def missing(given: list[Mark]) -> float:
    clock = StreamClock(RATE)
    clock.add(given)
    clock.end()
    return clock.missing_s


@pytest.mark.parametrize("drift", [0.0, 2e-4, -2e-4])
def test_clock_forgives_jitter_and_crystals(drift: float) -> None:
    assert missing(marks(120, drift=drift)) == 0.0


@pytest.mark.parametrize("gaps", [{3.3: 0.02}, {3.3: 0.3}, {2.2: 0.05, 7.7: 0.08}, {9.0: 2.0}])
def test_clock_finds_gaps(gaps: dict[float, float]) -> None:
    assert missing(marks(12, gaps=gaps)) == pytest.approx(sum(gaps.values()), abs=0.005)


def test_clock_finds_a_gap_just_before_the_end() -> None:
    assert missing(marks(5.5, gaps={5.0: 0.2})) == pytest.approx(0.2, abs=0.005)


def test_clock_finds_frames_lost_a_few_at_a_time() -> None:
    gaps = {second + 0.5: 0.005 for second in range(60)}
    assert missing(marks(62, gaps=gaps)) == pytest.approx(0.3, abs=0.02)


def test_buffers_that_grow_are_no_gap() -> None:
    assert missing(marks(12, buffer_at=5.0, buffer=0.04)) == 0.0


def test_a_driver_without_a_clock_of_its_own() -> None:
    given = [Mark(mark.frames, mark.length, 0.0, mark.heard) for mark in marks(12, gaps={4.4: 0.03})]
    assert missing(given) == pytest.approx(0.03, abs=0.005)


def test_meter_levels_and_clipping() -> None:
    meter = Meter(RATE)
    assert (meter.peak_db, meter.rms_db, meter.sounding) == (-120.0, -120.0, False)
    times = np.arange(RATE) / RATE
    sine = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    frames = np.stack([np.zeros_like(sine), sine], axis=1)
    steps = []
    for start in range(0, RATE, 441):
        steps += meter.add(frames[start : start + 441])
    assert len(steps) == round(1 / STEP_S)
    assert meter.peak_db == pytest.approx(-6.02, abs=0.05)
    assert meter.rms_db == pytest.approx(-9.03, abs=0.05)
    assert (meter.clipped, meter.sounding) == (0, True)
    frames[:7] = 1.0
    meter.add(frames)
    assert meter.clipped == 7


def steps(seconds: float, db: float) -> list[float]:
    """Mean squares of so many seconds at a level."""
    return [10 ** (db / 10)] * round(seconds / STEP_S)


def stops_after(watch: SilenceWatch, powers: list[float]) -> float | None:
    """Seconds after which the watch wants to stop."""
    for index, power in enumerate(powers):
        if watch.add(power):
            return (index + 1) * STEP_S
    return None


def test_silence_counts_from_the_last_word() -> None:
    room, speech = -65.0, -25.0
    powers = [*steps(1, room), *steps(1, speech), *steps(1.5, room), *steps(1, speech), *steps(5, room)]
    assert stops_after(SilenceWatch(2.0), powers) == pytest.approx(6.5)


def test_a_loud_room_is_silence_too() -> None:
    powers = [*steps(1, -42.0), *steps(2, -20.0), *steps(9, -42.0)]
    assert stops_after(SilenceWatch(3.0), powers) == pytest.approx(6.0)


def test_nobody_is_cut_off_before_the_first_word() -> None:
    assert stops_after(SilenceWatch(1.0), steps(60, -70.0)) == pytest.approx(FIRST_WORD_S)
    assert stops_after(SilenceWatch(None), steps(60, -120.0)) is None
