"""The job that converts a checkpoint: its stages as rows, its proof as the result. Imported when one starts."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from speedtest_tui.core import format as amounts
from speedtest_tui.core import format as figures
from speedtest_tui.core.convert.convert import STAGES, ConversionCancelledError, Converted, Progress, Stage, convert
from speedtest_tui.core.convert.numbers import DType
from speedtest_tui.core.errors import UserError
from speedtest_tui.ui.widgets.convert_text import count
from speedtest_tui.ui.workers.folder import short
from speedtest_tui.ui.workers.job_runs import WAIT_S
from speedtest_tui.ui.workers.jobs import Job, JobRow, JobState, JobView, Publish

WORDS: dict[Stage, str] = {
    "starting": "open the checkpoint",
    "unpacking": "decompress the archive",
    "converting": "convert the weights",
    "proving": "compare with PyTorch",
    "saving": "save the model",
}


class Conversion(threading.Thread):
    """One conversion beside the job, which meanwhile says how long a stage has taken. `outcome` once it has ended."""

    def __init__(self, source: Path, target: Path, dtype: DType, bits: int, cancelled: threading.Event) -> None:
        super().__init__(name="conversion", daemon=True)
        self.progress = Progress("starting")
        self.since = time.monotonic()
        self.seen: list[Stage] = ["starting"]
        self.outcome: Converted | Exception | None = None
        self._order = (source, target, dtype, bits)
        self._cancelled = cancelled

    def run(self) -> None:
        try:
            self.outcome = convert(*self._order, on_progress=self._moved, cancelled=self._cancelled)
        except Exception as error:
            self.outcome = error

    def _moved(self, progress: Progress) -> None:
        if progress.stage != self.progress.stage:
            self.since = time.monotonic()
            self.seen.append(progress.stage)
        self.progress = progress


def converting(source: Path, target: Path, dtype: DType, bits: int) -> Job:
    """Convert `source` into the folder `target`."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        view = JobView("convert", f"Convert {source.name}", rows_of(["starting"], Progress("starting"), 0.0))
        publish(view)
        conversion = Conversion(source, target, dtype, bits, cancelled)
        conversion.start()
        while conversion.is_alive():
            conversion.join(WAIT_S)
            rows = rows_of(conversion.seen, conversion.progress, time.monotonic() - conversion.since)
            if rows != view.rows:
                view = replace(view, rows=rows)
                publish(view)
        publish(ended(view, conversion.outcome))

    return job


def rows_of(seen: list[Stage], progress: Progress, seconds: float) -> tuple[JobRow, ...]:
    """The stages as rows; decompressing is one only where it happens, as most archives are plain."""
    shown = [stage for stage in STAGES if stage != "unpacking" or stage in seen]
    return tuple(
        _row(stage, shown.index(progress.stage) - place, progress, seconds) for place, stage in enumerate(shown)
    )


def _row(stage: Stage, behind: int, progress: Progress, seconds: float) -> JobRow:
    state: JobState = "done" if behind > 0 else "running" if behind == 0 else "waiting"
    if state != "running":
        return JobRow(WORDS[stage], state)
    share = progress.done / progress.total if progress.total else None
    said = [amounts.of(progress.done, progress.total)] if progress.total else []
    return JobRow(WORDS[stage], state, share, ", ".join([*said, figures.ticking(seconds)]))


def ended(view: JobView, outcome: Converted | Exception | None) -> JobView:
    """The last view: every row with its end, and the sentence. Raises what nobody foresaw."""
    if isinstance(outcome, Converted):
        rows = tuple(replace(row, state="done", share=None, figures="") for row in view.rows)
        return replace(view, rows=rows, over=True, sentence=sentence(outcome), converted=outcome)
    if isinstance(outcome, ConversionCancelledError):
        rows = _stopped(view.rows, "cancelled", "")
        return replace(view, rows=rows, over=True, sentence="cancelled; nothing was left behind", problem=True)
    if isinstance(outcome, UserError):
        rows = _stopped(view.rows, "failed", str(outcome))
        return replace(view, rows=rows, over=True, sentence=str(outcome), problem=True)
    raise outcome or RuntimeError("the conversion ended without a result")


def _stopped(rows: tuple[JobRow, ...], how: JobState, message: str) -> tuple[JobRow, ...]:
    """Where the work stopped; what had not begun never will."""
    ends: dict[JobState, JobState] = {"running": how, "waiting": "skipped"}
    return tuple(
        replace(row, state=ends.get(row.state, row.state), share=None, figures="",
                message=message if row.state == "running" else "")
        for row in rows
    )  # fmt: skip


def sentence(done: Converted) -> str:
    """What was made, and that it was proven; a conversion whose proof fails is never kept."""
    report = done.report
    size = sum(path.stat().st_size for path in done.folder.iterdir())
    return (
        f"{report.family}, {count(report.parameters)} parameters as {report.form}, {amounts.amount(size)}: "
        f"every stage is within its bound. It is in {short(done.folder)}"
    )
