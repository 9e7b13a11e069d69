"""One look over all caches: every repository, folder and file in them becomes a row, whatever state it is in.

Reads names, sizes and headers; never hashes a file, never uses the network, and imports nothing heavy: it runs in a
thread of the process that draws the screen.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from speedtest_tui.core.models import scan_plain, shared_store
from speedtest_tui.core.models.cache_use import use
from speedtest_tui.core.models.inventory import Stored
from speedtest_tui.core.models.layout import LOCKS, SHARED_STORE, repository_id, shown
from speedtest_tui.core.models.leftovers import stale_locks
from speedtest_tui.core.models.payloads import of_link
from speedtest_tui.core.models.reading import SYSTEM_FILES, Cancelled, Place, Reading, is_folder
from speedtest_tui.core.models.roots import Identity, Roots, default_roots, identity, places
from speedtest_tui.core.models.scan_hub import scan_repository
from speedtest_tui.core.models.scan_plain import CHECKPOINT, INCOMPLETE
from speedtest_tui.core.models.status import CacheName

__all__ = ["default_roots", "scan", "use"]

OVERLOOKED = (
    *SYSTEM_FILES,
    LOCKS,
    "CACHEDIR.TAG",
    "version.txt",
    "version_diffusers_cache.txt",
    ".speedtest-trash",
    ".gitignore",
    ".gitkeep",
)
"""What belongs in a cache and is no row: marks of huggingface_hub and transformers, and what repairs keep there."""

EMBEDDED, CONVERTED = "embedded", "converted"

Locks = Mapping[str, tuple[Path, ...]]

HOMES: dict[CacheName, str] = {
    "hf": "the Hugging Face cache holds folders like models--org--name",
    "local": "nothing in it is a model's",
    "whisper": "this cache holds .pt files only",
}
"""Why something is out of place in a cache, as the rest of a sentence."""


def scan(roots: Roots | None = None, cancelled: threading.Event | None = None) -> Iterator[Stored]:
    """Yield a row for everything that lies in the caches, each as soon as it is read. Never raises for content.

    roots: caches and their folders; all of this machine where None. What is no folder has no rows: see `use`.
    cancelled: ends the scan within a folder's listing; the row that was being read is dropped
    """
    look = _Look(default_roots() if roots is None else roots, cancelled or threading.Event())
    try:
        yield from look.rows()
    except Cancelled:
        return


class _Look:
    """A scan under way; remembers which folders have been listed, so that none is listed twice."""

    def __init__(self, roots: Roots, cancelled: threading.Event) -> None:
        self.places = places(roots, cancelled)
        self.roots = {identity(place.root) for place in self.places}
        self.seen: set[Identity | None] = set()
        self.links: list[tuple[os.DirEntry[str], Place]] = []

    def rows(self) -> Iterator[Stored]:
        for place in self.places:
            yield from self._place(place)
        # Links to folders come last: what they lead to is listed where it really lies, if that is in a cache.
        for entry, place in self.links:
            if identity(Path(entry.path)) is None or not place.bounds.hold(entry.path):
                yield from _guarded(partial(_misled, entry, place), entry, place)
            else:
                yield from self._folder(entry, place, os.path.realpath(entry.path), {})

    def _place(self, place: Place) -> Iterator[Stored]:
        listing = Reading(place, place.root)
        locks = _locks(place)
        checkpoints = []
        for entry in listing.children(place.root, place.root.name):
            name = entry.name
            if name in OVERLOOKED or (name == "README.md" and "local" in place.caches):
                continue
            if _is_folder_link(entry):
                self.links.append((entry, place))
            elif entry.is_dir(follow_symlinks=False):
                yield from self._folder(entry, place, f"{place.real}/{name}", locks)
            elif not place.caches & {"local", "whisper"}:
                yield from _guarded(partial(_foreign, entry, place), entry, place)
            elif name.endswith((CHECKPOINT, CHECKPOINT + INCOMPLETE)):
                checkpoints.append(entry)
            elif not name.endswith(CHECKPOINT + ".lock"):
                yield from _guarded(partial(_foreign, entry, place), entry, place)
        yield from scan_plain.scan_checkpoints(checkpoints, place)
        for repository in sorted(locks):
            if not os.path.lexists(place.root / repository):
                yield from _locks_of_nothing(repository, locks[repository], place)

    def _folder(self, entry: os.DirEntry[str], place: Place, real: str, locks: Locks) -> Iterator[Stored]:
        same = identity(Path(entry.path))
        # Another cache may lie in this one: it is listed by itself, and what leads to it is not out of place.
        if same in self.roots or any(root.startswith(real + "/") for root in place.bounds.roots):
            return
        if same is None or same not in self.seen:
            self.seen.add(same)
            yield from _guarded(partial(_rows_of, entry, place, locks), entry, place)


def _guarded(rows: Callable[[], Iterator[Stored]], entry: os.DirEntry[str], place: Place) -> Iterator[Stored]:
    """Some rows; where the system gets in the way half-way through, a row that says so."""
    try:
        yield from rows()
    except (OSError, ValueError, RecursionError) as error:
        reading = Reading(place, Path(entry.path))
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reading.blame("unreadable", entry.path, f"{shown(entry.name)} changed while it was looked at ({reason})")
        found = repository_id(entry.name)
        yield reading.row(found[1] if found else shown(entry.name), "hub" if found else "foreign")


def _rows_of(entry: os.DirEntry[str], place: Place, locks: Locks) -> Iterator[Stored]:
    """The rows of a folder that lies directly in a cache."""
    folder, name = Path(entry.path), entry.name
    found = repository_id(name)
    if found is not None and place.caches & {"hf", "local"}:
        yield scan_repository(folder, *found, place, locks.get(name, ()))
    elif name == SHARED_STORE and place.shared:
        yield from shared_store.scan_store(folder, place)
    elif "local" not in place.caches:
        yield from _foreign(entry, place)
    elif name == EMBEDDED:
        yield from scan_plain.scan_embedded(folder, place)
    elif name == CONVERTED:
        yield from scan_plain.scan_converted(folder, place)
    elif "--" in name or scan_plain.is_model_folder(entry.path):
        yield scan_plain.scan_folder(folder, shown(name), place)
    else:
        yield from _models_of_an_owner(entry, place)


def _foreign(entry: os.DirEntry[str], place: Place) -> Iterator[Stored]:
    yield scan_plain.scan_foreign(entry, place, HOMES[place.cache])


def _models_of_an_owner(entry: os.DirEntry[str], place: Place) -> Iterator[Stored]:
    """The plain folders of `org/name`; a folder without any is foreign, and so is whatever lies beside some."""
    listing = Reading(place, Path(entry.path))
    below = listing.children(entry.path, entry.name)
    if listing.faults:
        yield listing.row(shown(entry.name), "plain")
        return
    models = [one.name for one in below if one.is_dir(follow_symlinks=False) and scan_plain.is_model_folder(one.path)]
    if not models:
        yield from _foreign(entry, place)
        return
    for one in below:
        if one.name in models:
            yield scan_plain.scan_folder(Path(one.path), shown(f"{entry.name}/{one.name}"), place)
        else:
            yield from _foreign(one, place)


def _misled(entry: os.DirEntry[str], place: Place) -> Iterator[Stored]:
    """A link to a folder that is in no cache, or to nothing; it is not followed."""
    found = repository_id(entry.name)
    if found is None:
        yield from _foreign(entry, place)
        return
    reading = Reading(place, Path(entry.path))
    payload = of_link(entry.path, place.bounds)
    reading.blame(payload.kind or "unreadable", entry.path, f"{entry.name} {payload.problem}")
    yield reading.row(found[1], "hub", kind=found[0])


def _is_folder_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link to a folder, or what should be one: a repository's name that leads nowhere."""
    return entry.is_symlink() and (is_folder(entry.path) or repository_id(entry.name) is not None)


def _locks(place: Place) -> Locks:
    """The lock files of a cache by the folder name of their repository."""
    found: dict[str, tuple[Path, ...]] = {}
    listing = Reading(place, place.root)
    folder = place.root / LOCKS
    if folder.is_symlink() or not is_folder(folder):
        return found
    for entry in listing.children(folder, LOCKS):
        if entry.is_dir(follow_symlinks=False):
            files = listing.children(entry.path, entry.name)
            found[entry.name] = tuple(Path(file.path) for file in files if file.is_file(follow_symlinks=False))
    return found


def _locks_of_nothing(folder_name: str, locks: tuple[Path, ...], place: Place) -> Iterator[Stored]:
    """A row for the locks of a repository that is gone."""
    reading = Reading(place, place.root / LOCKS / folder_name)
    reading.faults += stale_locks(locks, None)
    if reading.faults:
        found = repository_id(folder_name)
        yield reading.row(found[1] if found else shown(folder_name), "hub" if found else "foreign")
