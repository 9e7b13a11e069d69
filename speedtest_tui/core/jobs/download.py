"""Downloading models: which cache each goes to, what is downloaded with it, and what came of it.

    job = Download(reports)                  # or Download(reports, to="local", patience=Patience(stall_s=20))
    job.start(); job.join()
    job.result.ok, job.result.cancelled, job.result.rows

A download resumes where its partial lies, whoever asks; a model that is complete anywhere is not downloaded again. Only
a cache that was named (`to`) goes before that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backends.base import Advice
from speedtest_tui.core import disk
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import DownloadRow, Patience, Request, request_for
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import amount
from speedtest_tui.core.jobs.job import WAIT_S, Job, JobRow, RowState, counted
from speedtest_tui.core.models.inspect import explained
from speedtest_tui.core.models.status import CACHE_NAMES, CACHES, FaultKind, ModelReport
from speedtest_tui.core.models.wording import model_name
from speedtest_tui.core.repair.act import prepare_download
from speedtest_tui.core.repair.changes import Changes
from speedtest_tui.core.repair.plan_model import replaced
from speedtest_tui.core.repair.step import Step

To = Literal["hf", "local"]

REPLACED: tuple[FaultKind, ...] = ("truncated", "corrupt", "empty", "lfs-pointer")
"""Faults of files that are there: a download would take them for downloaded."""


@dataclass(frozen=True)
class Wanted:
    """A model that somebody wants.

    report: how it stands; of several backends that share it the first one's
    backends: for which
    request: what downloads it, or None
    reason: why nothing is downloaded; then `ok` says whether the model is there all the same
    """

    report: ModelReport
    backends: tuple[str, ...]
    request: Request | None
    reason: str = ""
    ok: bool = True

    @property
    def source(self) -> str:
        """As in ModelSpec.source."""
        return self.report.spec.source if self.report.spec else ""


@dataclass(frozen=True)
class Downloaded:
    """What came of it. A model that the hub does not have and its fallback are two rows."""

    wanted: tuple[Wanted, ...]
    rows: tuple[DownloadRow, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that was wanted, or its fallback, is there now."""
        return all(one.ok if one.request is None else self._served(one.request) for one in self.wanted)

    @property
    def cancelled(self) -> bool:
        """Whether something was cancelled; what it has downloaded is kept."""
        return any(row.state == "cancelled" for row in self.rows)

    def _served(self, request: Request | None) -> bool:
        if request is None:
            return False
        done = any(row.request.source == request.source and row.state == "done" for row in self.rows)
        return done or self._served(request.fallback)


def wanted(
    reports: Sequence[ModelReport], to: To | None = None, patience: Patience | None = None
) -> tuple[Wanted, ...]:
    """What is to be downloaded, each model once. Those without a model are left out.

    to: where everything goes; None for where each partial lies, else the HF cache (the whisper cache for .pt files)
    """
    found: dict[str, Wanted] = {}
    for report in reports:
        if report.spec is None:
            continue
        earlier = found.get(report.spec.source)
        one = _wanted(report, to, patience or Patience())
        found[report.spec.source] = (
            replace(earlier, backends=(*earlier.backends, report.backend)) if earlier is not None else one
        )
    return tuple(found.values())


def _wanted(report: ModelReport, to: To | None, patience: Patience) -> Wanted:
    assert report.spec is not None
    backends = (report.backend,)
    if report.spec.missing_reason:
        return Wanted(report, backends, None, report.spec.missing_reason, ok=False)
    request = _request(report, to, "hf", patience)
    if request is None:
        if report.spec.kind == "folder" and not report.usable:
            return Wanted(report, backends, None, str(explained(report.spec, report.states)), ok=False)
        whose = "is a model of your own" if report.spec.kind == "folder" else "comes with the program"
        return Wanted(report, backends, None, f"{whose}: there is nothing to download")
    for cache in (request.cache,) if to else CACHES:
        state = report.state(cache)
        if state.state == "complete":
            where = f"already complete in the {CACHE_NAMES[cache]} cache ({amount(state.bytes)})"
            return Wanted(report, backends, None, where)
    if blocked := report.state(request.cache).obstacle:
        return Wanted(report, backends, None, f"{blocked.detail}: {blocked.todo}", ok=False)
    return Wanted(report, backends, request)


def _request(report: ModelReport, to: To | None, default: To, patience: Patience) -> Request | None:
    """The request for a report, and for its fallback, which goes the same way unless it has a partial of its own."""
    if report.spec is None:
        return None
    place = to or _place_of_partial(report) or default
    request = request_for(report.spec, place)
    if request is None:
        return None
    fallback = request.fallback
    if fallback is not None and report.fallback is not None:
        second = _request(report.fallback, to, place, patience)
        fallback = second and replace(second, reason=fallback.reason)
    return replace(request, patience=patience, fallback=fallback)


