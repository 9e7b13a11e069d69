"""Work in a thread of its own that a command waits for, Ctrl-C included."""

from __future__ import annotations

import threading

from speedtest_tui.core.process.awake import awake


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
