"""Getting a row ready for the start: is its backend installed, which model does it run, where are the files?

And what a child is handed, be it for a race or to verify a model: its model as plain JSON, its clip as a descriptor.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
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
from speedtest_tui.core.models.inspect import find
from speedtest_tui.core.models.sizes import Candidate, Unavailable, installed
from speedtest_tui.core.race.events import Assignment
from speedtest_tui.core.race.row import Failure, RowError


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
    found, warnings = find(spec, cancelled), []
    if isinstance(found, Advice) and spec.fallback is not None:
        replacement = find(spec.fallback, cancelled)
        if isinstance(replacement, Location):
            warnings.append(f"ran {spec.fallback.source} because {found.what}")
            found, spec = replacement, spec.fallback
    if isinstance(found, Advice):
        return Failure("missing-model", RowError("missing-model", found), spec)
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
