"""For every backend and size: which model it means, how that stands in each cache, and what a race would load."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from backends.base import Backend, BackendEntry, Location, ModelSpec
from backends.registry import create
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.fingerprint import fingerprint, libraries
from speedtest_tui.core.models.locate import location_of
from speedtest_tui.core.models.remembered import recall
from speedtest_tui.core.models.sizes import model_of
from speedtest_tui.core.models.status import CACHES, NO_MODEL, CacheState, ModelReport, Verification


def survey(
    entries: Sequence[BackendEntry], sizes: Sequence[str], cancelled: threading.Event | None = None
) -> Iterator[ModelReport]:
    """Look every model up: cheap, without network, hashing or loading. Sizes that mean one model share a report.

    A backend without a model of any of the sizes, and one whose own code fails, get one report that says so.
    """
    for entry in entries:
        try:
            for found in _of_backend(entry, sizes):
                if cancelled is not None and cancelled.is_set():
                    return
                yield found
        except Exception as error:
            said = f"its code failed ({type(error).__name__}: {' '.join(str(error).split())})"
            yield ModelReport(entry.name, sizes[0], None, sizes=tuple(sizes), unavailable=said)


def _of_backend(entry: BackendEntry, sizes: Sequence[str]) -> Iterator[ModelReport]:
    backend = create(entry.reference)
    available = backend.availability()
    unavailable = "" if available.ok else f"not installed: {available.fix}"
    models = _models(backend, sizes)
    if not models:
        none = unavailable or f"{NO_MODEL}{' or '.join(sizes)} model"
        yield ModelReport(entry.name, sizes[0], None, sizes=tuple(sizes), unavailable=none)
    for spec, meant in models:
        yield report(entry, spec, meant, unavailable)


def _models(backend: Backend, sizes: Sequence[str]) -> list[tuple[ModelSpec, tuple[str, ...]]]:
    """Each model once, with the sizes that mean it."""
    found: dict[tuple[str, str, str], tuple[ModelSpec, list[str]]] = {}
    for size in sizes:
        if (spec := model_of(backend, size)) is not None:
            found.setdefault((spec.kind, spec.source, spec.revision), (spec, []))[1].append(size)
    return [(spec, tuple(meant)) for spec, meant in found.values()]


def report(entry: BackendEntry, spec: ModelSpec, sizes: tuple[str, ...], unavailable: str = "") -> ModelReport:
    """How one model stands, the one that a backend falls back to included."""
    states = tuple((cache, examine(spec, cache)) for cache in CACHES)
    location = location_of(spec, states) or _unpacked_on_use(spec, dict(states)["local"])
    fallback = report(entry, spec.fallback, sizes, unavailable) if spec.fallback else None
    found = ModelReport(entry.name, sizes[0], spec, states, sizes, location, None, fallback, unavailable)
    if location is None and fallback is not None and fallback.location is not None:
        return replace(found, location=fallback.location, verified=fallback.verified)
    return replace(found, verified=_verified(entry, spec, location)) if location else found


def _unpacked_on_use(spec: ModelSpec, local: CacheState) -> Location | None:
    """An embedded model can always be raced: what is missing or damaged of it is unpacked anew. No path until then."""
    if spec.kind != "embedded" or spec.missing_reason or local.state == "not-applicable":
        return None
    return Location(None, cache="embedded")


def _verified(entry: BackendEntry, spec: ModelSpec, location: Location) -> Verification | None:
    """What came of loading this model from where it lies; stale where its files or libraries have changed since."""
    # Most models were never loaded: the fingerprint, which asks for versions, is for the others only.
    if recall(entry.name, location.path, "") is None:
        return None
    return recall(entry.name, location.path, fingerprint(spec, location, libraries(entry, spec)))
