"""After the steps: the models that were touched are examined again and, where that was asked for, really loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from backends.base import BackendEntry, Location
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState, ModelReport, Verification
from speedtest_tui.core.repair.step import Step


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
    entries: the backends that load them; none where nothing is to be loaded
    timeout: seconds without progress after which a load is given up, None for those of a race
    """

    reports: Sequence[ModelReport] = ()
    entries: Sequence[BackendEntry] = field(default=())
    timeout: float | None = None

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
        entry = next((entry for entry in self.entries if entry.name == report.backend), None)
        if entry is None or state.state != "complete" or report.unavailable:
            return check
        verified = self._verified(entry, report, check, cancelled, tell)
        return Check(report.backend, report.size, report.spec.source, cache, state, verified)

    def _verified(
        self,
        entry: BackendEntry,
        report: ModelReport,
        check: Check,
        cancelled: threading.Event,
        tell: Callable[[str], None],
    ) -> Verification | None:
        from speedtest_tui.core.models.verifications import remember
        from speedtest_tui.core.models.verify import DOING, verify

        assert report.spec is not None
        state = check.state
        name = "embedded" if report.spec.kind == "embedded" else check.cache
        location = Location(state.path, state.revision, name, state.bytes)
        verified = verify(
            entry,
            report.spec,
            location,
            lambda phase, _seconds: tell(f"{report.backend}: {DOING.get(phase, phase)}"),
            cancelled,
            timeout=self.timeout,
        )
        if verified is not None:
            try:
                remember(entry.name, verified)
            except UserError as error:
                tell(str(error))
        return verified
