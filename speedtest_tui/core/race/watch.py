"""Watching children by what the system says of them: whether one has stalled or was held up, whether all are quiet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from backends.base import Advice
from speedtest_tui.core.process.lines import Failed, Message
from speedtest_tui.core.race.events import apply
from speedtest_tui.core.race.row import Failure, Row, RowError, Status

if TYPE_CHECKING:
    from speedtest_tui.core.process.parent import Child, Ended, Vitals


def failure(kind: str, what: str, todo: str = "", *, status: Status = "failed") -> Failure:
    return Failure(status, RowError("crash" if kind == "done" else kind, Advice(what, todo)))


def received(row: Row, report: Message | Ended, doing: str) -> Row | Failure:
    """What a child's report makes of its row, or how the child failed; for one that has ended, `doing` says at what."""
    if isinstance(report, Failed):
        status: Status = "missing-model" if report.kind == "model" else "failed"
        return Failure(status, RowError(report.kind, report.advice))
    if isinstance(report, Message):
        try:
            return apply(row, report)
        except ValueError as error:
            return failure("protocol", f"its process sent an unreadable message ({error})")
    return failure(report.kind, f"its process {report.reason if report.kind == 'launch' else report.told(doing)}")


BUSY_FACTOR = 10
"""A child that only burns processor time may compile kernels, or loop for ever: it gets this many times the limit."""

MEMORY_STEP = 1 << 20
"""Memory must exceed its former maximum by this many bytes to count as progress."""

BUSY_WINDOW_S, BUSY_SHARE = 1.0, 0.05
"""A process counts as busy when it used this share of one core over a window."""


STANDSTILL_S = 2.0
"""Between two of this program's looks, which come ten times a second. A crowded machine is late, but not so late."""


class StallWatch:
    """Watches one child through one step (import, load, one run), never by a guess of how long that should take.

    Progress is an event, bytes read from disk, or memory that grows. Without any for `limit_s` and with an idle
    processor the step has stalled; with a busy one it has after BUSY_FACTOR times as long. Time in which this program
    stood still does not count: nobody has looked meanwhile.
    """

    def __init__(self, limit_s: float, now: float) -> None:
        self._limit_s = limit_s
        self._looked_at = self._progress_at = self._active_at = self._window_at = now
        self._window_cpu_s = 0.0
        self._read_bytes = 0
        self._max_memory = 0

    def progressed(self, now: float) -> None:
        """A step begins, or an event came."""
        self._progress_at = self._active_at = now

    def observe(self, now: float, vitals: Vitals) -> None:
        """Take note of what the process did since the last look."""
        if vitals.read_bytes > self._read_bytes:
            self._read_bytes = vitals.read_bytes
            self.progressed(now)
        if vitals.memory >= self._max_memory + MEMORY_STEP:
            # Raised by whole steps only: memory that grows a little between two looks grows all the same.
            self._max_memory = vitals.memory
            self.progressed(now)
        window = now - self._window_at
        if window >= BUSY_WINDOW_S:
            if vitals.cpu_s - self._window_cpu_s >= BUSY_SHARE * window:
                self._active_at = now
            self._window_at, self._window_cpu_s = now, vitals.cpu_s

    def stalled(self, vitals: Vitals | None, now: float | None = None) -> str:
        """As `verdict`, after a look at the process."""
        now = time.monotonic() if now is None else now
        if now - self._looked_at > STANDSTILL_S:
            self.progressed(now)
        self._looked_at = now
        if vitals:
            self.observe(now, vitals)
        return self.verdict(now)

    def verdict(self, now: float) -> str:
        """Why the step counts as stalled, in words, or an empty string while it does not."""
        if now - self._active_at > self._limit_s:
            return f"nothing happened for {self._limit_s:g} s"
        if now - self._progress_at > self._limit_s * BUSY_FACTOR:
            return f"busy for {self._limit_s * BUSY_FACTOR:g} s without getting further"
        return ""


