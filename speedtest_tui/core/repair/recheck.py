"""After the steps: the models that were touched are examined again and, where that was asked for, really loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from backends.base import Location
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState, ModelReport, Verification
from speedtest_tui.core.repair.step import Step

Load = Callable[[ModelReport, Location, threading.Event, Callable[[str], None]], Verification | None]
"""Verifies a model from where it lies, saying what it does; None where it was cancelled or no backend loads it."""


@dataclass(frozen=True)
class Check:
    """How a model stands after a repair; `verified` where it was loaded."""

    backend: str
    size: str
    model: str
    cache: CacheName
    state: CacheState
    verified: Verification | None = None

    @property
    def ok(self) -> bool:
        """Whether it is complete, and loads where that was tried."""
        return self.state.state == "complete" and (self.verified is None or self.verified.ok)


@dataclass(frozen=True)
class Aftercare:
    """What to check.

    reports: the models of the plan
    load: verifies one of them, None where nothing is to be loaded
    """

    reports: Sequence[ModelReport] = ()
    load: Load | None = None

    def check(
        self, done: Iterable[Step], cancelled: threading.Event, tell: Callable[[str], None]
    ) -> Iterator[tuple[Check, ...]]:
        """Check all models that steps were taken for; yields the checks so far after each."""
        touched = {(step.model, step.cache) for step in done}
        checks: list[Check] = []
        for report in self._reports():
            assert report.spec is not None
            for cache, _ in report.states:
                if (report.spec.source, cache) not in touched or cancelled.is_set():
                    continue
                checks.append(self._checked(report, cache, cancelled, tell))
                yield tuple(checks)

    def _reports(self) -> Iterator[ModelReport]:
        for report in self.reports:
            one: ModelReport | None = report
            while one is not None:
                if one.spec is not None:
                    yield one
                one = one.fallback

    def _checked(
        self, report: ModelReport, cache: CacheName, cancelled: threading.Event, tell: Callable[[str], None]
    ) -> Check:
        assert report.spec is not None
        tell(f"examining {report.spec.source}")
        state = examine(report.spec, cache)
        check = Check(report.backend, report.size, report.spec.source, cache, state)
        if self.load is None or state.state != "complete" or report.unavailable:
            return check
        name = "embedded" if report.spec.kind == "embedded" else cache
        location = Location(state.path, state.revision, name, state.bytes)
        verified = self.load(report, location, cancelled, tell)
        return Check(report.backend, report.size, report.spec.source, cache, state, verified)
