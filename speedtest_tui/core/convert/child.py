"""The process that converts: `python -m speedtest_tui.core.convert.child`, a Job on stdin; Progress and Done come back.

It can be ended at any moment: the folder that it fills becomes the result only when its parent has read `Done`. Should
the parent be killed too, a guard removes that folder.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from speedtest_tui.core import disk
from speedtest_tui.core.codec import typed
from speedtest_tui.core.convert import steps
from speedtest_tui.core.convert.convert import Done, Job, Progress, Stage
from speedtest_tui.core.convert.report import Report
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import Parent, serve

REPORT_EVERY_S = 0.1
FINISHED = b"."
GUARD_WAIT_S = 0.1


class Guard:
    """A process of its own group that removes a folder, unless it is told that the work was finished.

    Nothing else could: a process that is killed together with its parent leaves what it has written.
    """

    def __init__(self, folder: Path) -> None:
        """Fork; call it before there are threads."""
        reading, self._writing = os.pipe()
        if os.fork():
            os.close(reading)
            return
        try:
            os.setsid()
            os.dup2(reading, 3)
            # Pipes that it held open would keep others waiting for their end.
            os.closerange(4, 64)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            if os.read(3, 1) != FINISHED:
                time.sleep(GUARD_WAIT_S)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os._exit(0)

    def finished(self) -> None:
        """Let the folder stay: its parent takes it over."""
        os.write(self._writing, FINISHED)


def work(parent: Parent) -> None:
    """Carry out what was ordered. Raises UserError."""
    job = typed(Job, parent.order)
    guard = Guard(job.folder)
    report = convert(job, parent.send)
    guard.finished()
    parent.send(Done(report))


def convert(job: Job, send: Callable[[Progress], None]) -> Report:
    """Convert, telling of progress not too often. Raises UserError."""
    said = ("", 0.0)

    def tell(stage: Stage, done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if stage != said[0] or done >= total or now - said[1] > REPORT_EVERY_S:
            said = (stage, now)
            send(Progress(stage, done, total))

    try:
        return steps.convert(job, tell)
    except OSError as error:
        advice = disk.advice(error, job.folder.parent, "choose another folder")
        raise UserError(advice.what, advice.todo) from error
    except MemoryError as error:
        raise UserError("the conversion ran out of memory", "close other programs and try again") from error


if __name__ == "__main__":
    serve(work)
