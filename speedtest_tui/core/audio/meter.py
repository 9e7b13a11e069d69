"""What the level meter shows while a recording grows, and when silence has lasted long enough to stop it."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from speedtest_tui.core.audio.level import FLOOR_DB, FULL_SCALE

if TYPE_CHECKING:
    from speedtest_tui.core.audio.conform import Block


STEP_S = 0.05
"""Seconds of one point of the trace, and of one value that silence is judged by."""

RMS_STEPS = 6
"""Steps that the RMS level is taken over: 0.3 s, as VU meters do."""

SPEECH_ABOVE_DB = 10.0
"""Speech is this far above the quietest tenth of the last FLOOR_STEPS, which are its own pauses or the room."""

FLOOR_STEPS = 200

SPEECH_AT_LEAST_DB = -55.0
SPEECH_SURELY_DB = -30.0
"""Between these two lies the level that counts as speech, however quiet or loud the room."""

FIRST_WORD_S = 10.0
"""Silence before the first word may last at least this long: people think before they speak."""


def decibels(power: float) -> float:
    """A mean square as dBFS, at least FLOOR_DB."""
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB


class Meter:
    """Levels of frames as they pass. One thread feeds it; others may read its numbers at any time."""

    def __init__(self, rate: float) -> None:
        self._step = max(1, round(rate * STEP_S))
        self._open = 0
        self._open_peak = 0.0
        self._open_power = 0.0
        self._powers: deque[float] = deque(maxlen=RMS_STEPS)
        self._peaks: deque[float] = deque(maxlen=2)
        self.clipped = 0
        self.sounding = False
        """Whether any frame was other than exactly zero."""

    @property
    def peak_db(self) -> float:
        return decibels(max(self._peaks, default=0.0) ** 2)

    @property
    def rms_db(self) -> float:
        powers = tuple(self._powers)
        return decibels(sum(powers) / len(powers)) if powers else FLOOR_DB

    def add(self, frames: Block) -> list[tuple[float, float]]:
        """Measure frames, shape (n, channels); return (peak, mean square) of each step that they complete.

        With several channels the loudest counts: a microphone is often connected to one of two.
        """
        import numpy as np

        done = []
        while len(frames):
            part, frames = frames[: self._step - self._open], frames[self._step - self._open :]
            loudness = np.abs(part)
            peak = float(loudness.max())
            if peak >= FULL_SCALE:
                self.clipped += int(np.count_nonzero(loudness.max(axis=1) >= FULL_SCALE))
            self.sounding = self.sounding or peak > 0
            self._open_peak = max(self._open_peak, peak)
            # Rumble and offsets stay in: what counts here is the change, and the meter shows what arrives.
            self._open_power += float(np.einsum("ij,ij->j", part, part).max())
            self._open += len(part)
            if self._open >= self._step:
                step = (self._open_peak, self._open_power / self._open)
                self._peaks.append(step[0])
                self._powers.append(step[1])
                done.append(step)
                self._open, self._open_peak, self._open_power = 0, 0.0, 0.0
        return done


class SilenceWatch:
    """Says when nobody has spoken for `limit_s` seconds; None never says so."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._levels: deque[float] = deque(maxlen=FLOOR_STEPS)
        self._silent_steps = 0
        self.spoken = False

    def add(self, power: float) -> bool:
        """Take in the mean square of one step of STEP_S; True where it is time to stop."""
        if self._limit_s is None:
            return False
        level = decibels(power)
        self._levels.append(level)
        floor = sorted(self._levels)[len(self._levels) // 10]
        threshold = min(SPEECH_SURELY_DB, max(SPEECH_AT_LEAST_DB, floor + SPEECH_ABOVE_DB))
        if level >= threshold:
            self.spoken = True
            self._silent_steps = 0
        else:
            self._silent_steps += 1
        limit = self._limit_s if self.spoken else max(self._limit_s, FIRST_WORD_S)
        return self._silent_steps * STEP_S >= limit
