"""Repairing models: the steps of a plan, then whether the models that they touched are complete and load; and back.

job = Repair(plan.chosen, reports, entries)      # no entries: the models are not loaded afterwards
job.start(); job.join()
job.result.progress, job.result.checks, job.result.ok, job.result.progress.entry

Undo().run(), EmptyTrash().run()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backends.base import Advice, BackendEntry, Location
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.job import Job, JobRow, counted
from speedtest_tui.core.jobs.overview import inspect_caches
from speedtest_tui.core.jobs.verify import DOING, verify
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState, ModelReport, Verification
from speedtest_tui.core.repair import trash, undo
from speedtest_tui.core.repair.apply import Application, Progress, StepRow
from speedtest_tui.core.repair.step import Step
from speedtest_tui.core.repair.undo import Undone


@dataclass(frozen=True)
class Check:
    """How a model stands after a repair.

    verified: where it was loaded; advice: why that could not be remembered
    """

    backend: str
    size: str
    model: str
    cache: CacheName
    state: CacheState
    verified: Verification | None = None
    advice: Advice | None = None

    @property
    def ok(self) -> bool:
        """Whether it is complete, and loads where that was tried."""
        return self.state.state == "complete" and (self.verified is None or self.verified.ok)


@dataclass(frozen=True)
class Repaired:
    """What came of the steps, and how the models stand that they touched; `cancelled`, be it during the checks."""

    progress: Progress
    checks: tuple[Check, ...] = ()
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        """Whether every step was taken and every model is as it should be."""
        return not self.cancelled and self.progress.state == "done" and all(check.ok for check in self.checks)


class Repair(Job[Repaired]):
    """Carry steps out; afterwards the models that they touched are examined and, unless `verify` is False, loaded.

    reports: the models of the plan
    entries: the backends that they belong to
    again: whether what the steps leave of the same models is done, too: a download can bring weights that need a link
    declined: steps that somebody has left out on purpose, which are not done then
    timeout: as in `verify`
    """

    def __init__(
        self,
        steps: Sequence[Step],
        reports: Sequence[ModelReport],
        entries: Sequence[BackendEntry],
        *,
        verify: bool = True,
        again: bool = True,
        declined: Sequence[Step] = (),
        timeout: float | None = None,
    ) -> None:
        super().__init__("repair", "Repair", [JobRow(_key(step), step.titled) for step in steps])
        self._steps, self._reports, self._timeout = tuple(steps), tuple(reports), timeout
        self._entries, self._verify, self._again = tuple(entries), verify, again
        self._declined = {_key(step) for step in declined}

    def work(self) -> None:
        progress = Application(self._steps, self._moved, self._plan if self._again else None, self._cancelled).run()
        checks = () if self._cancelled.is_set() else tuple(self._check(progress))
        result = Repaired(progress, checks, self._cancelled.is_set())
        summary = progress.message or counted(self.view.rows[: len(progress.rows)], "done")
        if checks:
            good = sum(check.ok for check in checks)
            summary += f"; {good} of {len(checks)} models complete{' and loading' if self._verify else ''}"
        self.end(summary, result=result, failed=not result.ok)

    def _plan(self) -> list[Step]:
        """What is left to do for the models of the steps."""
        wanted = {step.model for step in self._steps}
        plans = [overview.plan for overview in inspect_caches(self._entries, self._cancelled) if overview.done]
        left = [step for plan in plans for step in plan.chosen if step.model in wanted]
        return [step for step in left if _key(step) not in self._declined]

    def _moved(self, progress: Progress) -> None:
        self.show([step_row(row, self._reports) for row in progress.rows])

    def _check(self, progress: Progress) -> Iterator[Check]:
        """Examine all models that steps were taken for, and verify those that are complete; each is a row."""
        taken = [row.step for row in progress.rows if row.state in ("done", "skipped")]
        touched = {(step.model, step.cache) for step in taken}
        for report in _with_fallbacks(self._reports):
            for cache, _ in report.states:
                assert report.spec is not None
                if (report.spec.source, cache) in touched and not self._cancelled.is_set():
                    yield self._checked(report, cache)

    def _checked(self, report: ModelReport, cache: CacheName) -> Check:
        spec = report.spec
        assert spec is not None
        key = f"check {report.backend} {spec.source} {cache}"
        title = f"check {report.backend} {spec.source.rpartition('/')[2]}"
        index = len(self.view.rows)
        self.show([*self.view.rows, JobRow(key, title, "running", "reading its files", backends=(report.backend,))])
        state = examine(spec, cache)
        verified, advice = None, None
        entry = next((entry for entry in self._entries if entry.name == report.backend), None)
        if self._verify and entry is not None and state.state == "complete" and not report.unavailable:
            name = "embedded" if spec.kind == "embedded" else cache
            location = Location(state.path, state.revision, name, state.bytes)

            def on_change(phase: str, seconds: float) -> None:
                self.change(index, note=DOING[phase], seconds=seconds)

            verified, advice = verify(
                entry, spec, location, on_change, self._cancelled, timeout=self._timeout, chosen=report.options
            )
        check = Check(report.backend, report.size, spec.source, cache, state, verified, advice)
        self.change(
            index, state="done" if check.ok else "failed", seconds=None, note=_outcome(check), advice=_fault(check)
        )
        return check


def _key(step: Step) -> str:
    return f"{step.kind} {step.path}"


def step_row(row: StepRow, reports: Sequence[ModelReport]) -> JobRow:
    """A step as a row of a job."""
    backends = tuple(dict.fromkeys(report.backend for report in reports if row.step.model in _sources(report)))
    moving = {"bytes": row.bytes, "total": row.total, "speed": row.speed, "eta_s": row.eta_s}
    return JobRow(_key(row.step), row.step.titled, row.state, row.note, row.advice, **moving, backends=backends)  # type: ignore[arg-type]


def _sources(report: ModelReport) -> set[str]:
    """What a report and its fallback come from."""
    return {one.spec.source for one in _with_fallbacks([report]) if one.spec}


def _with_fallbacks(reports: Sequence[ModelReport]) -> Iterator[ModelReport]:
    """All reports that have a model, each followed by its fallback."""
    for report in reports:
        one: ModelReport | None = report
        while one is not None:
            if one.spec is not None:
                yield one
            one = one.fallback


def _outcome(check: Check) -> str:
    """ "complete, loads and transcribes, loaded in 0.42 s"."""
    parts = [figures.LOOKS[check.state.state].word]
    if check.verified:
        parts.append(check.verified.message)
        parts += [f"loaded in {figures.seconds(check.verified.seconds)}"] if check.verified.ok else []
    if check.advice:
        parts.append(f"not kept: {check.advice}")
    return ", ".join(parts)


def _fault(check: Check) -> Advice | None:
    if check.ok:
        return None
    if check.verified is not None:
        return Advice(check.verified.message)
    word = figures.LOOKS[check.state.state].word
    return Advice(f"{word} ({check.state.detail})" if check.state.detail else word, "make a new plan")


class Undo(Job[Undone]):
    """Put back what a repair replaced: the one whose id begins with `name`, by itself the last."""

    def __init__(self, name: str = "") -> None:
        super().__init__("undo", "Undo", [JobRow("undo", name or "the last repair")])
        self._id = name

    def work(self) -> None:
        try:
            entry = undo.find(self._id)
        except UserError as error:
            self.change(0, state="skipped", note=error.what)
            self.end(error.what)
            return
        self.change(0, title=entry.what, state="running")
        undone = undo.undo(entry)
        count = len(undone.reverted)
        note = f"{count} change{'' if count == 1 else 's'} undone"
        left = "; ".join(undone.left[:3])
        if undone.complete:
            self.change(0, state="done", note=f"{note}; left alone: {left}" if left else note)
        else:
            self.change(0, state="failed", advice=Advice(f"{note}; left alone: {left}", "undo again"))
        self.end(f"{note}; left alone: {left}" if left else note, result=undone, failed=not undone.complete)


@dataclass(frozen=True)
class Emptied:
    """The bytes that emptying the trash has freed, and what could not be deleted."""

    freed: int
    left: tuple[trash.Entry, ...]


class EmptyTrash(Job[Emptied]):
    """Delete what repairs replaced."""

    def __init__(self) -> None:
        super().__init__("trash", "Trash", [JobRow("trash", "empty the trash")])

    def work(self) -> None:
        self.change(0, state="running")
        result = Emptied(trash.empty(), tuple(entry for entry in trash.entries() if not entry.foreign))
        note = f"{figures.amount(result.freed)} freed"
        if not result.left:
            self.change(0, state="done", note=note)
            self.end(note, result=result)
            return
        folders = ", ".join(str(entry.folders[0]) for entry in result.left)
        advice = Advice(f"{folders} could not be emptied", "check its permissions")
        self.change(0, state="failed", advice=advice)
        self.end(f"{note}; {advice}", result=result, failed=True)
