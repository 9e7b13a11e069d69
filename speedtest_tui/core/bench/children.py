"""The children of a race: at most one for each row at a time, all of them reporting into one queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from speedtest_tui.core.bench.child_handle import ChildHandle, Report
from speedtest_tui.core.bench.protocol import Assignment
from speedtest_tui.core.bench.quiet import wait_until_quiet


class Children:
    """Running children by row. A row may get another child once its first is dropped.

    Children are numbered in the order of their start: what one that was dropped had still to say is not taken for the
    words of its successor.
    """

    def __init__(self) -> None:
        self._running: dict[int, ChildHandle] = {}
        self._rows: list[int] = []
        """By number."""
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def __contains__(self, row: int) -> bool:
        return row in self._running

    def __len__(self) -> int:
        return len(self._running)

    def running(self) -> tuple[tuple[int, ChildHandle], ...]:
        """Rows and their children as they are now, in the order of their start."""
        return tuple(self._running.items())

    def get(self, row: int) -> ChildHandle | None:
        return self._running.get(row)

    def start(self, row: int, assignment: Assignment) -> None:
        """Start a row's child. Raises OSError where the system refuses."""
        self._rows.append(row)
        self._running[row] = ChildHandle(len(self._rows) - 1, assignment, self._reports)

    def drop(self, row: int) -> None:
        """End a row's child, if it has one."""
        if child := self._running.pop(row, None):
            child.end()

    def reports(self, timeout: float) -> Iterator[Report]:
        """Wait up to `timeout` seconds for reports; yield all that are there, with their row instead of a number."""
        while True:
            try:
                number, report = self._reports.get(timeout=timeout)
            except queue.Empty:
                return
            timeout = 0
            row = self._rows[number]
            if (child := self._running.get(row)) and child.entrant == number:
                yield row, report

    def wait_until_quiet(self, cancelled: threading.Event) -> list[int]:
        """Return when no child computes, or with the rows of those that do not stop."""
        return [self._rows[number] for number in wait_until_quiet(self._running.values(), cancelled)]
