"""The background thread that runs a race: prepares, starts, times, cancels, and tells whoever listens.

It owns the children, one at most for each row at a time; what leaves it are frozen snapshots. A child that fails costs
its own row only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from speedtest_tui.core import conditions, host
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.conditions import Conditions
from speedtest_tui.core.process.background import Background
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import Ended, Vitals
from speedtest_tui.core.race.events import (
    CLOSE,
    ModelLoaded,
    Transcribe,
    Transcribed,
)
from speedtest_tui.core.race.plan import Plan, Turn, crowded, expected_bytes, interleaved, order_for
from speedtest_tui.core.race.prepare import Children, Ready, assign, fallback, prepare, shared_samples
from speedtest_tui.core.race.row import Failure, Phase, RaceSnapshot, RaceState, Row, Verdict, rows_of
from speedtest_tui.core.race.verdict import NANO_NOTE, assess, decide, models_note, nano
from speedtest_tui.core.race.watch import Interruptions, StallWatch, failure, received

TICK_S = 0.1
"""How often vital signs are read and memory figures published."""

CLOSE_S = 5.0
"""How long children may take to end by themselves once all results are in."""

DOES_NOT_LOAD = frozenset({"model", "error", "exception", "crash"})
"""Kinds of failure which, while a model loads, say that another model may do better. Not memory: a fallback takes more.
"""


class Cancelled(Exception):
    """The race was cancelled; raised inside the supervisor's thread only."""


