"""Comparing the files of models with the hashes that they should have, offline; what differs is remembered.

job = Checksum(reports)
job.start(); job.join()
job.result.wrong                         # and .compared, .unknown
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import Advice
from speedtest_tui.core.jobs.job import Job, JobRow
from speedtest_tui.core.models.hashes import checksum, with_hash, without_hash
from speedtest_tui.core.models.status import Fault, FileState, ModelReport

NAMED = 3
"""Damaged files that are named in one line."""


@dataclass(frozen=True)
class Sums:
    """What comparing hashes found.

    compared: how many files have a known hash
    wrong: those that do not match it or cannot be read
    unknown: files of which nothing says what they should be
    """

    compared: int
    wrong: tuple[Fault, ...]
    unknown: tuple[FileState, ...]


class Checksum(Job[Sums]):
    """Hash every file of some models that has a known hash. Cancelled, what was hashed is remembered."""

    def __init__(self, reports: Sequence[ModelReport]) -> None:
        backends = tuple(dict.fromkeys(report.backend for report in reports))
        super().__init__("checksum", "Checksum", [JobRow("files", "files of all models", backends=backends)])
        self._reports = tuple(reports)

    def work(self) -> None:
        self.change(0, state="running", note="finding files with a known hash")
        files = with_hash(self._reports)
        wrong = checksum(self._reports, self._hashed, self._cancelled)
        if self._cancelled.is_set():
            self.end("cancelled; what was hashed is remembered")
            return
        result = Sums(len(files), wrong, without_hash(self._reports))
        if not wrong:
            self.change(0, state="done", note=f"{len(files)} files have the hash that they should have")
            self.end("no file is damaged", result=result)
            return
        advice = Advice("; ".join(fault.detail for fault in wrong[:NAMED]), "repair downloads them again")
        self.change(0, state="failed", note="", advice=advice)
        self.end(f"{len(wrong)} damaged: {advice}", result=result, failed=True)

    def _hashed(self, done: int, total: int) -> None:
        self.change(0, bytes=done, total=total or None, note="")
