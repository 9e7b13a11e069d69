"""The process that converts: `python -m speedtest_tui.core.convert.child`, a job as the first line on stdin.

Events: stage(name, done, total) · converted(report) · failed(message, hint). It can be ended at any moment: the folder
that it fills becomes the result only when its parent has heard `converted`. Should the parent be killed too, a guard
removes that folder.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from speedtest_tui.core import disk
from speedtest_tui.core.codec import plain
from speedtest_tui.core.convert import steps
from speedtest_tui.core.convert.report import Report
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import EventPipe, die_with_parent, read_commands

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


def work(pipe: EventPipe, order: dict[str, Any]) -> Report:
    """Carry out one order. Raises UserError."""
    job = steps.Job(
        Path(order["source"]), Path(order["folder"]), order["dtype"], int(order["bits"]), int(order["limit"])
    )
    said = ("", 0.0)

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if stage != said[0] or done >= total or now - said[1] > REPORT_EVERY_S:
            said = (stage, now)
            pipe.send("stage", name=stage, done=done, total=total)

    try:
        return steps.convert(job, tell)
    except OSError as error:
        advice = disk.advice(error, job.folder.parent, "choose another folder")
        raise UserError(advice.what, advice.todo) from error
    except MemoryError as error:
        raise UserError("the conversion ran out of memory", "close other programs and try again") from error


def main() -> int:
    die_with_parent()
    pipe = EventPipe()
    order = _first_line()
    guard = Guard(Path(order["folder"]))
    threading.Thread(target=read_commands, args=(queue.SimpleQueue(),), name="commands", daemon=True).start()
    try:
        report = work(pipe, order)
    except UserError as error:
        pipe.send("failed", message=error.what, hint=error.todo)
        return 2
    except Exception as error:
        import traceback

        traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        pipe.send("failed", message=f"the conversion failed ({text:.200})", hint="please report this")
        return 2
    guard.finished()
    pipe.send("converted", report=plain(report))
    return 0


def _first_line() -> dict[str, Any]:
    """Read the order byte by byte from stdin: what comes after it belongs to the thread that waits for the end."""
    import json

    line = bytearray()
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            os._exit(1)
        line += byte
    order: dict[str, Any] = json.loads(line)
    return order


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not through the interpreter's end: MLX and torch have threads that may abort there.
    os._exit(code)
