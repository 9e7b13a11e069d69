"""All caches as rows: every repository, folder and file in them, whatever state it is in, and each cache as a whole.

Reads names, sizes and headers; never hashes a file, never uses the network, and imports nothing heavy: it runs in a
thread of the process that draws the screen.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from backends.base import Advice
from speedtest_tui.core import disk, locations
from speedtest_tui.core.format import one_line
from speedtest_tui.core.models import folder as folders
from speedtest_tui.core.models import reading, repository
from speedtest_tui.core.models.folder import CHECKPOINT, INCOMPLETE
from speedtest_tui.core.models.inventory import CacheUse, Layout, Stored
from speedtest_tui.core.models.layout import (
    EMBEDDED,
    LOCKS,
    SHARED_STORE,
    SNAPSHOTS,
    is_commit,
    ref_file,
    repository_id,
    snapshot_folder,
)
from speedtest_tui.core.models.own import CONVERTED
from speedtest_tui.core.models.places import BELOW_LOCAL, Identity, Roots, default_roots, identity, roots_of
from speedtest_tui.core.models.reading import Cancelled, Reading, Root, root_at
from speedtest_tui.core.models.status import CacheName

OVERLOOKED = (
    LOCKS,
    "CACHEDIR.TAG",
    "version.txt",
    "version_diffusers_cache.txt",
    ".speedtest-trash",
    ".gitignore",
    ".gitkeep",
)
"""What belongs in a cache and is no row: marks of huggingface_hub and transformers, and what repairs keep there."""

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
    try:
        yield from _Scan(roots, cancelled or threading.Event()).rows()
    except Cancelled:
        return


class _Scan:
    """A running scan; remembers which folders have been listed, so that none is listed twice."""

    def __init__(self, roots: Roots | None, cancelled: threading.Event) -> None:
        self.roots, self.cancelled = roots_of(default_roots() if roots is None else roots, cancelled), cancelled
        self.identities = {identity(root.path) for root in self.roots}
        apart = () if roots is not None else locations.converted_folders()
        self.converted = [one for one in apart if disk.is_folder(one) and identity(one.parent) not in self.identities]
        self.seen: set[Identity | None] = set()
        self.links: list[tuple[os.DirEntry[str], Root]] = []

    def rows(self) -> Iterator[Stored]:
        for root in self.roots:
            yield from self._root(root)
        for folder in self.converted:
            root = root_at(folder.parent, "local", (os.path.realpath(folder),), cancelled=self.cancelled)
            yield from folders.made(folder, root, "converted")
        # Links to folders come last: what they lead to is listed where it really lies, if that is in a cache.
        for entry, root in self.links:
            if identity(Path(entry.path)) is None:
                yield from _guarded(partial(_misled, entry, root), entry, root)
            else:
                # People move repositories to other disks and leave a link in their place.
                real = os.path.realpath(entry.path)
                yield from self._folder(entry, replace(root, inside=(*root.inside, real)), real, {})

    def _root(self, root: Root) -> Iterator[Stored]:
        listing = Reading(root, root.path)
        locks = _locks(root)
        checkpoints = set()
        for entry in listing.children(root.path, ""):
            name = entry.name
            if name in OVERLOOKED or (name == "README.md" and "local" in root.caches):
                continue
            if _is_folder_link(entry):
                self.links.append((entry, root))
            elif entry.is_dir(follow_symlinks=False):
                yield from self._folder(entry, root, f"{root.real}/{name}", locks)
            elif name == BELOW_LOCAL and "local" in root.caches:
                continue  # a cache that cannot be used: see `use`
            elif repository_id(name) is not None:
                yield from _guarded(partial(_misled, entry, root), entry, root)
            elif not root.caches & {"local", "whisper"}:
                yield from _guarded(partial(_foreign, entry, root), entry, root)
            elif name.endswith((CHECKPOINT, CHECKPOINT + INCOMPLETE)):
                checkpoints.add(name.removesuffix(INCOMPLETE))
            elif not name.endswith(CHECKPOINT + ".lock"):
                yield from _guarded(partial(_foreign, entry, root), entry, root)
        checkpoints.update(fault.name for fault in listing.faults if fault.name.endswith(CHECKPOINT))
        for name in sorted(checkpoints):
            yield folders.checkpoint(name, root)
        for name in sorted(locks):
            if not os.path.lexists(root.path / name):
                yield from _locks_of_nothing(name, locks[name], root)

    def _folder(self, entry: os.DirEntry[str], root: Root, real: str, locks: Locks) -> Iterator[Stored]:
        same = identity(Path(entry.path))
        # Another cache may lie in this one: it is listed by itself, and what leads to it is not out of place.
        if same in self.identities or any(inside.startswith(real + "/") for inside in root.inside):
            return
        if same is None or same not in self.seen:
            self.seen.add(same)
            yield from _guarded(partial(_rows_of, entry, root, locks), entry, root)


def _guarded(rows: Callable[[], Iterator[Stored]], entry: os.DirEntry[str], root: Root) -> Iterator[Stored]:
    """Some rows; where the system gets in the way half-way through, a row that says so."""
    try:
        yield from rows()
    except (OSError, ValueError, RecursionError) as error:
        found = Reading(root, Path(entry.path))
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        found.blame("unreadable", entry.path, f"{one_line(entry.name)} changed while it was read ({reason})")
        yield found.row(*_named(entry.name))


def _named(folder_name: str) -> tuple[str, Layout]:
    """The name and layout of the row of a folder about which no more is known."""
    known = repository_id(folder_name)
    return (known[1], "hub") if known else (one_line(folder_name), "foreign")


def _rows_of(entry: os.DirEntry[str], root: Root, locks: Locks) -> Iterator[Stored]:
    """The rows of a folder that lies directly in a cache."""
    path, name = Path(entry.path), entry.name
    known = repository_id(name)
    if known is not None and root.caches & {"hf", "local"}:
        yield repository.read(path, *known, root, locks.get(name, ()))
    elif name == SHARED_STORE and root.shared:
        yield from folders.shared_store(path, root)
    elif "local" not in root.caches:
        yield from _foreign(entry, root)
    elif name == EMBEDDED:
        yield from folders.made(path, root, "embedded")
    elif name + "/" == CONVERTED:
        yield from folders.made(path, root, "converted")
    elif "--" in name or folders.is_model_folder(entry.path):
        yield folders.read(path, one_line(name), root)
    else:
        yield from _models_of_an_owner(entry, root)


def _foreign(entry: os.DirEntry[str], root: Root) -> Iterator[Stored]:
    yield folders.foreign(entry, root, HOMES[root.cache])


def _models_of_an_owner(entry: os.DirEntry[str], root: Root) -> Iterator[Stored]:
    """The plain folders of `org/name`; a folder without any is foreign, and so is whatever lies beside some."""
    listing = Reading(root, Path(entry.path))
    below = listing.children(entry.path)
    if listing.faults:
        yield listing.row(one_line(entry.name), "plain")
        return
    models = [one.name for one in below if is_model(one)]
    if not models:
        yield from _foreign(entry, root)
        return
    for one in below:
        if one.name in models:
            yield folders.read(Path(one.path), one_line(f"{entry.name}/{one.name}"), root)
        else:
            yield from _foreign(one, root)


def _misled(entry: os.DirEntry[str], root: Root) -> Iterator[Stored]:
    """A file, or a link to a folder that is not there, in the place of a repository."""
    known = repository_id(entry.name)
    if known is None:
        yield from _foreign(entry, root)
        return
    found = Reading(root, Path(entry.path))
    found.faults += filter(None, [reading.obstacle(Path(entry.path))])
    yield found.row(known[1], "hub", kind=known[0])


def _is_folder_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link to a folder, or what should be one: a repository's name that leads nowhere."""
    if not entry.is_symlink():
        return False
    try:
        return repository_id(entry.name) is not None or reading.is_folder(entry.path)
    except PermissionError:
        return True


