"""Converting a NeMo checkpoint: its stages as rows, and the proof that comes with what was made.

job = Convert(source, target, "bfloat16", bits=0)
job.start(); job.join()
job.result.folder, job.result.report
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from speedtest_tui.core import format as figures
from speedtest_tui.core.convert.convert import STAGES, ConversionCancelledError, Converted, Progress, Stage, convert
from speedtest_tui.core.convert.numbers import DType
from speedtest_tui.core.jobs.job import WAIT_S, Job, JobRow
from speedtest_tui.core.locations import short

TITLES: dict[Stage, str] = {
    "starting": "open the checkpoint",
    "unpacking": "decompress the archive",
    "converting": "convert the weights",
    "proving": "compare with PyTorch",
    "saving": "save the model",
}


class Convert(Job[Converted]):
    """Convert the .nemo file `source` into the folder `target`; `dtype` and `bits` as in `core.convert.convert`.

    Cancelled or failed, it leaves nothing behind: then `error` is the UserError, if it was one.
    """

    def __init__(self, source: Path, target: Path, dtype: DType = "bfloat16", bits: int = 0) -> None:
        super().__init__("convert", "Convert", rows_of(["starting"], Progress("starting"), 0.0), source.name)
        self.source, self.target, self.dtype, self.bits = source, target, dtype, bits
        self._progress = Progress("starting")
        self._since = time.monotonic()
        self._seen: list[Stage] = ["starting"]

    def work(self) -> None:
        over = threading.Event()
        clock = threading.Thread(target=self._tick, args=(over,), name="conversion's clock", daemon=True)
        clock.start()
        try:
            done = convert(
                self.source, self.target, self.dtype, self.bits, on_progress=self._moved, cancelled=self._cancelled
            )
        except ConversionCancelledError:
            self._cancelled.set()
            self._join(over, clock)
            self.end("cancelled; nothing was left behind")
        else:
            self._join(over, clock)
            self.show([JobRow(row.key, row.title, "done") for row in self.view.rows])
            self.end(summary(done), result=done)
        finally:
            self._join(over, clock)

    def _moved(self, progress: Progress) -> None:
        if progress.stage != self._progress.stage:
            self._since = time.monotonic()
            self._seen.append(progress.stage)
        self._progress = progress

    def _tick(self, over: threading.Event) -> None:
        """Say how far it is and how long a stage has taken: the child says little of some."""
        while not over.wait(WAIT_S):
            self.show(rows_of(self._seen, self._progress, time.monotonic() - self._since))

    def _join(self, over: threading.Event, clock: threading.Thread) -> None:
        over.set()
        clock.join()


def rows_of(seen: list[Stage], progress: Progress, seconds: float) -> list[JobRow]:
    """The stages as rows; decompressing is one only where it happens, as most archives are plain."""
    shown = [stage for stage in STAGES if stage != "unpacking" or stage in seen]
    at = shown.index(progress.stage)
    rows = [JobRow(stage, TITLES[stage], "done" if place < at else "waiting") for place, stage in enumerate(shown)]
    rows[at] = JobRow(
        progress.stage, TITLES[progress.stage], "running", bytes=progress.done, total=progress.total or None,
        seconds=seconds,
    )  # fmt: skip
    return rows


def summary(done: Converted) -> str:
    """What was made, and that it was proven; a conversion whose proof fails is never kept."""
    report = done.report
    made = f"{report.family}, {figures.parameters(report.parameters)} parameters as {report.form}"
    size = sum(path.stat().st_size for path in done.folder.iterdir())
    return f"{made}, {figures.amount(size)}: every stage is within its bound. It is in {short(done.folder)}"
