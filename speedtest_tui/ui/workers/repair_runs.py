"""The jobs that change caches: repairing, undoing, emptying the trash. Imported when the first one starts."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from backends.base import BackendEntry
from speedtest_tui.core import format as amounts
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.overview import inspect_caches
from speedtest_tui.core.jobs.verify import loading
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.repair import trash, undo
from speedtest_tui.core.repair.apply import Application, Progress, StepRow
from speedtest_tui.core.repair.recheck import Aftercare, Check
from speedtest_tui.core.repair.step import Step
from speedtest_tui.ui.workers.job_runs import WAIT_S, Board, counted
from speedtest_tui.ui.workers.jobs import Job, JobRow, JobView, Publish


def repairing(steps: Sequence[Step], reports: Sequence[ModelReport], entries: Sequence[BackendEntry]) -> Job:
    """Carry steps out; afterwards the models that they touched are examined and loaded."""
    wanted = {step.model for step in steps}
    touched = tuple(report for report in reports if wanted & sources(report))

    def job(publish: Publish, cancelled: threading.Event) -> None:
        board = Board(JobView("repair", "Repair", tuple(JobRow(step.titled) for step in steps)), publish)

        def changed(progress: Progress) -> None:
            rows = [step_row(row, reports) for row in progress.rows]
            if progress.state == "checking":
                rows += [check_row(check) for check in progress.checks]
                rows += [JobRow("checking what was repaired", "running", figures=progress.message)]
            elif progress.checks:
                rows += [check_row(check) for check in progress.checks]
            board.show(tuple(rows))

        def replan() -> list[Step]:
            """What the steps have left of the same models: a download can bring weights that still need a link."""
            found = [stock.plan for stock in inspect_caches(entries, cancelled) if stock.done]
            return [step for plan in found for step in plan.chosen if step.model in wanted]

        application = Application(steps, changed, replan, Aftercare(touched, loading(entries)))
        application.start()
        while application.is_alive():
            if cancelled.is_set():
                application.cancel()
            application.join(WAIT_S)
        last = application.snapshot
        sentence, problem = counted([step_row(row, reports) for row in last.rows], "done")
        if last.checks:
            good = sum(check.ok for check in last.checks)
            sentence += f"; {good} of {len(last.checks)} models complete and loading"
            problem = problem or good < len(last.checks)
        if last.state == "failed" and last.message:
            sentence, problem = last.message, True
        board.end(f"{sentence} · u undoes what was replaced" if last.entry else sentence, problem)

    return job


def sources(report: ModelReport) -> set[str]:
    """What a report and what stands in for it come from."""
    own = {report.spec.source} if report.spec else set()
    return own | (sources(report.fallback) if report.fallback else set())


def step_row(row: StepRow, reports: Sequence[ModelReport]) -> JobRow:
    """A step as a row."""
    backends = tuple(dict.fromkeys(report.backend for report in reports if row.step.model in sources(report)))
    said = ", ".join(filter(None, (figures.progress(row), row.message if row.state == "running" else "")))
    message = row.message if row.state in ("failed", "skipped") else ""
    return JobRow(row.step.titled, row.state, figures.share(row), said, message, backends)


def check_row(check: Check) -> JobRow:
    """How a model stands afterwards."""
    state, _ = wording.long(check.state)
    said = [state] + ([check.verified.message] if check.verified else [])
    if check.verified and check.verified.ok:
        said.append(f"in {figures.seconds(check.verified.seconds)}")
    text = f"check {check.backend} {check.model.rpartition('/')[2]}"
    return JobRow(text, "done" if check.ok else "failed", message=", ".join(said), backends=(check.backend,))


def undoing() -> Job:
    """Put back what the last repair replaced."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        board = Board(JobView("undo", "Undo", (JobRow("the last repair"),)), publish)
        try:
            entry = undo.find()
        except UserError as error:
            board.set(0, state="skipped", message=error.what)
            board.end(error.what)
            return
        board.set(0, text=entry.what, state="running")
        undone = undo.undo(entry)
        count = len(undone.reverted)
        said = f"{count} change{'' if count == 1 else 's'} taken back"
        if undone.left:
            said += f"; left alone: {'; '.join(undone.left[:3])}"
        board.set(0, state="done" if undone.complete else "failed", message=said)
        board.end(said, problem=not undone.complete)

    return job


def emptying() -> Job:
    """Delete what repairs replaced."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        board = Board(JobView("trash", "Trash", (JobRow("empty the trash", "running"),)), publish)
        said = f"{amounts.amount(trash.empty())} freed"
        board.set(0, state="done", message=said)
        board.end(said)

    return job