def _locks(root: Root) -> Locks:
    """The lock files of a cache by the folder name of their repository."""
    found: dict[str, tuple[Path, ...]] = {}
    listing = Reading(root, root.path)
    folder = root.path / LOCKS
    if not disk.is_plain_folder(folder):
        return found
    for entry in listing.children(folder):
        if entry.is_dir(follow_symlinks=False):
            files = listing.children(entry.path)
            found[entry.name] = tuple(Path(file.path) for file in files if file.is_file(follow_symlinks=False))
    return found


def _locks_of_nothing(folder_name: str, locks: tuple[Path, ...], root: Root) -> Iterator[Stored]:
    """A row for the locks of a repository that is gone."""
    found = Reading(root, root.path / LOCKS / folder_name)
    found.faults += repository.stale_locks(locks, None)
    if found.faults:
        yield found.row(*_named(folder_name))


def use(stored: Sequence[Stored], roots: Roots | None = None) -> tuple[CacheUse, ...]:
    """Sum the rows of a scan up by cache, the empty and missing ones included. Never raises for content."""
    caches: dict[CacheName, Path] = {}
    for name, root in default_roots() if roots is None else roots:
        caches.setdefault(name, root)
    return tuple(_use(name, root, [row for row in stored if row.cache == name]) for name, root in caches.items())


