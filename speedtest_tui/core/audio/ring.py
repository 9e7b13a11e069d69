"""The ring between the audio callback and the writer: one puts frames in, one takes them out, neither ever waits.

Counts frames against the clock, so that audio that never arrived is noticed even where no driver admits it.

Frames come in bursts, so a single callback says little. But the least delay within a second, of the callback against
the frames that it completes, is steady to a fraction of a millisecond, and drifts by some 50 parts in a million with
the converter's crystal. Where it jumps up for good, frames are missing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speedtest_tui.core.audio.conform import Block


MARKS = 8192
"""Clock marks held at most: callbacks come some 100 times a second and marks are taken out 20 times a second."""


@dataclass(frozen=True)
class Mark:
    """When a callback came. `frames` counts all up to its end, dropped ones included; `adc` is 0 where not known.

    adc, heard: seconds, of the stream's own clock when its first frame was sampled, and of the monotonic clock when
    the callback was called
    """

    frames: int
    length: int
    adc: float
    heard: float


class FrameRing:
    """`capacity` frames of float32, shape (capacity, channels), allocated once.

    One thread calls `put`, another the rest. Indices only grow, and each is changed by one side alone, so that under
    the interpreter's lock no other is needed.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        import numpy as np

        # Written to here, so that the audio thread never meets a page that the system has yet to find.
        self._frames: Block = np.ones((capacity, channels), dtype=np.float32)
        self._capacity = capacity
        self.written = 0
        self.read = 0
        self.dropped = 0
        self.overflows = 0
        self.marks: deque[Mark] = deque(maxlen=MARKS)

    def put(self, frames: Any, adc: float, heard: float, overflowed: bool) -> None:
        """Copy frames, shape (n, channels), in; where the ring is full they are counted as dropped instead."""
        count = len(frames)
        if overflowed:
            self.overflows += 1
        if count > self._capacity - (self.written - self.read):
            self.dropped += count
        else:
            start = self.written % self._capacity
            first = min(count, self._capacity - start)
            self._frames[start : start + first] = frames[:first]
            if first < count:
                self._frames[: count - first] = frames[first:]
            self.written += count
        self.marks.append(Mark(self.written + self.dropped, count, adc, heard))

    def view(self, begin: int, end: int) -> Iterator[Block]:
        """Frames from index `begin` to `end`, both between `read` and `written`, as one view or two."""
        while begin < end:
            start = begin % self._capacity
            count = min(end - begin, self._capacity - start)
            yield self._frames[start : start + count]
            begin += count


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
