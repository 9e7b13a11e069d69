"""The slow checks of `check-models`, with their progress on standard error: hashing, loading, reading whole caches."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import BackendEntry, ModelSpec
from speedtest_tui.cli.main import complain
from speedtest_tui.core import format as figures
from speedtest_tui.core.format import of
from speedtest_tui.core.models import hashes as checksums
from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.locate import NotFound, location_of
from speedtest_tui.core.models.problems import Problem
from speedtest_tui.core.models.status import Fault, FileState, ModelReport


@dataclass(frozen=True)
class Sums:
    """What came of comparing hashes. `unknown` are files of which nothing says what they should be."""

    compared: int
    wrong: tuple[Fault, ...]
    unknown: tuple[FileState, ...]


@dataclass(frozen=True)
class Check:
    """Everything that was found. `general` is what is wrong in the caches beyond the models asked about."""

    models: tuple[tuple[ModelReport, tuple[Problem, ...]], ...]
    general: tuple[Problem, ...] = ()
    uses: tuple[CacheUse, ...] = ()
    sums: Sums | None = None

    @property
    def ok(self) -> bool:
        """Whether all that was asked about can be used."""
        return not any(problem.counts for _, problems in self.models for problem in problems)


class Line:
    """One line on standard error that is written over; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        self.show("")


def checksum(reports: Sequence[ModelReport]) -> Sums:
    """Compare the models' files with the hashes that they should have."""
    line, cancelled = Line(), threading.Event()

    def tell(done: int, total: int) -> None:
        line.show(f"comparing hashes: {of(done, total)}")

    files = checksums.with_hash(reports)
    try:
        wrong = checksums.checksum(reports, tell, cancelled)
    finally:
        line.clear()
    return Sums(len(files), wrong, checksums.without_hash(reports))


def verify(chosen: Sequence[BackendEntry], reports: Sequence[ModelReport], timeout: float | None) -> None:
    """Load every model that can be, one after another, and remember what came of it."""
    from speedtest_tui.core.jobs.verify import DOING
    from speedtest_tui.core.jobs.verify import verify as load
    from speedtest_tui.core.models.remembered import remember
    from speedtest_tui.core.race.prepare import find

    line, cancelled = Line(), threading.Event()
    by_name = {entry.name: entry for entry in chosen}
    try:
        for report in reports:
            spec = spec_that_runs(report)
            if spec is None:
                continue

            def tell(phase: str, seconds: float, model: str = f"{report.backend} {report.size}") -> None:
                line.show(f"{model}: {DOING.get(phase, phase)} {figures.ticking(seconds)}")

            location = find(spec, cancelled)
            if isinstance(location, NotFound):
                complain(f"{location.reason}: {location.hint}")
                continue
            outcome = load(by_name[report.backend], spec, location, tell, cancelled, timeout=timeout)
            if outcome is not None:
                remember(report.backend, outcome)
    finally:
        line.clear()


def spec_that_runs(report: ModelReport) -> ModelSpec | None:
    """The model that a race would load: the one asked for, the fallback, or None."""
    if report.spec is None or report.unavailable or report.location is None:
        return None
    if report.spec.kind == "embedded" or location_of(report.spec, report.states) is not None:
        return report.spec
    return report.fallback.spec if report.fallback else None


def scan_caches() -> tuple[tuple[Stored, ...], tuple[CacheUse, ...]]:
    """Everything that lies in the caches."""
    from speedtest_tui.core.models.scan import scan, use

    line = Line()
    stored = []
    try:
        for row in scan():
            stored.append(row)
            line.show(f"reading the caches: {len(stored)} models")
    finally:
        line.clear()
    return tuple(stored), use(stored)