def _use(name: CacheName, root: Path, rows: Sequence[Stored]) -> CacheUse:
    folders = (root, root / BELOW_LOCAL) if name == "local" else (root,)
    problem = next(filter(None, map(_problem, folders)), None)
    return CacheUse(name, root, os.path.lexists(root), total(rows), disk.free(root), len(rows), problem)


def total(rows: Iterable[Stored]) -> int:
    """The bytes of some rows on disk; what two of them share, by links of either kind, counts once."""
    whole = 0
    counted: set[tuple[int, int]] = set()
    for row in rows:
        whole += row.bytes
        files = (*row.files, *(file for snapshot in row.snapshots for file in snapshot.files))
        own = {file.inode: file.bytes for file in files if file.inode is not None}
        whole -= sum(size for inode, size in own.items() if inode in counted)
        counted |= own.keys()
    return whole


def _problem(root: Path) -> Advice | None:
    """Why a cache cannot be read or written, and what to do. One that is not there yet has none if it can be made."""
    if blocked := reading.obstacle(root):
        return Advice(blocked.detail, blocked.todo or "remove the link")
    folder = locations.existing_parent(root)
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    what = f"{root} is read-only" if folder == root else f"{root} cannot be made: {folder} is read-only"
    return Advice(what, "change its permissions, or choose another folder")


# Models that nobody named yet.


def found_models(roots: Roots | None = None, cancelled: threading.Event | None = None) -> Iterator[tuple[str, Path]]:
    """What may be a model in the caches: "org/name" or its absolute path, and the folder that its files are in.

    Lists names only, and reads refs: who wants to know what a model is, looks into that folder. Each name once.
    """
    seen: set[str] = set()
    for root in roots_of(default_roots() if roots is None else roots, cancelled or threading.Event()):
        try:
            for entry in Reading(root, root.path).children(root.path):
                for name, folder in _candidates(entry, root):
                    if name not in seen:
                        seen.add(name)
                        yield name, folder
        except Cancelled:
            return


def _candidates(entry: os.DirEntry[str], root: Root) -> Iterator[tuple[str, Path]]:
    path, name = Path(entry.path), entry.name
    known = repository_id(name)
    if known is not None and known[0] == "model":
        if folder := _newest_snapshot(path):
            yield known[1], folder
    elif "local" in root.caches and name not in (*OVERLOOKED, EMBEDDED, BELOW_LOCAL, SHARED_STORE, CONVERTED[:-1]):
        if folders.is_model_folder(entry.path):
            yield str(path.absolute()), path
        elif disk.is_plain_folder(path):
            below = Reading(root, path).children(entry.path)
            yield from ((str(Path(one.path).absolute()), Path(one.path)) for one in below if is_model(one))


def is_model(entry: os.DirEntry[str]) -> bool:
    """Whether a folder of a cache directly holds what models are made of."""
    return entry.is_dir(follow_symlinks=False) and folders.is_model_folder(entry.path)


def _newest_snapshot(repository: Path) -> Path | None:
    """The snapshot that main names, else the newest; None where there is none."""
    try:
        commit = disk.read_plain(ref_file(repository, "main"), 100)[0].decode().strip()
    except (OSError, ValueError):
        commit = ""
    named = snapshot_folder(repository, commit) if is_commit(commit) else None
    if named is not None and named.is_dir():
        return named
    try:
        there = [one for one in (repository / SNAPSHOTS).iterdir() if one.is_dir()]
    except OSError:
        return None
    return max(there, key=reading.modified, default=None)
