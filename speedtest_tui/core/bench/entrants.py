"""Getting a backend ready for the start: is it installed, which model does it run, and where are the files?"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from backends.base import Backend, BackendEntry, BackendError, Engine, Location, ModelSpec
from backends.registry import create
from speedtest_tui.core.bench.launcher import run_to_end
from speedtest_tui.core.bench.row import RowError, Status
from speedtest_tui.core.caches import materialise
from speedtest_tui.core.caches.converted import model_of
from speedtest_tui.core.caches.locate import NotFound, locate
from speedtest_tui.core.caches.locations import local_cache


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
