"""Counts frames against the clock, so that audio that never arrived is noticed even where no driver admits it.

Frames come in bursts, so a single callback says little. But the least delay within a second, of the callback against
the frames that it completes, is steady to a fraction of a millisecond, and drifts by some 50 parts in a million with
the converter's crystal. Where it jumps up for good, frames are missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from speedtest_tui.core.audio.ring import Mark

WINDOW_S = 1.0

JUMP_S = 0.015
"""A window's least delay must rise by this to count: more than the jitter of a window, less than any lost buffer."""

CERTAIN_S = 0.1
"""From here on the monotonic clock is believed even where the stream's own clock disagrees. Below, a jump that only
the former shows is a sound server that has changed the size of its buffers."""

DRIFT = 1e-3
"""Slower drift than this is a crystal's; faster, over DRIFT_AFTER_S, means that frames are lost a few at a time."""

DRIFT_AFTER_S = 20.0


@dataclass
class _Window:
    begins: float
    heard: float = math.inf
    adc: float = math.inf


class StreamClock:
    """Compares frames with both clocks. Raises nothing; seconds throughout."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._origin: Mark | None = None
        self._window: _Window | None = None
        self._last: _Window | None = None
        self._offset = 0.0
        self._drift = 0.0
        self._elapsed = 0.0

    @property
    def missing_s(self) -> float:
        """Seconds of audio that should have come by now and did not, 0 where all came."""
        lost = self._drift if self._elapsed >= DRIFT_AFTER_S and self._drift > DRIFT * self._elapsed else 0.0
        # Less is what jumps up and down again leave of their jitter.
        return (self._offset if self._offset >= JUMP_S / 2 else 0.0) + lost

    def add(self, marks: Iterable[Mark]) -> None:
        """Take in marks in the order in which they came."""
        for mark in marks:
            if self._origin is None:
                self._origin = mark
            if self._window is None:
                self._window = _Window(mark.heard)
            elif mark.heard - self._window.begins >= WINDOW_S:
                self._close(self._window, JUMP_S)
                self._window = _Window(mark.heard)
            first = self._origin
            played = (mark.frames - first.frames) / self._rate
            self._window.heard = min(self._window.heard, mark.heard - first.heard - played)
            if mark.adc:
                # The stream's clock tells when the first frame was sampled, so the end is a length later.
                sampled = mark.adc - first.adc + (mark.length - first.length) / self._rate
                self._window.adc = min(self._window.adc, sampled - played)
            self._elapsed = mark.heard - first.heard

    def end(self) -> None:
        """Judge the window that is still open, more leniently as it holds fewer callbacks."""
        if self._window is not None and math.isfinite(self._window.heard):
            self._close(self._window, CERTAIN_S / 2)
        self._window = None

    def _close(self, window: _Window, jump: float) -> None:
        last, self._last = self._last, window
        if last is None:
            return
        step = window.heard - last.heard
        if abs(step) < jump:
            self._drift += step
            return
        adc = window.adc - last.adc if math.isfinite(window.adc) and math.isfinite(last.adc) else step
        # A jump back (buffers that had grown shrink again) takes back what was counted.
        if abs(step) >= CERTAIN_S or step < 0 or adc >= step / 2:
            self._offset = max(0.0, self._offset + step)
