"""The ring between the audio callback and the writer: one puts frames in, one takes them out, neither ever waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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
