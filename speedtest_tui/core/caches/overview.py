"""For each backend the model that a size means and where it lies: enough for a list, without hashing or loading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.base import BackendEntry, Location, ModelSpec
from backends.registry import create
from speedtest_tui.core.caches import materialise
from speedtest_tui.core.caches.locate import locate
from speedtest_tui.core.caches.locations import local_cache

PLACES = {"hf": "HF cache", "local": "local cache", "whisper": "whisper cache", "bundled": "its library"}


@dataclass(frozen=True)
class ModelState:
    """One line of the list. `found` is False where the model cannot be used; `where` then says why in two words.

    bytes: size of the model's files on disk, 0 where unknown or not there
    """

    backend: str
    model: str
    found: bool
    where: str
    bytes: int = 0


def overview(entries: Sequence[BackendEntry], size: str) -> tuple[ModelState, ...]:
    """Look every backend's model up. Touches no network and reads no weights."""
    return tuple(_state(entry, size) for entry in entries)


def _state(entry: BackendEntry, size: str) -> ModelState:
    try:
        backend = create(entry.reference)
        available, spec = backend.availability(), backend.model(size)
    except Exception as error:
        return ModelState(entry.name, "", False, f"its code failed ({type(error).__name__})")
    if spec is None:
        return ModelState(entry.name, "", False, f"no {size} model")
    name = spec.source.rpartition("/")[2] if spec.kind != "embedded" else f"{spec.source.partition('/')[0]}"
    if not available.ok:
        return ModelState(entry.name, name, False, "not installed")
    if spec.missing_reason:
        return ModelState(entry.name, name, False, "no weights yet")
    if spec.kind == "embedded":
        return _embedded(entry.name, name, spec)
    found = locate(spec)
    if isinstance(found, Location):
        return ModelState(entry.name, name, True, PLACES[found.cache], found.bytes)
    return ModelState(entry.name, name, False, "incomplete" if "incomplete" in found.reason else "missing")


def _embedded(backend: str, name: str, spec: ModelSpec) -> ModelState:
    folder = materialise.folder_of(spec.source.partition("/")[2], local_cache())
    try:
        size = _bytes_in(folder)
    except OSError:
        return ModelState(backend, name, True, "built in")
    return ModelState(backend, name, True, PLACES["local"], size)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
