"""The background thread that runs a race: prepares, starts, times, cancels, and tells whoever listens.

It owns the children; what leaves it are frozen snapshots. A child that fails costs its own row only.

The state of a race as its supervisor keeps it; what others see of it are frozen snapshots.

The children of a race: at most one for each row at a time, all of them reporting into one queue.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from speedtest_tui.core import host
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.background import Background
from speedtest_tui.core.process.lines import Assignment, Event, ProtocolError
from speedtest_tui.core.process.parent import ChildHandle, Ended, Report
from speedtest_tui.core.race import schedule
from speedtest_tui.core.race.events import apply
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.prepare import Entrant, assign, prepare, shared_samples, stand_in
from speedtest_tui.core.race.row import Phase, RaceSnapshot, RaceState, Row, RowError, Status, Verdict
from speedtest_tui.core.race.verdict import judge, rank, verdict
from speedtest_tui.core.race.watch import StallWatch, wait_until_quiet

TICK_S = 0.1
"""How often vital signs are read and memory figures published."""

CLOSE_S = 5.0
"""How long children may take to end by themselves once all results are in."""

DOES_NOT_LOAD = frozenset({"model", "error", "exception", "crash"})
"""Kinds of failure which, while a model loads, say that another model may do better. Not memory: a stand-in takes more.
"""


class Cancelled(Exception):
    """The race was cancelled; raised inside the supervisor's thread only."""


