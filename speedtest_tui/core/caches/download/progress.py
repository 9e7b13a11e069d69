"""What a downloading child tells its parent, not too often; and the counting of attempts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from speedtest_tui.core.caches.download.failures import Failure
from speedtest_tui.core.caches.download.request import Patience

INTERVAL_S = 0.1


class Progress:
    """Counts bytes and passes them on. `send(event, **fields)` is given; see `child` for the events."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._due = 0.0
        self._total: int | None = None
        self.bytes = self.fetched = 0
        self._file = ""

    def begin(self, present: int, total: int | None) -> None:
        """Say what there is to do, in bytes."""
        self.bytes, self._total = present, total
        self._report()

    def grow(self, more: int) -> None:
        """The whole turned out to be larger, or smaller, than was said."""
        self._total = None if self._total is None else self._total + more

    def file(self, name: str) -> None:
        """Another file is in hand."""
        self._file = name

    def state(self, state: str) -> None:
        """ "resolving", "checking", "fetching" or "waiting"."""
        self._send("state", state=state, file=self._file)

    def note(self, text: str) -> None:
        """Something that people should see."""
        self._send("note", text=text)

    def received(self, count: int) -> None:
        """Bytes came over the network and are in the file."""
        self.bytes += count
        self.fetched += count
        self.tick()

    def counted(self, count: int) -> None:
        """Bytes that need not be fetched after all, or, below zero, that are lost."""
        self.bytes += count
        self.tick()

    def tick(self) -> None:
        """Report if it is time to."""
        if time.monotonic() >= self._due:
            self._report()

    def end(self, **fields: Any) -> None:
        """The last figures, then the end."""
        self._report()
        self._send("finished", **fields)

    def _report(self) -> None:
        self._due = time.monotonic() + INTERVAL_S
        self._send("progress", bytes=self.bytes, total=self._total, fetched=self.fetched, file=self._file)


class Attempts:
    """How often something has failed in a row, and how long to wait before the next time."""

    def __init__(self, patience: Patience, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patience, self._progress, self._sleep = patience, progress, sleep
        self._failed = 0

    def progressed(self) -> None:
        """A byte came: the server is there."""
        self._failed = 0

    def failed(self, failure: Failure) -> None:
        """Wait for the next attempt. Raises the failure where there is to be none."""
        self._failed += 1
        if not failure.transient or self._failed >= self._patience.attempts:
            raise failure
        wait = min(self._patience.first_wait_s * 2 ** (self._failed - 1), self._patience.longest_wait_s)
        if failure.wait_s is not None:
            wait = failure.wait_s
        self._progress.note(f"{failure.what}: trying again in {wait:.0f} s" if wait >= 1 else f"{failure.what}")
        self._sleep(wait)