SLEPT_S = 0.5


def slept() -> float:
    """Seconds, from whenever, that the machine has slept: of two clocks that nobody sets one goes on meanwhile.

    Linux calls them CLOCK_BOOTTIME and CLOCK_MONOTONIC, macOS CLOCK_MONOTONIC and CLOCK_UPTIME_RAW (clock_gettime(3)).
    """
    always, awake = (getattr(time, name, time.CLOCK_MONOTONIC) for name in ("CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW"))
    return time.clock_gettime(always) - time.clock_gettime(awake)


class Interruptions:
    """What held up one step, or the wait before it, without being a part of it, in seconds.

    stopped: its process was, by a signal or a debugger
    asleep: the machine
    standstill: this program, and it may be all processes with it
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep_clock: Callable[[], float] = slept) -> None:
        self._clock, self._sleep_clock = clock, sleep_clock
        self.looked_at, self._slept = clock(), sleep_clock()
        self.stopped = self.asleep = self.standstill = 0.0

    def look(self, vitals: Vitals | None = None) -> bool:
        """Take note of what happened since the last look; returns whether nobody can have looked meanwhile."""
        now, slept_s = self._clock(), self._sleep_clock() - self._slept
        since, self.looked_at = now - self.looked_at, now
        if vitals and vitals.stopped:
            self.stopped += since
        elif since > STANDSTILL_S:
            self.standstill += since
        self.asleep = slept_s if slept_s > SLEPT_S else 0.0
        return since > STANDSTILL_S

    def told(self) -> str:
        """All of it as a clause, or an empty string."""
        said = []
        if self.stopped:
            said.append(f"its process was stopped for {self.stopped:.1f} s")
        if self.asleep:
            said.append(f"the machine slept for {self.asleep:.1f} s")
        if self.standstill:
            said.append(f"this program stood still for {self.standstill:.1f} s")
        return " and ".join(said)

    def of(self, step_s: float) -> bool:
        """Whether a step that took so many seconds can have been held up: its process may have gone on, and ended."""
        stopped = self.stopped and step_s > self.stopped - 0.2  # not before it began; looks are that far apart
        return bool(stopped or self.asleep or (self.standstill and step_s > STANDSTILL_S))


WINDOW_S = 0.05
QUIET_SHARE = 0.2
"""Of one core, over a window. Linux counts in ticks of 10 ms: one tick in 50 ms is noise, two are work."""

QUIET_WINDOWS = 2
"""In a row. On a loaded machine a spinning thread may get no processor for a whole window and look idle."""

GIVE_UP_S = 3.0


def wait_until_quiet(children: Mapping[int, Child], cancelled: threading.Event, held: Interruptions) -> list[int]:
    """Return when no child computed for QUIET_WINDOWS windows, or after GIVE_UP_S with the rows of those that still do.

    OpenMP's threads spin for up to 200 ms after their work (GOMP_SPINCOUNT, KMP_BLOCKTIME): a run that begins at once
    would share its cores with them. A window that was held up says nothing of anybody; `held` takes note of it.
    """
    deadline = held.looked_at + GIVE_UP_S
    before = {row: _cpu(child) for row, child in children.items()}
    quiet = 0
    while not cancelled.wait(WINDOW_S):
        after = {row: _cpu(child) for row, child in children.items()}
        if held.look():
            deadline, before, quiet = held.looked_at + GIVE_UP_S, after, 0
            continue
        # A hair above the share: a tick is not exactly 10 ms once it has been through floating point.
        limit = QUIET_SHARE * WINDOW_S + 0.001
        busy = [row for row, used in after.items() if used - before[row] > limit]
        quiet = 0 if busy else quiet + 1
        if quiet == QUIET_WINDOWS:
            return []
        if held.looked_at > deadline:
            return busy
        before = after
    return []


def _cpu(child: Child) -> float:
    vitals = child.vitals()
    return vitals.cpu_s if vitals else 0.0
