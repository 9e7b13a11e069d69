"""Work in a thread of its own that a command waits for, Ctrl-C included; and keeping the machine awake meanwhile.

On macOS idle sleep would stop a race, a download, a conversion or a recording. Nothing is done on Linux, whose desktops
ask the session's own manager and whose servers do not sleep.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

PROGRAM = "/usr/bin/caffeinate" if sys.platform == "darwin" else ""

END_S = 1.0


@contextlib.contextmanager
def awake(program: str = "") -> Iterator[None]:
    """Keep the machine from sleeping by itself for as long as this lasts; the display may go dark.

    `caffeinate -i -w PID` (its manual page): -i prevents idle sleep, -w ends it with this process, however that ends.
    Without such a program nothing happens.

    program: takes the place of caffeinate
    """
    if not (program := program or PROGRAM):
        yield
        return
    import subprocess

    nothing = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            [program, "-i", "-w", str(os.getpid())],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Background(threading.Thread):
    """A daemon thread that keeps the machine awake. Give it `work`, which looks at `_cancelled`; start it, join it."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._cancelled = threading.Event()
        self._over = threading.Event()

    def work(self) -> None:
        """What it does; called in the thread."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ask it to stop; returns at once. What it has started is ended, or kept for another time, before it ends."""
        self._cancelled.set()

    def run(self) -> None:
        try:
            with awake():
                self.work()
        finally:
            self._over.set()

    def join(self, timeout: float | None = None) -> None:
        """As Thread.join, which up to Python 3.12 takes the thread for ended when Ctrl-C interrupts the wait."""
        if self._over.wait(timeout):
            super().join(timeout)