class Race(Background):
    """One race. Start it, listen, join it; `snapshot` is always the newest state.

    listener: called from this thread after each change with a frozen snapshot; must return at once
    when_ended: called from this thread with the last snapshot, before the listener gets it; may block (saving to disk)
    """

    def __init__(
        self,
        plan: Plan,
        clip: Clip,
        listener: Callable[[RaceSnapshot], None] = lambda _: None,
        when_ended: Callable[[RaceSnapshot], None] = lambda _: None,
    ) -> None:
        super().__init__("race")
        self.plan = plan
        self.clip = clip
        self._board = Scoreboard(plan, listener)
        self._when_ended = when_ended
        self._children = Children()
        self._replaceable: int | None = None
        self._unloadable: tuple[Status, RowError] | None = None
        """How the row's model failed to load that is replaceable: its row is not decided yet."""
        self._traced_at = 0.0

    @property
    def snapshot(self) -> RaceSnapshot:
        return self._board.snapshot

    def work(self) -> None:
        state: RaceState = "done"
        try:
            with shared_samples(self.clip.data()) as descriptor:
                self._run(descriptor)
        except Cancelled:
            state = "cancelled"
        except Exception as error:
            # Nothing here may fail silently: a race that broke says so in every row that has no result yet.
            reason = f"the race itself failed: {type(error).__name__}: {error}"
            self._board.note(reason)
            for index in self._board.unfinished():
                self._fail(index, "failed", "internal", reason)
        finally:
            for index, _ in self._children.running():
                self._children.drop(index)
        for index in self._board.unfinished():
            done = len(self._board.rows[index].runs_s)
            self._fail(index, "cancelled", "cancelled", f"after {done} of {self.plan.runs} runs")
        self._judge(state)

    def _judge(self, state: RaceState) -> None:
        board = self._board
        board.rows = [judge(row, self.clip, self.plan.language) if row.runs_s else row for row in board.rows]
        board.rows = list(rank(board.rows))
        board.verdict = verdict(board.rows)
        board.state = state
        self._when_ended(board.freeze())
        board.publish()

    def _run(self, descriptor: int) -> None:
        plan = self.plan
        entrants = self._prepare()
        expected = [schedule.expected_bytes(entrant.engine, entrant.location.bytes) for entrant in entrants.values()]
        self._board.order, note = schedule.order_for(plan.order, expected, host.available_memory())
        if note:
            self._board.note(note)
        self._board.state = "racing"
        if self._board.order == "sequential":
            for index, entrant in entrants.items():
                self._start(index, entrant, descriptor)
                self._take(schedule.alone(index, plan.warmup, plan.runs))
                self._close()
        else:
            for index, entrant in entrants.items():
                self._start(index, entrant, descriptor)
            started = tuple(index for index, _ in self._children.running())
            self._take(schedule.interleaved(started, plan.warmup, plan.runs))
            self._close()

    # The steps of a race.

    def _prepare(self) -> dict[int, Entrant]:
        """Find every backend's model; rows that cannot start get their status here."""
        ready = {}
        for index, candidate in enumerate(self.plan.candidates):
            self._check_cancelled()
            self._board.phase(index, "preparing")
            found = prepare(candidate, self.plan.language, self._cancelled)
            if isinstance(found, Entrant):
                ready[index] = found
                self._board.enter(index, found, "waiting")
            else:
                self._board.rows[index] = replace(self._board.rows[index], spec=found.spec)
                self._board.decide(index, found.status, found.error)
        return ready

    def _start(self, index: int, entrant: Entrant, descriptor: int) -> None:
        """Load a model in a child of its own; where it does not load, once, what may stand in for it."""
        self._replaceable, self._unloadable = (index if entrant.spec.fallback else None), None
        self._load(index, entrant, descriptor)
        self._replaceable = None
        if self._unloadable is None:
            return
        status, error = self._unloadable
        replacement = stand_in(entrant, error, self._cancelled)
        if isinstance(replacement, Entrant):
            self._load(index, replacement, descriptor)
        else:
            self._board.decide(index, status, replacement)

    def _load(self, index: int, entrant: Entrant, descriptor: int) -> None:
        """Start a child and wait until its model is loaded, with nothing else running meanwhile."""
        self._check_cancelled()
        self._board.enter(index, entrant, "starting")
        chosen = self.plan.candidates[index].options
        assignment = assign(
            entrant.reference, entrant.spec, entrant.location, descriptor, self.plan.language, chosen=chosen
        )
        try:
            self._children.start(index, assignment)
        except OSError as error:
            self._fail(index, "failed", "launch", f"could not be started ({error})")
            return
        self._await(index, "loaded")

    def _take(self, turns: tuple[schedule.Turn, ...]) -> None:
        """Let children transcribe, one at a time, each when all others are quiet."""
        for turn in turns:
            child = self._children.get(turn.entrant)
            if child is None:
                continue
            for other in self._children.wait_until_quiet(self._cancelled):
                self._board.warn(turn.entrant, f"{self._board.rows[other].backend} was still busy when a run began")
            self._check_cancelled()
            child.send({"command": "run", "kind": turn.kind, "index": turn.index})
            self._await(turn.entrant, "run_finished")

    def _close(self) -> None:
        """All results are in: let the children end by themselves, and note it where they do not manage to."""
        for _, child in self._children.running():
            child.send({"command": "close"})
        deadline = time.monotonic() + CLOSE_S
        while self._children and time.monotonic() < deadline:
            self._check_cancelled()
            self._pump()
        for index, _ in self._children.running():
            self._board.warn(index, f"its process did not end by itself within {CLOSE_S:g} s")
            self._children.drop(index)

    def _await(self, index: int, name: str) -> None:
        """Wait for an event of one child while serving all; returns early where that child is lost."""
        watch = StallWatch(self.plan.stall_s, time.monotonic())
        while index in self._children:
            self._check_cancelled()
            for entrant, event in self._pump():
                if entrant == index:
                    watch.progressed(time.monotonic())
                    if event.name == name:
                        return
            child = self._children.get(index)
            if child is None:
                return
            if vitals := child.vitals():
                watch.observe(time.monotonic(), vitals)
            if reason := watch.verdict(time.monotonic()):
                phase = self._board.rows[index].phase
                self._fail(index, "timeout", "timeout", f"{reason} while it was {phase}", "give it more with --timeout")

    # What children report.

    def _pump(self) -> list[tuple[int, Event]]:
        """Wait up to a tick for reports, apply all that are there, publish, and return the events among them."""
        events = []
        changed = False
        for index, report in self._children.reports(TICK_S):
            changed = True
            if isinstance(report, Event):
                events.append((index, report))
                self._apply(index, report)
            elif isinstance(report, ProtocolError):
                self._fail(index, "failed", "protocol", f"its process {report}")
            else:
                self._bury(index, report)
        if self._trace_memory() or changed:
            self._board.publish()
        return events

    def _apply(self, index: int, event: Event) -> None:
        if event.name == "failed":
            kind, message, hint = (str(event.fields.get(key, "")) for key in ("kind", "message", "hint"))
            self._fail(index, "missing-model" if kind == "model" else "failed", kind, message, hint)
            return
        try:
            self._board.rows[index] = apply(self._board.rows[index], event)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._fail(index, "failed", "protocol", f"its process sent an unreadable {event.name} event ({error})")

    def _bury(self, index: int, end: Ended) -> None:
        """A child's pipe is closed: expected after `finished`, the end of its row otherwise."""
        phase = self._board.rows[index].phase
        if phase != "ended" or index in self._board.unfinished():
            when = f"while it was {phase}" if phase != "ended" else "before its runs were done"
            message = f"its process {end.reason or 'ended without a word'} {when}"
            self._fail(index, "failed", "crash", message)
            return
        if end.reason:
            self._board.warn(index, f"its process {end.reason} after its results were in")
        self._children.drop(index)

    def _fail(self, index: int, status: Status, kind: str, message: str, hint: str = "") -> None:
        """End a child and give its row the reason."""
        child = self._children.get(index)
        self._children.drop(index)
        if child and kind in ("crash", "protocol") and (words := child.last_words()):
            message = f"{message}; its last words: {words}"
        error = RowError(kind, message, hint)
        if index == self._replaceable and kind in DOES_NOT_LOAD and self._board.rows[index].phase == "loading":
            self._unloadable = status, error
        else:
            self._board.decide(index, status, error)

    def _trace_memory(self) -> bool:
        now = time.monotonic()
        if now - self._traced_at < TICK_S:
            return False
        self._traced_at = now
        for index, child in self._children.running():
            self._board.memory(index, child.rss)
        return len(self._children) > 0

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled


