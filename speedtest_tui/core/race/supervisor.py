"""The background thread that runs a race: prepares, starts, times, cancels, and tells whoever listens.

It owns the children, one at most for each row at a time; what leaves it are frozen snapshots. A child that fails costs
its own row only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from speedtest_tui.core import conditions, format, host
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.conditions import Conditions
from speedtest_tui.core.process.background import Background
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import Ended, Vitals
from speedtest_tui.core.race.events import CLOSE, ModelLoaded, Transcribe, Transcribed
from speedtest_tui.core.race.groups import Groups, Need, grouped
from speedtest_tui.core.race.plan import Plan, Turn, interleaved
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
        self._ready: dict[int, Ready] = {}
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
            rows, board.verdict = decide(judged, self.plan.max_wer, paired=board.order != "sequential")
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
        self._prepare()
        needs = {index: Need.of(ready) for index, ready in self._ready.items()}
        groups = Groups(needs, host.available_memory(), plan.order)
        board.group_note = groups.why and f"runs in {groups.planned()} groups: {groups.why}"
        board.state = "racing"
        try:
            while group := groups.next(board.complete()):
                board.group += 1
                self._race_together(group, groups, descriptor)
        finally:
            rows, board.order, board.group_note = grouped(board.rows, groups.why, plan.order)
            board.rows = list(rows)

    def _race_together(self, group: tuple[int, ...], groups: Groups, descriptor: int) -> None:
        """Load candidates, let them transcribe in turns; those that prove too large for that wait for a later group."""
        for index in group:
            self._start(index, descriptor)
            self._make_room(groups)
        while groups.anchor in group and groups.anchor not in (loaded := self._children.rows()) and loaded:
            other = groups.other_anchor([index for index in self._board.complete() if index not in group], loaded)
            if other is None:
                break
            group = (*group, other)
            self._start(other, descriptor)
            self._make_room(groups)
        turns = interleaved(self._children.rows(), self.plan.warmup, self.plan.runs)
        self._take(turn for turn in turns if turn.kind == "warm-up")
        self._make_room(groups)
        if set(self._children.rows()) - set(self._board.complete()):  # not only an anchor beside which nobody is left
            self._take(turn for turn in turns if turn.kind == "run")
        self._close()

    def _make_room(self, groups: Groups) -> None:
        """Take note of what models hold on the accelerator, and end those that others leave no room for."""
        for index in self._children.rows():
            row = self._board.rows[index]
            if row.device_limit:
                groups.needs[index] = groups.needs[index]._replace(held=row.device_held or 0, limit=row.device_limit)
        while (large := groups.surplus(self._children.rows())) is not None:
            self._children.drop(large)
            self._board.enter(large, self._ready[large], "waiting")

    # The steps of a race.

    def _prepare(self) -> None:
        """Find every backend's model; rows that cannot start get their status here."""
        for index, candidate in enumerate(self.plan.candidates):
            self._check_cancelled()
            self._board.phase(index, "preparing")
            found = prepare(candidate, self.plan.language, self._cancelled)
            if isinstance(found, Ready):
                self._ready[index] = found
                self._board.enter(index, found, "waiting")
            else:
                self._board.decide(index, found)

    def _start(self, index: int, descriptor: int) -> None:
        """Load a model in a child of its own; where it does not load, once, its fallback."""
        candidate, failed = self._ready[index], self._load(index, descriptor)
        loading = self._board.rows[index].phase == "loading" and not self._board.rows[index].runs_s
        if failed and loading and candidate.spec.fallback and failed.error.kind in DOES_NOT_LOAD:
            replacement = fallback(candidate, failed, self._cancelled)
            if isinstance(replacement, Ready):
                self._ready[index] = replacement
            failed = replacement if isinstance(replacement, Failure) else self._load(index, descriptor)
        if failed:
            self._board.decide(index, failed)

    def _load(self, index: int, descriptor: int) -> Failure | None:
        """Start a child and wait until its model is loaded, with nothing else running meanwhile."""
        self._check_cancelled()
        candidate = self._ready[index]
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
        if len(found.runs_s) > len(found.groups):
            found = replace(found, groups=(*found.groups, self._board.group))
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
        self.order = plan.order
        self.group = 0
        self.group_note = ""
        self.notes: tuple[str, ...] = ()
        self.verdict = Verdict()
        self.language = ""
        self.doubts: tuple[str, ...] = ()
        self.conditions: tuple[Conditions, ...] = ()
        self._runs = plan.runs
        self._listener = listener
        self.snapshot = self.freeze()

    def freeze(self) -> RaceSnapshot:
        notes = (self.group_note, *self.notes) if self.group_note else self.notes
        return RaceSnapshot(
            tuple(self.rows), self.state, self.order, notes, self.verdict, self.conditions, self.language, self.doubts
        )

    def publish(self) -> None:
        """Make the present state the snapshot and hand it to the listener."""
        self.snapshot = self.freeze()
        self._listener(self.snapshot)

    def unfinished(self) -> list[int]:
        """Rows that neither have a status nor all their runs."""
        return [i for i, row in enumerate(self.rows) if not row.status and len(row.runs_s) < self._runs]

    def complete(self) -> list[int]:
        """Rows that have all their runs."""
        return [i for i, row in enumerate(self.rows) if row.status in ("", "ok") and len(row.runs_s) >= self._runs]

    def enter(self, index: int, candidate: Ready, phase: Phase) -> None:
        """A row begins with what its backend is to run; what was measured in it is forgotten, but for an anchor's."""
        row = self.rows[index]
        if not row.runs_s:
            self.rows[index] = Row(
                row.backend, row.size, candidate=row.candidate, label=row.label, spec=candidate.spec,
                location=candidate.location, version=candidate.version, warnings=candidate.warnings,
            )  # fmt: skip
        self.phase(index, phase)

    def phase(self, index: int, phase: Phase) -> None:
        """A row enters a phase now."""
        self.rows[index] = replace(self.rows[index], phase=phase, since=time.monotonic())
        self.publish()

    def decide(self, index: int, failure: Failure) -> None:
        """A row ends without a result, unless it has one of an earlier group; what it measured so far is kept."""
        row = self.rows[index]
        if row.groups and row.groups[0] != self.group:
            self.warn(index, f"in group {self.group} it {format.outcome(failure.status, str(failure.error.advice))}")
            self.phase(index, "ended")
            return
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
