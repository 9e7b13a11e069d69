"""Getting a backend ready for the start: is it installed, which model does it run, and where are the files?

What every child is handed, be it for a race or for a check: its model as plain JSON, its clip as a descriptor.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backends.base import (
    Backend,
    BackendEntry,
    BackendError,
    Engine,
    LoadOptions,
    Location,
    ModelSpec,
    TranscribeOptions,
)
from backends.registry import create
from speedtest_tui.core import host
from speedtest_tui.core.locations import local_cache
from speedtest_tui.core.models import builtin as materialise
from speedtest_tui.core.models.locate import NotFound, locate
from speedtest_tui.core.models.sizes import model_of
from speedtest_tui.core.process.launch import run_to_end
from speedtest_tui.core.process.lines import Assignment
from speedtest_tui.core.race.row import RowError, Status


@dataclass(frozen=True)
class Entrant:
    """A backend that can start."""

    reference: str
    engine: Engine
    spec: ModelSpec
    location: Location
    version: str
    """Of the library, as its distribution says."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scratched:
    """A backend that cannot start: `status` is "unavailable" or "missing-model"."""

    status: Status
    error: RowError
    spec: ModelSpec | None = None


def prepare(entry: BackendEntry, size: str, language: str | None, cancelled: threading.Event) -> Entrant | Scratched:
    """Find out whether and with which files a backend can run; unpacks an embedded model on first use."""
    try:
        backend = create(entry.reference)
        return _prepare(backend, entry, size, language, cancelled)
    except BackendError as error:
        return Scratched("unavailable", RowError(error.kind, error.message, error.hint))
    except Exception as error:
        message = f"its own code failed while it was asked what it needs ({type(error).__name__}: {error})"
        return Scratched("unavailable", RowError("exception", message, f"report it to {entry.provider}"))


def _prepare(
    backend: Backend, entry: BackendEntry, size: str, language: str | None, cancelled: threading.Event
) -> Entrant | Scratched:
    availability = backend.availability()
    if not availability.ok:
        return Scratched("unavailable", RowError("unavailable", "not installed here", availability.fix))
    spec = model_of(backend, size)
    if spec is None:
        return Scratched("unavailable", RowError("unavailable", f"has no model of size {size}", "choose another size"))
    found, warnings = find(spec, cancelled), []
    if isinstance(found, NotFound) and spec.fallback is not None:
        replacement = find(spec.fallback, cancelled)
        if isinstance(replacement, Location):
            warnings.append(f"ran {spec.fallback.source} because {found.reason}")
            found, spec = replacement, spec.fallback
    if isinstance(found, NotFound):
        return Scratched("missing-model", RowError("missing-model", found.reason, found.hint), spec)
    if spec.english_only and language not in (None, "en"):
        warnings.append(f"the model knows English only: language {language} was ignored")
    return Entrant(entry.reference, backend.engine, spec, found, availability.version, tuple(warnings))


def stand_in(entrant: Entrant, failure: RowError, cancelled: threading.Event) -> Entrant | RowError:
    """What may run in place of a model that was found but does not load, or that failure with what is known of both."""
    unusable, spec = entrant.spec.source, entrant.spec.fallback
    assert spec is not None
    found = find(spec, cancelled)
    if isinstance(found, NotFound):
        first = failure.hint or "fetch it again"
        hint = f"{first}; nothing can run in place of {unusable}: {found.reason} ({found.hint})"
        return replace(failure, hint=hint)
    warning = f"ran {spec.source} because {unusable} does not load: {failure.message}"
    return replace(entrant, spec=spec, location=found, warnings=(*entrant.warnings, warning))


def find(spec: ModelSpec, cancelled: threading.Event) -> Location | NotFound:
    """Find a model wherever it may be; an embedded one is unpacked if it has not been."""
    if spec.kind == "embedded" and not spec.missing_reason:
        return unpack(spec, cancelled)
    return locate(spec)


def unpack(spec: ModelSpec, cancelled: threading.Event) -> Location | NotFound:
    """The folder of an embedded model, from the local cache or freshly made.

    Making it may need torch, so it happens in a child process: this one must stay small.
    """
    folder = materialise.find(spec.source, local_cache())
    if folder is None:
        process = run_to_end(cancelled, materialise.__name__, spec.source, str(local_cache()))
        if process.returncode != 0:
            reason, _, hint = process.stderr.decode("utf-8", "replace").strip().rpartition(": ")
            return NotFound(f"the built-in model could not be unpacked ({reason})", hint)
        folder = Path(json.loads(process.stdout)["path"])
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Location(folder.absolute(), folder.parent.name, "embedded", size)


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
