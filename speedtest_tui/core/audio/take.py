"""One recording from the open stream to the finished file: pre-roll, growth, and the ways in which it ends.

The audio callback only puts frames into a ring. `tick`, called some 20 times a second by the writer thread, takes them
out, writes them down and judges them; nothing that the rest of the process does can hold it up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from speedtest_tui.core.audio.level import FLOOR_DB
from speedtest_tui.core.audio.meter import Meter, SilenceWatch
from speedtest_tui.core.audio.ring import FrameRing, StreamClock
from speedtest_tui.core.audio.spool import Facts, How, SpoolWriter
from speedtest_tui.core.process.lines import Message

PREROLL_S = 0.5
"""Kept from before the start: people speak while they press the key, and headsets and ears are slow."""

RING_S = 20.0
"""How long the disk may stall before frames are dropped."""

SPARE_S = 0.25
"""Kept in the ring beyond the pre-roll, so that a start between two ticks finds all of it."""

STALL_S = 1.0
"""No callback for so long means that the device is gone, whatever it says."""

FIRST_FRAME_S = 6.0
"""The same before the first callback: Bluetooth headsets take seconds to switch to their microphone."""

TICK_CAP_S = 0.2
"""A tick counts for at most this in a stall: time in which this process itself stood still (the machine slept, or it
was stopped) is not the device's fault."""

SYNC_S = 1.0

PEAKS_KEPT = 240
"""Points of the trace that wait for a reader who is slow."""


Phase = Literal["idle", "armed", "recording", "stopped", "lost"]


@dataclass(frozen=True)
class Order:
    """What a recording child is for. device: as for `devices.choose_device`; folder: where the recording grows.

    max_s: the longest recording, in seconds; silence_s: stop after so long a silence, None for never
    """

    device: str | None
    folder: str
    max_s: float
    silence_s: float | None


@dataclass(frozen=True)
class Opened(Message):
    """The stream's own facts. `rate` in Hz, as it really runs."""

    device: str
    host_api: str
    rate: float
    channels: int


@dataclass(frozen=True)
class Started(Message):
    """The recording has begun to grow in this file."""

    path: Path


@dataclass(frozen=True)
class Over(Message):
    """How a take ended, and why, in words, where it was lost."""

    how: How
    reason: str = ""


@dataclass(frozen=True)
class Reading(Message):
    """What the meter shows, levels in dBFS. `peaks` are the steps of the trace since the last reading, from 0 to 1."""

    phase: Phase
    seconds: float = 0.0
    peak_db: float = FLOOR_DB
    rms_db: float = FLOOR_DB
    clipped: int = 0
    dropped_frames: int = 0
    missing_ms: float = 0.0
    peaks: tuple[float, ...] = ()


