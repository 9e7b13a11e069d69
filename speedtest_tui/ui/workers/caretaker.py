"""The background thread for work on models, such as verifying, fetching, repairing, converting. One job at a time.

It never touches a widget: what it has to say goes as messages to the screens that listen.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textual.message import Message

from speedtest_tui.ui.workers.jobs import Job, JobView
from speedtest_tui.ui.workers.messages import JobChanged, StockTaken, TaskFailed

if TYPE_CHECKING:
    from pathlib import Path

    from backends.base import BackendEntry
    from speedtest_tui.core.convert.numbers import DType
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.core.repair.step import Step


Post = Callable[[Message], object]

QUIT_S = 2.0
"""How long leaving waits for a cancelled job; its children are ended well before."""


COURTEOUS_S = 0.0001


@contextmanager
def courteous() -> Iterator[None]:
    """Hand the interpreter to the screen as soon as it has something to do.

    A thread that only computes holds it for 5 ms each time, and a key takes several turns until it is painted.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(COURTEOUS_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Caretaker:
    """Runs jobs, and tells every listener."""

    def __init__(self, post: Post) -> None:
        self._listeners: list[Post] = [post]
        self._job: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._looking: threading.Event | None = None
        self.view: JobView | None = None
        """The newest state of the newest job."""

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None and self._job.is_alive() and not (self.view is not None and self.view.over)

    def attach(self, post: Post) -> None:
        """Tell another screen as well."""
        self._listeners.append(post)

    def detach(self, post: Post) -> None:
        """Tell it no more."""
        self._listeners.remove(post)

    def look(self, entries: Sequence[BackendEntry]) -> None:
        """Look at all caches; a look that is still under way is given up."""
        if self._looking is not None:
            self._looking.set()
        self._looking = cancelled = threading.Event()
        self._thread("look", lambda: self._look(entries, cancelled))

    def verify(self, reports: Sequence[ModelReport], entries: Sequence[BackendEntry]) -> None:
        """Load models and transcribe a tone with them."""
        from speedtest_tui.ui.workers.job_runs import verifying

        self._start(verifying(tuple(reports), tuple(entries)))

    def checksum(self, reports: Sequence[ModelReport]) -> None:
        """Hash what has a known hash."""
        from speedtest_tui.ui.workers.job_runs import hashing

        self._start(hashing(tuple(reports)))

    def download(self, reports: Sequence[ModelReport]) -> None:
        """Fetch models."""
        from speedtest_tui.ui.workers.job_runs import downloading

        self._start(downloading(tuple(reports)))

    def repair(self, steps: Sequence[Step], reports: Sequence[ModelReport], entries: Sequence[BackendEntry]) -> None:
        """Carry steps out, then load the models that they touched."""
        from speedtest_tui.ui.workers.repair_runs import repairing

        self._start(repairing(tuple(steps), tuple(reports), tuple(entries)))

    def undo(self) -> None:
        """Put back what the last repair replaced."""
        from speedtest_tui.ui.workers.repair_runs import undoing

        self._start(undoing())

    def empty_trash(self) -> None:
        """Delete what repairs replaced."""
        from speedtest_tui.ui.workers.repair_runs import emptying

        self._start(emptying())

    def convert(self, source: Path, target: Path, dtype: DType, bits: int) -> None:
        """Make an MLX model folder of a NeMo checkpoint."""
        from speedtest_tui.ui.workers.convert_runs import converting

        self._start(converting(source, target, dtype, bits))

    def cancel(self) -> None:
        """Ask the job to stop; returns at once. What was fetched stays."""
        self._cancelled.set()

    def close(self) -> None:
        """Cancel everything and wait until it has ended, QUIT_S at most."""
        self._listeners = []
        self.cancel()
        if self._looking is not None:
            self._looking.set()
        if self._job is not None:
            self._job.join(QUIT_S)

    def _start(self, job: Job) -> None:
        if self.busy:
            return
        self._cancelled = cancelled = threading.Event()
        self.view = None
        self._job = self._thread("job", lambda: job(self._publish, cancelled))

    def _publish(self, view: JobView) -> None:
        self.view = view
        self._tell(JobChanged(view))

    def _tell(self, message: Message) -> None:
        for post in tuple(self._listeners):
            # A message object belongs to one queue: each listener gets its own.
            post(type(message)(**{name: getattr(message, name) for name in message.__dataclass_fields__}))  # type: ignore[attr-defined]

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                if self.view is not None and not self.view.over and name == "job":
                    self._publish(JobView(self.view.kind, self.view.title, self.view.rows, over=True, problem=True))
                self._tell(TaskFailed(f"{name}: {type(error).__name__}: {error}"))

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _look(self, entries: Sequence[BackendEntry], cancelled: threading.Event) -> None:
        from backends.registry import default_backends
        from speedtest_tui.core.jobs.overview import inspect_caches
        from speedtest_tui.core.repair import trash

        with courteous():
            held = sum(entry.bytes for entry in trash.entries())
            for stock in inspect_caches(default_backends(entries), cancelled):
                if not cancelled.is_set():
                    self._tell(StockTaken(stock, held))