def _place_of_partial(report: ModelReport) -> To | None:
    """Where the largest partial lies; None where there is none."""
    partials = [(state.bytes, cache) for cache, state in report.states if state.state == "partial"]
    if not partials:
        return None
    largest = max(partials, key=lambda partial: partial[0])[1]
    return "local" if largest == "local" else "hf"


def with_damaged(request: Request, report: ModelReport, changes: Changes, cancelled: threading.Event) -> Request:
    """The request, with the damaged files of its cache as well; what it replaces is kept in the trash.

    Raises OSError where no trash can be had beside the cache, UserError where a link bars the way.
    """
    state, root = report.state(request.cache), request.root
    damaged = [file for file in state.files if file.fault and file.fault.kind in REPLACED]
    if state.path is None or not (damaged or request.is_hub):
        return request
    replaces = tuple(path for file in damaged for path in replaced(file.path, root))
    request = replace(request, again=tuple(file.name for file in damaged))
    step = Step("download", state.path, root, request.cache, request.source, replaces=replaces, request=request)
    return prepare_download(step, changes, lambda *_: None, cancelled)


class Download(Job[Downloaded]):
    """Download models, one after the other. What is cancelled is resumed by the next download of the same model."""

    def __init__(self, reports: Sequence[ModelReport], to: To | None = None, patience: Patience | None = None) -> None:
        self.wanted = wanted(reports, to, patience)
        super().__init__("download", "Download", [self._not_begun(one) for one in self.wanted])

    def work(self) -> None:
        instead = list(self.view.rows)
        kept: list[Changes] = []
        downloads = Downloads(lambda rows: self.show(self._rows(instead, rows)))
        for index, one in enumerate(self.wanted):
            if one.request is not None:
                try:
                    kept.append(Changes(f"download of {one.request.name}"))
                    downloads.add(with_damaged(one.request, one.report, kept[-1], self._cancelled))
                except (OSError, UserError) as error:
                    advice = error.advice if isinstance(error, UserError) else disk.advice(error, one.request.root)
                    instead[index] = replace(instead[index], state="failed", advice=advice)
        while not downloads.join(WAIT_S):
            if self._cancelled.is_set():
                downloads.cancel_all()
        for changes in kept:
            changes.forget_unchanged()
        self.show(self._rows(instead, downloads.rows))
        result = Downloaded(self.wanted, downloads.rows)
        summary = counted(self.view.rows, "downloaded")
        resumes = "; the same download resumes where it stopped" if result.cancelled else ""
        self.end(summary + resumes, result=result, failed=not result.ok)

    def _not_begun(self, one: Wanted) -> JobRow:
        name = one.request.name if one.request else f"{', '.join(one.backends)} {model_name(one.report)}"
        if one.request is not None:
            return JobRow(one.source, name, backends=one.backends)
        if one.ok:
            return JobRow(one.source, name, "skipped", one.reason, backends=one.backends)
        return JobRow(one.source, name, "failed", advice=Advice(one.reason), backends=one.backends)

    def _rows(self, instead: Sequence[JobRow], rows: Sequence[DownloadRow]) -> list[JobRow]:
        """A row for each model that was wanted, then the fallbacks that had to be downloaded."""
        first = {row.request.source: row for row in reversed(rows)}
        found = [download_row(first.pop(row.key), row.backends) if row.key in first else row for row in instead]
        return found + [download_row(row, self._users(row.request)) for row in first.values()]

    def _users(self, fallback: Request) -> tuple[str, ...]:
        """The backends whose model a fallback replaces."""
        users = (one for one in self.wanted if one.request and one.request.fallback)
        return tuple(name for one in users if one.request.fallback.source == fallback.source for name in one.backends)  # type: ignore[union-attr]


def download_row(row: DownloadRow, backends: tuple[str, ...]) -> JobRow:
    """A download as a row of a job."""
    state: RowState = row.state if row.state in ("waiting", "done", "failed", "cancelled") else "running"
    advice, note = None, row.note
    if row.has_fallback and row.advice:
        # Another one is downloaded in its place: there is nothing for anybody to do.
        state, note = "skipped", f"{row.advice.what}; {row.note}"
    elif state == "failed" and row.advice:
        advice = row.advice
    elif state == "running":
        # Which file arrives is of no interest beside how much does.
        note = ", ".join(filter(None, (row.doing, row.note)))
    elif state == "done":
        note = row.note or (f"{amount(row.bytes)}, verified" if row.received else "all of it was there")
    moving = {"bytes": row.bytes, "total": row.total, "speed": row.speed, "eta_s": row.eta_s}
    return JobRow(row.request.source, row.request.name, state, note, advice, **moving, backends=backends)  # type: ignore[arg-type]
