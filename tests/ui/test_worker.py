"""The worker that starts jobs for the screens: one at a time, told to all who listen, ended on quitting."""

from __future__ import annotations

import threading
import time

from textual.message import Message

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.job import Job, JobRow
from speedtest_tui.ui.workers.messages import JobChanged, TaskFailed
from speedtest_tui.ui.workers.worker import Worker


class Wait(Job[str]):
    """Runs until it is cancelled, or raises at once."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__("verify", "Wait", [JobRow("row", "a row")])
        self.begun = threading.Event()
        self._fault = fault

    def work(self) -> None:
        self.change(0, state="running")
        self.begun.set()
        if self._fault:
            raise self._fault
        self._cancelled.wait(30)
        self.end("cancelled")


def states(messages: list[Message]) -> list[str]:
    return [message.view.state for message in messages if isinstance(message, JobChanged)]


def test_all_listeners_get_messages_of_their_own_and_only_one_job_runs() -> None:
    first: list[Message] = []
    second: list[Message] = []
    worker, job = Worker(first.append), Wait()
    worker.attach(second.append)
    worker.run(job)
    assert job.begun.wait(10)
    assert worker.busy and worker.view is job.view
    worker.run(other := Wait())
    assert not other.begun.is_set() and not other.is_alive()
    worker.detach(second.append)
    heard = len(second)
    worker.cancel_job()
    job.join(10)
    assert not worker.busy
    assert states(first)[-1] == "cancelled" and len(second) == heard
    assert not {id(message) for message in first} & {id(message) for message in second}


def test_leaving_cancels_the_job_and_says_nothing_more() -> None:
    messages: list[Message] = []
    worker, job = Worker(messages.append), Wait()
    worker.run(job)
    assert job.begun.wait(10)
    before = len(messages)
    since = time.monotonic()
    worker.close()
    assert not job.is_alive() and time.monotonic() - since < 2
    assert len(messages) == before


def test_what_nobody_foresaw_is_reported_and_what_a_person_can_solve_is_a_row() -> None:
    for fault, reported in ((RuntimeError("oh"), True), (UserError("the disk is full", "free some space"), False)):
        messages: list[Message] = []
        worker, job = Worker(messages.append), Wait(fault)
        worker.run(job)
        job.join(10)
        assert [message.what for message in messages if isinstance(message, TaskFailed)] == (
            ["Wait: RuntimeError: oh"] if reported else []
        )
        assert states(messages)[-1] == "failed"
        assert job.view.rows[0].state == "failed"