TRACE_KEPT = 600
"""Memory figures kept for each row: one minute at ten a second."""


class Scoreboard:
    """Rows by index, and everything said of the race as a whole. Used in the supervisor's thread only.

    `snapshot` may be read from any thread: it is replaced whole.
    """

    def __init__(self, plan: Plan, listener: Callable[[RaceSnapshot], None]) -> None:
        now = time.monotonic()
        self.rows = [Row(one.backend, one.size, since=now) for one in plan.candidates]
        self.state: RaceState = "preparing"
        self.order: str = plan.order
        self.notes: tuple[str, ...] = ()
        self.verdict = Verdict()
        self._runs = plan.runs
        self._listener = listener
        self.snapshot = self.freeze()

    def freeze(self) -> RaceSnapshot:
        return RaceSnapshot(tuple(self.rows), self.state, self.order, self.notes, self.verdict)

    def publish(self) -> None:
        """Make the present state the snapshot and hand it to the listener."""
        self.snapshot = self.freeze()
        self._listener(self.snapshot)

    def unfinished(self) -> list[int]:
        """Rows that neither have a status nor all their runs."""
        return [i for i, row in enumerate(self.rows) if not row.status and len(row.runs_s) < self._runs]

    def enter(self, index: int, entrant: Entrant, phase: Phase) -> None:
        """A row begins with what its backend is to run; whatever was measured in it before is forgotten."""
        self.rows[index] = Row(
            self.rows[index].backend,
            self.rows[index].size,
            spec=entrant.spec,
            location=entrant.location,
            version=entrant.version,
            warnings=entrant.warnings,
        )
        self.phase(index, phase)

    def phase(self, index: int, phase: Phase) -> None:
        """A row enters a phase now."""
        self.rows[index] = replace(self.rows[index], phase=phase, since=time.monotonic())
        self.publish()

    def decide(self, index: int, status: Status, error: RowError | None) -> None:
        """A row ends with a status; what it measured so far is kept."""
        self.rows[index] = replace(self.rows[index], status=status, error=error)
        self.phase(index, "ended")

    def note(self, remark: str) -> None:
        """Say something of the race as a whole."""
        self.notes = (*self.notes, remark)

    def warn(self, index: int, warning: str) -> None:
        """Add a warning to a row, once."""
        row = self.rows[index]
        if warning not in row.warnings:
            self.rows[index] = replace(row, warnings=(*row.warnings, warning))

    def memory(self, index: int, rss: int) -> None:
        """Take note of a child's resident size, in bytes."""
        row = self.rows[index]
        trace = (*row.memory_trace[-TRACE_KEPT + 1 :], rss)
        self.rows[index] = replace(row, rss=rss, peak_rss=max(row.peak_rss, rss), memory_trace=trace)


class Children:
    """Running children by row. A row may get another child once its first is dropped.

    Children are numbered in the order of their start: what one that was dropped had still to say is not taken for the
    words of its successor.
    """

    def __init__(self) -> None:
        self._running: dict[int, ChildHandle] = {}
        self._rows: list[int] = []
        """By number."""
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def __contains__(self, row: int) -> bool:
        return row in self._running

    def __len__(self) -> int:
        return len(self._running)

    def running(self) -> tuple[tuple[int, ChildHandle], ...]:
        """Rows and their children as they are now, in the order of their start."""
        return tuple(self._running.items())

    def get(self, row: int) -> ChildHandle | None:
        return self._running.get(row)

    def start(self, row: int, assignment: Assignment) -> None:
        """Start a row's child. Raises OSError where the system refuses."""
        self._rows.append(row)
        self._running[row] = ChildHandle(len(self._rows) - 1, assignment, self._reports)

    def drop(self, row: int) -> None:
        """End a row's child, if it has one."""
        if child := self._running.pop(row, None):
            child.end()

    def reports(self, timeout: float) -> Iterator[Report]:
        """Wait up to `timeout` seconds for reports; yield all that are there, with their row instead of a number."""
        while True:
            try:
                number, report = self._reports.get(timeout=timeout)
            except queue.Empty:
                return
            timeout = 0
            row = self._rows[number]
            if (child := self._running.get(row)) and child.entrant == number:
                yield row, report

    def wait_until_quiet(self, cancelled: threading.Event) -> list[int]:
        """Return when no child computes, or with the rows of those that do not stop."""
        return [self._rows[number] for number in wait_until_quiet(self._running.values(), cancelled)]
