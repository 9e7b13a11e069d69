"""The state of a race as its supervisor keeps it; what others see of it are frozen snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from speedtest_tui.core.bench.entrants import Entrant
from speedtest_tui.core.bench.plan import Plan
from speedtest_tui.core.bench.row import Phase, RaceSnapshot, RaceState, Row, RowError, Status, Verdict

TRACE_KEPT = 600
"""Memory figures kept for each row: one minute at ten a second."""


class Scoreboard:
    """Rows by index, and everything said of the race as a whole. Used in the supervisor's thread only.

    `snapshot` may be read from any thread: it is replaced whole.
    """

    def __init__(self, plan: Plan, listener: Callable[[RaceSnapshot], None]) -> None:
        now = time.monotonic()
        self.rows = [Row(entry.name, plan.size, since=now) for entry in plan.backends]
        self.state: RaceState = "preparing"
        self.order: str = plan.order
        self.notes: tuple[str, ...] = ()
        self.verdict = Verdict()
        self._runs = plan.runs
        self._listener = listener
        self.snapshot = self.freeze()

    def freeze(self) -> RaceSnapshot:
        return RaceSnapshot(tuple(self.rows), self.state, self.order, self.notes, self.verdict)

    def publish(self) -> None:
        """Make the present state the snapshot and hand it to the listener."""
        self.snapshot = self.freeze()
        self._listener(self.snapshot)

    def unfinished(self) -> list[int]:
        """Rows that neither have a status nor all their runs."""
        return [i for i, row in enumerate(self.rows) if not row.status and len(row.runs_s) < self._runs]

    def enter(self, index: int, entrant: Entrant, phase: Phase) -> None:
        """A row begins with what its backend is to run; whatever was measured in it before is forgotten."""
        self.rows[index] = Row(
            self.rows[index].backend,
            self.rows[index].size,
            spec=entrant.spec,
            location=entrant.location,
            version=entrant.version,
            warnings=entrant.warnings,
        )
        self.phase(index, phase)

    def phase(self, index: int, phase: Phase) -> None:
        """A row enters a phase now."""
        self.rows[index] = replace(self.rows[index], phase=phase, since=time.monotonic())
        self.publish()

    def decide(self, index: int, status: Status, error: RowError | None) -> None:
        """A row ends with a status; what it measured so far is kept."""
        self.rows[index] = replace(self.rows[index], status=status, error=error)
        self.phase(index, "ended")

    def note(self, remark: str) -> None:
        """Say something of the race as a whole."""
        self.notes = (*self.notes, remark)

    def warn(self, index: int, warning: str) -> None:
        """Add a warning to a row, once."""
        row = self.rows[index]
        if warning not in row.warnings:
            self.rows[index] = replace(row, warnings=(*row.warnings, warning))

    def memory(self, index: int, rss: int) -> None:
        """Take note of a child's resident size, in bytes."""
        row = self.rows[index]
        trace = (*row.memory_trace[-TRACE_KEPT + 1 :], rss)
        self.rows[index] = replace(row, rss=rss, peak_rss=max(row.peak_rss, rss), memory_trace=trace)