class Race(Background):
    """One race. Start it, listen, join it; `snapshot` is always the newest state.

    listener: called from this thread after each change with a frozen snapshot; must return at once
    when_ended: called from this thread with the last snapshot, before the listener gets it; may block (saving to disk)
    look: finds out about power and heat, before and after
    judging: the context in which texts are compared, which computes for seconds where they are long
    """

    def __init__(
        self,
        plan: Plan,
        clip: Clip,
        listener: Callable[[RaceSnapshot], None] = lambda _: None,
        when_ended: Callable[[RaceSnapshot], None] = lambda _: None,
        *,
        look: Callable[[], Conditions] = conditions.read,
        judging: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        super().__init__("race")
        self.plan = plan
        self.clip = clip
        self._board = Scoreboard(plan, listener)
        self._when_ended = when_ended
        self._look, self._judging = look, judging
        self._children = Children()
        self._traced_at = 0.0

    @property
    def snapshot(self) -> RaceSnapshot:
        return self._board.snapshot

    def work(self) -> None:
        board = self._board
        state: RaceState = "done"
        try:
            board.look(self._look())
            with shared_samples(self.clip.data()) as descriptor:
                self._run(descriptor)
            board.look(self._look())
        except Cancelled:
            state = "cancelled"
        except Exception as error:
            # Nothing here may fail silently: a race that broke says so in every row that has no result yet.
            reason = f"the race itself failed: {type(error).__name__}: {error}"
            board.note(reason)
            for index in board.unfinished():
                board.decide(index, failure("internal", reason))
        finally:
            for index in self._children.rows():
                self._children.drop(index)
        for index in board.unfinished():
            done = len(board.rows[index].runs_s)
            board.decide(index, failure("cancelled", f"after {done} of {self.plan.runs} runs", status="cancelled"))
        with self._judging():
            judged, board.language, board.doubts = assess(board.rows, self.clip, self.plan.language)
            rows, board.verdict = decide(judged, self.plan.max_wer, paired=board.order == "interleaved")
        board.rows = list(rows)
        for remark in (*board.doubts, *models_note(rows), *([NANO_NOTE] if nano(rows) else [])):
            board.note(remark)
        board.state = state
        try:
            self._when_ended(board.freeze())
        finally:
            board.publish()

    def _run(self, descriptor: int) -> None:
        plan, board = self.plan, self._board
        ready = self._prepare()
        expected = [expected_bytes(each.engine, each.location.bytes) for each in ready.values()]
        board.order, note = order_for(plan.order, expected, host.available_memory())
        if note:
            board.note(note)
        board.state = "racing"
        if board.order != "sequential":
            if not (note := self._race_together(ready, descriptor)):
                return
            board.order = "sequential"
            board.note(note)
        for index, candidate in ready.items():
            if not board.rows[index].status:
                self._race_together({index: candidate}, descriptor)

    def _race_together(self, ready: Mapping[int, Ready], descriptor: int) -> str:
        """Load candidates, let them transcribe in turns. Where they prove too large for that, end them and say why."""
        for index, candidate in ready.items():
            self._start(index, candidate, descriptor)
            if note := self._crowded():
                return note
        turns = interleaved(self._children.rows(), self.plan.warmup, self.plan.runs)
        self._take(turn for turn in turns if turn.kind == "warm-up")
        if note := self._crowded():
            return note
        self._take(turn for turn in turns if turn.kind == "run")
        self._close()
        return ""

    def _crowded(self) -> str:
        rows = [self._board.rows[index] for index in self._children.rows()]
        note = crowded([(row.device_held or 0, row.device_limit) for row in rows if row.device_limit])
        for index in self._children.rows() if note else ():
            self._children.drop(index)
        return note

    # The steps of a race.

    def _prepare(self) -> dict[int, Ready]:
        """Find every backend's model; rows that cannot start get their status here."""
        ready = {}
        for index, candidate in enumerate(self.plan.candidates):
            self._check_cancelled()
            self._board.phase(index, "preparing")
            found = prepare(candidate, self.plan.language, self._cancelled)
            if isinstance(found, Ready):
                ready[index] = found
                self._board.enter(index, found, "waiting")
            else:
                self._board.decide(index, found)
        return ready

    def _start(self, index: int, candidate: Ready, descriptor: int) -> None:
        """Load a model in a child of its own; where it does not load, once, its fallback."""
        failed = self._load(index, candidate, descriptor)
        loading = self._board.rows[index].phase == "loading"
        if failed and loading and candidate.spec.fallback and failed.error.kind in DOES_NOT_LOAD:
            replacement = fallback(candidate, failed, self._cancelled)
            failed = self._load(index, replacement, descriptor) if isinstance(replacement, Ready) else replacement
        if failed:
            self._board.decide(index, failed)

    def _load(self, index: int, candidate: Ready, descriptor: int) -> Failure | None:
        """Start a child and wait until its model is loaded, with nothing else running meanwhile."""
        self._check_cancelled()
        self._board.enter(index, candidate, "starting")
        chosen = self.plan.candidates[index].options
        assignment = assign(
            candidate.reference, candidate.spec, candidate.location, descriptor, self.plan.language, chosen=chosen
        )
        self._children.start(index, assignment)
        return self._await(index, ModelLoaded, "loading")

    def _take(self, turns: Iterable[Turn]) -> None:
        """Let children transcribe, one at a time, each when all others are quiet."""
        for turn in turns:
            child = self._children.get(turn.row)
            if child is None:
                continue
            pause = Interruptions()
            for other in self._children.wait_until_quiet(self._cancelled, pause):
                self._board.warn(turn.row, f"{self._board.rows[other].label} was still busy when a run began")
            self._check_cancelled()
            self._board.interrupted(pause)
            child.send(Transcribe(turn.kind, turn.index, self.plan.pulse and turn.kind == "run"))
            what = f"run {turn.index + 1}" if turn.kind == "run" else "the warm-up"
            if failed := self._await(turn.row, Transcribed, what):
                self._board.decide(turn.row, failed)

    def _close(self) -> None:
        """All results are in: let the children end by themselves, and note it where they do not manage to."""
        for index in self._children.rows():
            self._children[index].send(CLOSE)
        held = Interruptions()
        deadline = held.looked_at + CLOSE_S
        while self._children.rows() and held.looked_at < deadline:
            self._check_cancelled()
            for index, found in self._pump():
                if isinstance(found, Failure):
                    self._board.decide(index, found)
            if held.look():
                deadline = held.looked_at + CLOSE_S
        for index in self._children.rows():
            self._board.warn(index, f"its process did not end by itself within {CLOSE_S:g} s")
            self._children.drop(index)

    def _await(self, awaited: int, kind: type[ModelLoaded | Transcribed], what: str) -> Failure | None:
        """Wait for a message of one child while serving all; returns how that child failed, if it did.

        what: the step that it ends
        """
        watch, held = StallWatch(self.plan.stall_s, time.monotonic()), Interruptions()
        while True:
            self._check_cancelled()
            outcome: ModelLoaded | Transcribed | Failure | None = None
            for index, found in self._pump():
                if isinstance(found, Failure) and index != awaited:
                    self._board.decide(index, found)
                elif index == awaited:
                    watch.progressed(time.monotonic())
                    outcome = found if isinstance(found, (Failure, kind)) else outcome
            child = self._children.get(awaited)
            vitals = child.vitals() if child else None
            held.look(vitals)
            if outcome is not None:
                self._board.interrupted(held)
            if isinstance(outcome, Failure):
                return outcome
            if outcome is not None:
                if held.of(outcome.seconds):
                    self._board.warn(awaited, f"{what} was interrupted: {held.told()}")
                return None
            if reason := watch.stalled(vitals):
                self._children.drop(awaited)
                reason += f" while it was {self._board.rows[awaited].phase}" + (held.told() and f" ({held.told()})")
                return failure("timeout", reason, "give it more with --timeout", status="timeout")

    # What children report.

    def _pump(self) -> list[tuple[int, Message | Failure]]:
        """Wait up to a tick for reports, take in all that are there, publish, and return what they come to."""
        found = []
        for index, report in self._children.reports(TICK_S):
            outcome = self._take_in(index, report)
            if outcome is not None:
                found.append((index, outcome))
            if not isinstance(outcome, Message):
                self._children.drop(index)
        if self._trace_memory() or found:
            self._board.publish()
        return found

    def _take_in(self, index: int, report: Message | Ended) -> Message | Failure | None:
        row = self._board.rows[index]
        is_over = row.phase == "ended"
        if isinstance(report, Ended) and is_over and report.kind != "launch" and index not in self._board.unfinished():
            if report.reason:
                self._board.warn(index, f"its process {report.reason} after its results were in")
            return None
        found = received(row, report, "before its runs were done" if is_over else f"while it was {row.phase}")
        if isinstance(found, Failure):
            return found
        self._board.rows[index] = found
        return report if isinstance(report, Message) else None

    def _trace_memory(self) -> bool:
        now = time.monotonic()
        if now - self._traced_at < TICK_S:
            return False
        self._traced_at = now
        rows = self._children.rows()
        for index in rows:
            if vitals := self._children[index].vitals():
                self._board.memory(index, vitals)
        return bool(rows)

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
        self.rows = list(rows_of(plan.candidates, time.monotonic()))
        self.state: RaceState = "preparing"
        self.order: str = plan.order
        self.notes: tuple[str, ...] = ()
        self.verdict = Verdict()
        self.language = ""
        self.doubts: tuple[str, ...] = ()
        self.conditions: tuple[Conditions, ...] = ()
        self._runs = plan.runs
        self._listener = listener
        self.snapshot = self.freeze()

    def freeze(self) -> RaceSnapshot:
        return RaceSnapshot(
            tuple(self.rows),
            self.state,
            self.order,
            self.notes,
            self.verdict,
            self.conditions,
            self.language,
            self.doubts,
        )

    def publish(self) -> None:
        """Make the present state the snapshot and hand it to the listener."""
        self.snapshot = self.freeze()
        self._listener(self.snapshot)

    def unfinished(self) -> list[int]:
        """Rows that neither have a status nor all their runs."""
        return [i for i, row in enumerate(self.rows) if not row.status and len(row.runs_s) < self._runs]

    def enter(self, index: int, candidate: Ready, phase: Phase) -> None:
        """A row begins with what its backend is to run; whatever was measured in it before is forgotten."""
        row = self.rows[index]
        self.rows[index] = Row(
            row.backend,
            row.size,
            spec=candidate.spec,
            location=candidate.location,
            version=candidate.version,
            warnings=candidate.warnings,
            candidate=row.candidate,
            label=row.label,
        )
        self.phase(index, phase)

    def phase(self, index: int, phase: Phase) -> None:
        """A row enters a phase now."""
        self.rows[index] = replace(self.rows[index], phase=phase, since=time.monotonic())
        self.publish()

    def decide(self, index: int, failure: Failure) -> None:
        """A row ends without a result; what it measured so far is kept."""
        row = self.rows[index]
        self.rows[index] = replace(row, status=failure.status, error=failure.error, spec=failure.spec or row.spec)
        self.phase(index, "ended")

    def note(self, remark: str) -> None:
        """Say something of the race as a whole."""
        self.notes = (*self.notes, remark)

    def look(self, seen: Conditions) -> None:
        """Keep how the machine stands, and say what that means for the times."""
        self.conditions = (*self.conditions, seen)
        for remark in conditions.remarks(*self.conditions):
            self.note(remark)

    def warn(self, index: int, warning: str) -> None:
        """Add a warning to a row, once."""
        row = self.rows[index]
        if warning not in row.warnings:
            self.rows[index] = replace(row, warnings=(*row.warnings, warning))

    def interrupted(self, held: Interruptions) -> None:
        """Say, once and last, that this race should be repeated where a step or a wait between two was held up."""
        if held.told():
            remark = "this race was interrupted, and its times may not compare: race again"
            self.notes = (*(note for note in self.notes if note != remark), remark)

    def memory(self, index: int, vitals: Vitals) -> None:
        """Take note of how much memory a child has."""
        row, rss, footprint = self.rows[index], vitals.rss, vitals.footprint
        trace = (*row.memory_trace[-TRACE_KEPT + 1 :], vitals.memory)
        peak = row.peak_footprint if footprint is None else max(row.peak_footprint or 0, footprint)
        self.rows[index] = replace(
            row, rss=rss, peak_rss=max(row.peak_rss, rss), peak_footprint=peak, memory_trace=trace
        )