class Take:
    """See the module. `begin`, `stop`, `finished` and `callback` may be called by any thread, `tick` by one only."""

    def __init__(
        self,
        opened: Opened,
        folder: Path,
        *,
        max_s: float,
        silence_s: float | None = None,
        alive: Callable[[], bool] = lambda: True,
        started: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """alive: whether the stream still runs; started: gets the file as soon as there is one."""
        self._opened = opened
        self._folder = folder
        self._max_frames = round(max_s * opened.rate)
        self._alive = alive
        self._started = started
        self._ring = FrameRing(round(RING_S * opened.rate), opened.channels)
        self._clock = StreamClock(opened.rate)
        self._meter = Meter(opened.rate)
        self._watch = SilenceWatch(silence_s)
        self._spool: SpoolWriter | None = None
        self._begin_at: int | None = None
        self._stop_at: int | None = None
        self._origin = 0
        self._before = (0, 0, 0.0)
        self._metered = 0
        self._peaks: deque[float] = deque(maxlen=PEAKS_KEPT)
        self._quiet_for = 0.0
        self._heard = 0
        self._ticked: float | None = None
        self._synced = 0.0
        self._broken = ""
        self.ended: Over | None = None

    def callback(self, frames: Any, _count: int, times: Any, status: Any) -> None:
        """sounddevice's stream callback: copies and returns."""
        self._ring.put(frames, times.inputBufferAdcTime, time.monotonic(), bool(status.input_overflow))

    def finished(self) -> None:
        """sounddevice's finished_callback: the stream has ended, which we never ask it to do."""
        self._broken = self._broken or "the device was unplugged or switched off"

    def begin(self) -> None:
        """Record from now on, and keep PREROLL_S of what came before."""
        if self._begin_at is None:
            self._begin_at = self._ring.written

    def stop(self) -> None:
        """Record up to now and no further."""
        if self._stop_at is None:
            self._stop_at = self._ring.written

    def tick(self, now: float) -> None:
        """Do what there is to do; `now` in seconds of the monotonic clock."""
        if self.ended:
            return
        end = self._ring.written
        ending = self._look_at_device(now, end)
        if self._spool is None and self._begin_at is not None:
            ending = self._open(now) or ending
        steps = self._measure(end)
        if self._spool is None:
            self._clock.add(self._take_marks())
            self._ring.read = max(self._ring.read, end - round((PREROLL_S + SPARE_S) * self._opened.rate))
            if self._stop_at is not None:
                ending = ending or Over("stopped")
        else:
            ending = self._write(end, now, steps) or ending
        if ending:
            self._finish(ending)

    def reading(self) -> Reading:
        """The state for the meter; empties the trace's backlog. Called by one thread, be it the ticking one or not."""
        peaks = tuple(self._peaks.popleft() for _ in range(len(self._peaks)))
        recorded = self._spool.frames if self._spool else 0
        # Nobody may believe that they are heard before frames really come.
        phase: Phase = "idle" if not self._heard else "recording" if self._spool else "armed"
        if self.ended:
            phase = "lost" if self.ended.how == "lost" else "stopped"
        dropped, _, missing = self._losses() if self._spool else (0, 0, 0.0)
        return Reading(
            phase,
            recorded / self._opened.rate,
            self._meter.peak_db,
            self._meter.rms_db,
            self._meter.clipped if self._spool else 0,
            dropped,
            missing * 1000,
            peaks,
        )

    def _look_at_device(self, now: float, end: int) -> Over | None:
        """Whether frames still come."""
        seen = end + self._ring.dropped
        elapsed = 0.0 if self._ticked is None else min(now - self._ticked, TICK_CAP_S)
        self._ticked = now
        self._quiet_for = 0.0 if seen != self._heard else self._quiet_for + elapsed
        self._heard = seen
        if not self._broken and not self._alive():
            self.finished()
        if not self._broken and self._quiet_for >= (STALL_S if seen else FIRST_FRAME_S):
            self._broken = f"the device has sent nothing for {self._quiet_for:.0f} s"
        return Over("lost", self._broken) if self._broken else None

    def _open(self, now: float) -> Over | None:
        assert self._begin_at is not None
        self._origin = max(self._ring.read, self._begin_at - round(PREROLL_S * self._opened.rate))
        facts = Facts(
            rate=self._opened.rate,
            channels=self._opened.channels,
            device=self._opened.device,
            host_api=self._opened.host_api,
            started=time.time(),
            preroll_s=(self._begin_at - self._origin) / self._opened.rate,
        )
        try:
            self._spool = SpoolWriter(self._folder, facts)
        except OSError as error:
            return Over("lost", f"{self._folder} cannot be written ({error.strerror or error})")
        self._started(self._spool.path)
        self._synced = now
        # Only what goes wrong from here on is this recording's; the pre-roll is measured again, into its counts.
        self._clock.add(self._take_marks())
        self._before = (self._ring.dropped, self._ring.overflows, self._clock.missing_s)
        self._ring.read = self._metered = self._origin
        self._meter = Meter(self._opened.rate)
        self._peaks.clear()
        return None

    def _measure(self, end: int) -> list[tuple[float, float]]:
        """Meter what came since the last time."""
        steps = []
        for frames in self._ring.view(max(self._metered, self._ring.read), end):
            steps += self._meter.add(frames)
        self._metered = end
        self._peaks += (peak for peak, _ in steps)
        return steps

    def _write(self, end: int, now: float, steps: list[tuple[float, float]]) -> Over | None:
        """Spool what came since the last time, and say whether that was the end of it."""
        assert self._spool is not None
        stop = end if self._stop_at is None else min(end, max(self._stop_at, self._origin))
        limit = self._origin + self._max_frames
        try:
            for frames in self._ring.view(self._ring.read, min(stop, limit)):
                self._spool.append(frames)
            self._ring.read = end
            self._clock.add(self._take_marks())
            if now - self._synced >= SYNC_S:
                self._spool.note(**self._facts())
                self._spool.sync()
                self._synced = now
        except OSError as error:
            return Over("lost", f"it could not be written to the disk ({error.strerror or error})")
        if self._stop_at is not None:
            return Over("stopped")
        if stop >= limit:
            return Over("limit")
        silent = [self._watch.add(power) for _, power in steps]
        return Over("silence") if any(silent) else None

    def _finish(self, ending: Over) -> None:
        self._clock.end()
        if self._spool is not None:
            try:
                facts = {**self._facts(), "sounding": self._meter.sounding}
                self._spool.note(**facts, how=ending.how, reason=ending.reason)
                self._spool.sync()
            except OSError as error:
                # The frames are there; that the last facts are not will be said.
                problem = f"its end could not be written ({error.strerror or error})"
                ending = Over("lost", ending.reason or problem)
            self._spool.close()
        # Last: whoever sees it may end the process.
        self.ended = ending

    def _take_marks(self) -> list[Any]:
        marks = self._ring.marks
        return [marks.popleft() for _ in range(len(marks))]

    def _losses(self) -> tuple[int, int, float]:
        """Dropped frames, overflows and missing seconds since the recording began."""
        dropped, overflows, missing = self._before
        return (
            self._ring.dropped - dropped,
            self._ring.overflows - overflows,
            max(0.0, self._clock.missing_s - missing),
        )

    def _facts(self) -> dict[str, Any]:
        """What changes rarely enough to be kept current on the disk."""
        dropped, overflows, missing = self._losses()
        return {
            "dropped_frames": dropped,
            "overflows": overflows,
            "missing_s": round(missing, 4),
            "clipped": self._meter.clipped,
        }
