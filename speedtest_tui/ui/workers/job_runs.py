"""The jobs: what each does in its thread, turned into rows for a screen. Imported when the first one starts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from backends.base import Advice, BackendEntry
from speedtest_tui.core import format as amounts
from speedtest_tui.core import format as figures
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import DownloadRow, headline
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.download import wanted, with_damaged
from speedtest_tui.core.jobs.verify import DOING, verify
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.hashes import checksum
from speedtest_tui.core.models.remembered import remember
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.ui.workers.jobs import ENDED, Job, JobRow, JobState, JobView, Publish

WAIT_S = 0.1
"""How soon a wish to cancel is noticed where another thread does the work."""


class Board:
    """Rows that change one at a time; each change is published."""

    def __init__(self, view: JobView, publish: Publish) -> None:
        self.view = view
        self._publish = publish
        publish(view)

    def set(self, index: int, **facts: object) -> None:
        """Change a row."""
        rows = list(self.view.rows)
        rows[index] = replace(rows[index], **facts)  # type: ignore[arg-type]
        self.show(tuple(rows))

    def show(self, rows: tuple[JobRow, ...]) -> None:
        """Change all rows."""
        self.view = replace(self.view, rows=rows)
        self._publish(self.view)

    def end(self, sentence: str, problem: bool = False) -> None:
        """Say how it ended; what never began counts as cancelled."""
        rows = self.view.rows
        rows = tuple(row if row.state in ENDED else replace(row, state="cancelled") for row in rows)
        self._publish(replace(self.view, rows=rows, over=True, sentence=sentence, problem=problem))


def counted(rows: Sequence[JobRow], verb: str) -> tuple[str, bool]:
    """ "3 loaded, 1 failed, 1 cancelled", and whether something is to be looked at."""
    states = [row.state for row in rows]
    failed = states.count("failed")
    cancelled = sum(states.count(state) for state in ("cancelled", "waiting", "running"))
    parts = [f"{states.count('done')} {verb}"] if states.count("done") or not (failed or cancelled) else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{cancelled} cancelled"] if cancelled else []
    first = next((f": {row.message}" for row in rows if row.state == "failed"), "") if failed == 1 else ""
    return ", ".join(parts) + first, bool(failed or cancelled)


def verifying(reports: Sequence[ModelReport], entries: Sequence[BackendEntry]) -> Job:
    """Load each model and let it hear a tone, one after the other."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        rows = tuple(JobRow(_named(report), backends=(report.backend,)) for report in reports)
        board = Board(JobView("verify", "Verify by loading", rows), publish)
        for index, report in enumerate(reports):
            if cancelled.is_set():
                break
            board.set(index, state="running", figures="starting")
            state, message = _verify(report, entries, lambda said, i=index: board.set(i, figures=said), cancelled)  # type: ignore[misc]
            board.set(index, state=state, message=message, figures="")
        board.end(*counted(board.view.rows, "loaded and transcribed"))

    return job


def _verify(
    report: ModelReport, entries: Sequence[BackendEntry], tell: Callable[[str], None], cancelled: threading.Event
) -> tuple[JobState, str]:
    entry = next(entry for entry in entries if entry.name == report.backend)
    using = report
    while using.location is not None and using.fallback is not None and using.location == using.fallback.location:
        using = using.fallback
    from speedtest_tui.core.models.inspect import find

    if using.spec is None:
        return "failed", "it has no model of this size"
    location = find(using.spec, cancelled)
    if isinstance(location, Advice):
        return ("cancelled", "") if cancelled.is_set() else ("failed", str(location))

    def changed(phase: str, seconds: float) -> None:
        tell(f"{DOING[phase]}, {figures.ticking(seconds)}")

    found = verify(entry, using.spec, location, changed, cancelled, chosen=report.options)
    if found is None:
        return "cancelled", ""
    try:
        remember(report.backend, found)
    except UserError as error:
        return ("done" if found.ok else "failed"), f"{found.message}; not kept: {error}"
    said = f"{found.message}, loaded in {figures.seconds(found.seconds)}" if found.ok else found.message
    return ("done" if found.ok else "failed"), said


def hashing(reports: Sequence[ModelReport]) -> Job:
    """Hash what has a known hash."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        board = Board(JobView("checksum", "Checksum", (JobRow("files of all models"),)), publish)
        board.set(0, state="running", figures="looking for files with a known hash")

        def progress(done: int, total: int) -> None:
            board.set(0, share=done / total if total else None, figures=amounts.of(done, total))

        faults = checksum(reports, progress, cancelled)
        if cancelled.is_set():
            board.end("cancelled; what was hashed is remembered", problem=True)
            return
        found = "; ".join(fault.detail for fault in faults[:3])
        board.set(0, state="failed" if faults else "done", message=found or "every file has the hash it should have")
        board.end(f"{len(faults)} damaged: {found}" if faults else "no file is damaged", problem=bool(faults))

    return job


def downloading(reports: Sequence[ModelReport]) -> Job:
    """Download models; those that stop half-way are resumed another time."""

    def job(publish: Publish, cancelled: threading.Event) -> None:
        requests = [(one, with_damaged(one)) for one in wanted(reports) if one.request]
        backends: dict[str, tuple[str, ...]] = {}
        for one, request in requests:
            backends[request.name] = one.backends
            if request.fallback:
                backends[request.fallback.name] = one.backends
        board = Board(JobView("download", "Download"), publish)

        def changed(rows: tuple[DownloadRow, ...]) -> None:
            board.show(tuple(download_row(row, backends.get(row.request.name, ())) for row in rows))

        downloads = Downloads(changed)
        for _, request in requests:
            downloads.add(request)
        while not downloads.join(WAIT_S):
            if cancelled.is_set():
                downloads.cancel_all()
        changed(downloads.rows)
        sentence, problem = counted(board.view.rows, "downloaded")
        if cancelled.is_set():
            sentence += "; d resumes where it stopped"
        board.end(sentence, problem)

    return job


def download_row(row: DownloadRow, backends: tuple[str, ...]) -> JobRow:
    """A download as a row: bytes, speed and what is left, or how it ended."""
    state: JobState = row.state if row.state in ("waiting", "done", "failed", "cancelled") else "running"
    parts = [figures.progress(row) or headline(row), row.note]
    message = str(row.advice) if row.advice else row.note if state == "done" else ""
    if state == "done":
        message = message or f"{amounts.amount(row.bytes)}, whole and verified"
    said = ", ".join(filter(None, parts))
    return JobRow(row.request.name, state, figures.share(row), said, message, backends)


def _named(report: ModelReport) -> str:
    return f"{report.backend} {wording.model_name(report)}"
