"""The parent's side of downloads: a queue, one child process at a time, and snapshots of all rows for whoever looks."""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backends.base import Advice
from speedtest_tui.core.download.request import (
    MESSAGES,
    UNREACHABLE,
    DownloadRow,
    Figures,
    Finished,
    Note,
    Request,
    Step,
)
from speedtest_tui.core.process.lines import Failed, Message
from speedtest_tui.core.process.parent import Child, Ended

Listener = Callable[[tuple[DownloadRow, ...]], None]

CHILD = "speedtest_tui.core.download.child"
TICK_S = 0.1
SPEED_WINDOW_S = 5.0
STILL: dict[str, Any] = {"speed": None, "eta_s": None}
TRY_AGAIN = "download it again; what was downloaded is kept"


class Downloads:
    """Downloads one after the other, in a thread of its own, each in a child process.

    The listener is called in that thread with all rows: at once when one changes its state, else at most every TICK_S.
    What it raises ends the queue, so it should not.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener or (lambda _rows: None)
        self._changed = threading.Condition()
        self._rows: list[DownloadRow] = []
        self._unwanted: set[int] = set()
        self._running: int | None = None
        self._thread: threading.Thread | None = None
        self._due = 0.0

    @property
    def rows(self) -> tuple[DownloadRow, ...]:
        """All rows as they are now, in the order in which they were added."""
        with self._changed:
            return tuple(self._rows)

    def add(self, request: Request) -> int:
        """Queue a request; one that is already waiting or running is not queued twice. Returns the row's index."""
        with self._changed:
            for index, row in enumerate(self._rows):
                if not row.ended and _same(row.request, request):
                    return index
            self._rows.append(DownloadRow(request))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="downloads", daemon=True)
                self._thread.start()
            return len(self._rows) - 1

    def cancel(self, index: int) -> None:
        """End one; what it has downloaded stays for the next time."""
        with self._changed:
            self._drop(index)

    def cancel_all(self) -> None:
        """End all that there are now."""
        with self._changed:
            for index in range(len(self._rows)):
                self._drop(index)

    def _drop(self, index: int) -> None:
        self._unwanted.add(index)
        # One that has not begun is over at once; another has its child ended by the thread.
        if index != self._running and self._rows[index].state == "waiting":
            self._rows[index] = replace(self._rows[index], state="cancelled")

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def _work(self) -> None:
        try:
            while (index := self._next()) is not None:
                self._run(index)
        finally:
            with self._changed:
                self._thread = None
                self._changed.notify_all()

    def _next(self) -> int | None:
        with self._changed:
            waiting = next((index for index, row in enumerate(self._rows) if row.state == "waiting"), None)
            self._running = waiting
            if waiting is None:
                # Said here, under the lock: what is added from now on gets a thread of its own.
                self._thread = None
                self._changed.notify_all()
            return waiting

    def _change(self, index: int, **fields: Any) -> None:
        """Give a row other fields."""
        with self._changed:
            old = self._rows[index]
            self._rows[index] = new = replace(old, **fields)
            if new.advice and not old.advice:
                self._rows[index] = replace(new, note="")
                if new.failure in UNREACHABLE:
                    self._give_up(index, new)
                elif new.failure == "not-found" and new.request.fallback:
                    second = replace(new.request.fallback, reason=new.advice.what)
                    self._rows[index] = replace(new, note=f"downloading {second.name} instead")
                    self._rows.append(DownloadRow(second, note=f"in place of {new.request.name}: {second.reason}"))
            rows = tuple(self._rows)
        now = time.monotonic()
        if old.state != new.state or now >= self._due:
            self._due = now + TICK_S
            self._listener(rows)

    def _give_up(self, index: int, failed: DownloadRow) -> None:
        """Nothing else that waits for the same host is tried: each would be waited for as long, and told as much."""
        host = failed.request.host
        advice = Advice(f"not tried, as {host} could not be asked for {failed.request.name}")
        for other, row in enumerate(self._rows):
            if other != index and row.state == "waiting" and row.request.host == host:
                self._rows[other] = replace(row, state="failed", failure=failed.failure, advice=advice, note="")

    def _run(self, index: int) -> None:
        """Take in reports until the download is over, or is not wanted any more."""
        reports: queue.SimpleQueue[Message | Ended] = queue.SimpleQueue()
        speed = Speed()
        # A fallback is the parent's business and never sent.
        child = Child(CHILD, replace(self._rows[index].request, fallback=None), MESSAGES, reports.put, online=True)
        self._change(index, state="contacting")
        try:
            while not self._rows[index].ended:
                if index in self._unwanted:
                    child.end()
                    self._change(index, state="cancelled", **STILL)
                    return
                with contextlib.suppress(queue.Empty):
                    self._take(index, reports.get(timeout=TICK_S))
                row = self._rows[index]
                if not row.ended:
                    now = speed.at(time.monotonic(), row.received)
                    left = None if row.total is None else max(0, row.total - row.bytes)
                    self._change(index, speed=now, eta_s=left / now if left is not None and now else None)
        finally:
            child.end()

    def _take(self, index: int, report: Message | Ended) -> None:
        match report:
            case Step():
                self._change(index, state=report.state, file=report.file)
            case Note():
                self._change(index, note=report.text)
            case Figures():
                figures = {"bytes": report.bytes, "total": report.total, "received": report.received}
                self._change(index, **figures, file=report.file)
            case Finished():
                self._change(index, state="done", path=report.path, revision=report.revision, **STILL)
            case Failed():
                self._change(index, state="failed", failure=report.kind, advice=report.advice, **STILL)
            case Ended():
                advice = Advice(f"the download process {report.told()}", TRY_AGAIN)
                self._change(index, state="failed", failure="unexpected", advice=advice, **STILL)


class Speed:
    """Bytes a second over the last SPEED_WINDOW_S."""

    def __init__(self) -> None:
        self._marks: collections.deque[tuple[float, int]] = collections.deque()

    def at(self, now: float, received: int) -> float | None:
        """Take note of the bytes received so far; None while there is too little to go by."""
        self._marks.append((now, received))
        while len(self._marks) > 2 and now - self._marks[1][0] > SPEED_WINDOW_S:
            self._marks.popleft()
        since, begun = self._marks[0]
        return (received - begun) / (now - since) if now - since >= 0.5 and received else None


def _same(one: Request, other: Request) -> bool:
    def model(request: Request) -> tuple[object, ...]:
        return replace(request.spec, fallback=None), request.root

    return model(one) == model(other) and set(other.again) <= set(one.again)
