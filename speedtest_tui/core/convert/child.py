"""The process that converts: `python -m speedtest_tui.core.convert.child`, a Job on stdin; Progress and Done come back.

It can be ended at any moment: the folder that it fills becomes the result only when its parent has read `Done`. Should
the parent be killed too, the watchdog removes that folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from speedtest_tui.core import disk
from speedtest_tui.core.codec import typed
from speedtest_tui.core.convert import steps
from speedtest_tui.core.convert.convert import Done, Job, Progress, Stage
from speedtest_tui.core.convert.report import Report
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import Parent, serve

REPORT_EVERY_S = 0.1


def work(parent: Parent) -> None:
    """Carry out what was ordered. Raises UserError."""
    job = typed(Job, parent.order)
    parent.unfinished(job.folder)
    report = convert(job, parent.send)
    parent.unfinished(None)
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
