"""Getting a row ready for the start: is its backend installed, which model does it run, where are the files?

And what a child is handed, be it for a race or to verify a model: its model as plain JSON, its clip as a descriptor;
and the running children, by row.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from backends.base import (
    Advice,
    BackendError,
    Engine,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
)
from backends.registry import create
from speedtest_tui.core import host
from speedtest_tui.core.models.inspect import Begun, Blocked, find, options_of
from speedtest_tui.core.models.sizes import Candidate, Unavailable, installed
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import Child, Ended
from speedtest_tui.core.race.events import CHILD, MESSAGES, Assignment
from speedtest_tui.core.race.row import Failure, RowError, Status
from speedtest_tui.core.race.watch import Interruptions, wait_until_quiet


@dataclass(frozen=True)
class Ready:
    """A backend that can start."""

    reference: str
    engine: Engine
    spec: ModelSpec
    location: Location
    version: str
    """Of the library, as its distribution says."""
    warnings: tuple[str, ...] = ()


def prepare(candidate: Candidate, language: str | None, cancelled: threading.Event) -> Ready | Failure:
    """Find out whether and with which files a candidate can run; unpacks an embedded model on first use."""
    try:
        return _prepare(candidate.resolved(), language, cancelled)
    except BackendError as error:
        return Failure("unavailable", RowError(error.kind, Advice(error.message, error.hint)))
    except Exception as error:
        what = f"its own code failed while it was asked what it needs ({type(error).__name__}: {error})"
        return Failure("unavailable", RowError("exception", Advice(what, f"report it to {candidate.entry.provider}")))


def _prepare(candidate: Candidate, language: str | None, cancelled: threading.Event) -> Ready | Failure:
    backend = create(candidate.entry.reference)
    availability = backend.availability()
    missing, spec = installed(availability), candidate.model
    if missing or not isinstance(spec, ModelSpec):
        why = missing or spec
        assert isinstance(why, Unavailable)
        return Failure("unavailable", RowError(why.kind, why.advice))
    found, warnings = find(spec, cancelled, options_of(candidate.backend, candidate.size)), []
    if isinstance(found, Advice) and spec.fallback is not None:
        replacement = find(spec.fallback, cancelled)
        if isinstance(replacement, Location):
            warnings.append(f"ran {spec.fallback.source} because {found.what}")
            found, spec = replacement, spec.fallback
    if isinstance(found, Advice):
        status: Status = "unavailable" if isinstance(found, Blocked) else "missing-model"
        return Failure(status, RowError(found.state if isinstance(found, Begun) else status, found), spec)
    if spec.english_only and language not in (None, "en"):
        warnings.append(f"the model knows English only: language {language} was ignored")
    return Ready(candidate.entry.reference, backend.engine, spec, found, availability.version, tuple(warnings))


def fallback(candidate: Ready, failed: Failure, cancelled: threading.Event) -> Ready | Failure:
    """What runs in place of a model that was found but does not load, or that failure with what is known of both."""
    unusable, spec = candidate.spec.source, candidate.spec.fallback
    assert spec is not None
    found, advice = find(spec, cancelled), failed.error.advice
    if isinstance(found, Advice):
        todo = (
            f"{advice.todo or 'download it again'}; nothing can run in place of {unusable}: {found.what} ({found.todo})"
        )
        return replace(failed, error=replace(failed.error, advice=Advice(advice.what, todo)))
    warning = f"ran {spec.source} because {unusable} does not load: {advice.what}"
    return replace(candidate, spec=spec, location=found, warnings=(*candidate.warnings, warning))


@contextmanager
def shared_samples(data: bytes | memoryview) -> Iterator[int]:
    """A clip's little-endian float32 samples in a nameless file whose descriptor children inherit: nothing is ever left
    of it."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


def assign(
    reference: str,
    spec: ModelSpec,
    location: Location,
    descriptor: int,
    language: str | None = None,
    *,
    chosen: Sequence[tuple[str, str]] = (),
) -> Assignment:
    """Write down what one child is for.

    language: an ISO 639-1 code, or None to let the library detect it
    chosen: options of this backend, as names and values
    """
    return Assignment(
        reference=reference,
        spec={**asdict(spec), "fallback": None},
        location={**asdict(location), "path": location.path and str(location.path)},
        load_options=asdict(LoadOptions(host.total_memory(), tuple(chosen))),
        transcribe_options=asdict(TranscribeOptions(language)),
        clip_descriptor=descriptor,
    )


class Children:
    """Running children by row. A row may get another child once its first is dropped.

    Children are numbered in the order of their start: what one that was dropped had still to say is not taken for the
    words of its successor.
    """

    def __init__(self) -> None:
        self._running: dict[int, tuple[int, Child]] = {}
        self._rows: list[int] = []
        """By number."""
        self._reports: queue.SimpleQueue[tuple[int, Message | Ended]] = queue.SimpleQueue()

    def __getitem__(self, row: int) -> Child:
        return self._running[row][1]

    def get(self, row: int) -> Child | None:
        return self[row] if row in self._running else None

    def rows(self) -> tuple[int, ...]:
        """Those with a child, in the order of their start."""
        return tuple(self._running)

    def start(self, row: int, assignment: Assignment, make: Callable[..., Child] = Child) -> None:
        """Start a row's child."""
        number = len(self._rows)
        self._rows.append(row)

        def report(found: Message | Ended) -> None:
            self._reports.put((number, found))

        self._running[row] = number, make(CHILD, assignment, MESSAGES, report, pass_fds=(assignment.clip_descriptor,))

    def drop(self, row: int) -> None:
        """End a row's child, if it has one."""
        if running := self._running.pop(row, None):
            running[1].end()

    def reports(self, timeout: float) -> Iterator[tuple[int, Message | Ended]]:
        """Wait up to `timeout` seconds for reports; yield all that are there, with their row instead of a number."""
        while True:
            try:
                number, report = self._reports.get(timeout=timeout)
            except queue.Empty:
                return
            timeout = 0
            row = self._rows[number]
            if self._running.get(row, (None,))[0] == number:
                yield row, report

    def wait_until_quiet(self, cancelled: threading.Event, held: Interruptions) -> list[int]:
        """Return when no child computes, or with the rows of those that do not stop."""
        return wait_until_quiet({row: child for row, (_, child) in self._running.items()}, cancelled, held)
