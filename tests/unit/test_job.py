"""What every job has in common: its rows, how it ends, and what front ends write of a row."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backends.base import Advice
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import LOOKS
from speedtest_tui.core.jobs.convert import Convert
from speedtest_tui.core.jobs.job import Job, JobRow, JobView, counted, words

ROWS = (JobRow("a", "A"), JobRow("b", "B"), JobRow("c", "C"))


class Count(Job[int]):
    """Ends one row after the other; waits for `go` before the second."""

    def __init__(self, go: threading.Event | None = None, fault: Exception | None = None) -> None:
        super().__init__("verify", "Count", ROWS)
        self._go, self._fault = go, fault

    def work(self) -> None:
        for index in range(len(ROWS)):
            if self._cancelled.is_set():
                self.end("cancelled")
                return
            self.change(index, state="running", note="counting")
            if index == 1 and self._go:
                self._go.wait(10)
            if index == 1 and self._fault:
                raise self._fault
            self.change(index, state="done", note="")
        self.end("counted", result=len(ROWS))


def watched(job: Job[int]) -> list[JobView]:
    seen: list[JobView] = []
    job.listener = seen.append
    job.run()
    return seen


def test_every_change_is_published_frozen_and_the_last_has_the_result() -> None:
    job = Count()
    seen = watched(job)
    assert [row.state for row in seen[0].rows] == ["waiting"] * 3
    assert [[row.state for row in view.rows] for view in seen][1:3] == [
        ["running", "waiting", "waiting"],
        ["done", "waiting", "waiting"],
    ]
    assert [view.over for view in seen] == [False] * 7 + [True]
    assert (job.result, seen[-1].result, seen[-1].state, seen[-1].summary) == (3, 3, "done", "counted")
    assert job.view is seen[-1] and not job.view.needs_you


def test_what_never_began_is_cancelled() -> None:
    go = threading.Event()
    job = Count(go)
    job.listener = lambda view: job.cancel() if view.rows[1].state == "running" else None
    job.start()
    go.set()
    job.join()
    assert [row.state for row in job.view.rows] == ["done", "done", "cancelled"]
    assert (job.view.state, job.result) == ("cancelled", None)
    assert job.view.needs_you


def test_a_fault_of_the_program_ends_the_job_and_is_kept_for_whoever_reports_it() -> None:
    job = Count(fault=RuntimeError("oh"))
    seen = watched(job)
    assert (seen[-1].state, seen[-1].summary, str(job.error)) == ("failed", "RuntimeError: oh", "oh")
    assert [row.state for row in seen[-1].rows] == ["done", "failed", "cancelled"]


def test_rows_that_stay_the_same_are_not_published_again() -> None:
    job = Count()
    seen: list[JobView] = []
    job.listener = seen.append
    job.show(ROWS)
    assert not seen


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (JobRow("a", "A"), "waiting"),
        (JobRow("a", "A", "running"), "running"),
        (JobRow("a", "A", "running", "loading its model", seconds=3.14), "loading its model, 3.1 s"),
        (
            JobRow("a", "A", "running", bytes=183_000_000, total=305_000_000, speed=120e6, eta_s=3.0),
            "183 of 305 MB, 120 MB/s, 3 s left",
        ),
        (JobRow("a", "A", "done", "loads and transcribes"), "loads and transcribes"),
        (JobRow("a", "A", "failed", "half", Advice("no room", "free some")), "no room: free some"),
        (JobRow("a", "A", "skipped", "not needed"), "not needed"),
    ],
)
def test_words(row: JobRow, said: str) -> None:
    assert words(row) == said
    assert row.state in LOOKS


def test_counted() -> None:
    failed = JobRow("a", "A", "failed", advice=Advice("no network", "connect"))
    done, cancelled = JobRow("b", "B", "done"), JobRow("c", "C", "cancelled")
    assert counted([done, done], "loaded") == "2 loaded"
    assert counted([], "loaded") == "0 loaded"
    assert counted([done, failed, cancelled], "loaded") == "1 loaded, 1 failed, 1 cancelled: no network: connect"
    assert counted([failed, failed], "loaded") == "2 failed"


def test_what_a_person_can_solve_fails_the_row_that_ran(tmp_path: Path) -> None:
    job = Convert(tmp_path / "none.nemo", tmp_path / "out")
    seen: list[JobView] = []
    job.listener = seen.append
    job.run()
    assert (job.view.subject, job.view.state, job.result) == ("none.nemo", "failed", None)
    assert isinstance(job.error, UserError)
    assert [row.state for row in job.view.rows] == ["failed", "cancelled", "cancelled", "cancelled"]
    assert job.view.rows[0].advice == job.error.advice
    assert job.view.summary == str(job.error)
    assert list(tmp_path.iterdir()) == []
