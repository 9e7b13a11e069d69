"""The trash: one folder per application, on the file system of what was thrown away, until it is emptied."""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from speedtest_tui.core import disk, locations
from speedtest_tui.core.repair import journal
from speedtest_tui.core.repair.journal import Change, Journal

FALLBACK = ".speedtest-trash"
"""Below a cache that lies on another file system than our data: a rename must do, whatever the size."""
EMPTYING = ".emptying-"


@dataclass(frozen=True)
class Entry:
    """One application, as the trash remembers it; its journals may lie on several file systems.

    id: name of its folders; begins with the time, so that names sort by age
    changes: each with the folder that keeps what it replaced, in the order in which they were made
    bytes: that emptying it would free
    """

    id: str
    what: str
    started: str
    undoes: str
    undone: bool
    folders: tuple[Path, ...]
    changes: tuple[tuple[Path, Change], ...]
    bytes: int


def new_id(now: datetime.datetime) -> str:
    """Name of an application's folders."""
    return f"{now:%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:4]}"


def cache_roots() -> tuple[Path, ...]:
    """The caches whose file systems may carry a trash of their own."""
    local = locations.local_cache()
    return (locations.hf_cache(), local, local / "hub", locations.whisper_cache())


def candidates(path: Path, root: Path) -> Iterator[Path]:
    """Where the trash for `path` may lie, the best first: our data folder where that is the same file system."""
    device = locations.existing_parent(path.parent).stat().st_dev
    general = locations.trash_folder()
    if locations.existing_parent(general).stat().st_dev == device:
        yield general
    yield root / FALLBACK


def entries(roots: Iterable[Path] | None = None) -> tuple[Entry, ...]:
    """All applications that left something, the newest first. What cannot be read is left out, and left alone."""
    found: dict[str, list[tuple[Path, Journal]]] = {}
    for folder, only_root in _folders(cache_roots() if roots is None else roots):
        read = journal.read(folder, only_root)
        if read is not None:
            found.setdefault(folder.name, []).append((folder, read))
    return tuple(_entry(name, found[name]) for name in sorted(found, reverse=True))


def _folders(roots: Iterable[Path]) -> Iterator[tuple[Path, Path | None]]:
    places: list[tuple[Path, Path | None]] = [(locations.trash_folder(), None)]
    places += [(root / FALLBACK, root) for root in dict.fromkeys(roots)]
    for place, only_root in places:
        try:
            children = sorted(place.iterdir())
        except OSError:
            continue
        yield from ((child, only_root) for child in children if child.is_dir() and not child.name.startswith("."))


def _entry(name: str, found: list[tuple[Path, Journal]]) -> Entry:
    folders, journals = zip(*found, strict=True)
    changes = [(folder, change) for folder, one in found for change in one.changes]
    return Entry(
        name,
        journals[0].what,
        min(one.started for one in journals),
        journals[0].undoes,
        all(one.undone for one in journals),
        folders,
        tuple(sorted(changes, key=lambda pair: pair[1].number)),
        _reclaimable(folders),
    )


def _reclaimable(folders: Iterable[Path]) -> int:
    """Bytes of files that have no name outside the trash."""
    names: dict[tuple[int, int], tuple[int, int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and path.name != journal.JOURNAL:
                inode = (status.st_dev, status.st_ino)
                names[inode] = (status.st_size, status.st_nlink, names.get(inode, (0, 0, 0))[2] + 1)
    return sum(size for size, links, seen in names.values() if seen >= links)


def empty(roots: Iterable[Path] | None = None) -> int:
    """Delete what is in the trash, for good; the only place in this program that does. Returns bytes freed.

    Folders without a readable journal go as well: they are ours by where they lie. Raises nothing; what resists stays.
    """
    roots = tuple(cache_roots() if roots is None else roots)
    freed = 0
    for folder, _ in list(_folders(roots)):
        size = _reclaimable([folder])
        aside = folder.with_name(EMPTYING + folder.name)
        try:
            # Out of the list in one step: a half-emptied entry must not be undone.
            folder.rename(aside)
        except OSError:
            continue
        _delete(aside)
        freed += 0 if aside.exists() else size
    for place in (locations.trash_folder(), *(root / FALLBACK for root in roots)):
        # What an emptying left that was killed.
        for leftover in place.glob(f"{EMPTYING}*"):
            _delete(leftover)
    return freed


def _delete(folder: Path) -> None:
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                # A folder that is read-only keeps its files.
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    disk.remove_tree(folder)


def mark_undone(entry: Entry) -> None:
    """Note in its journals that it has been undone. Raises OSError."""
    for folder in entry.folders:
        found = journal.read(folder)
        if found is not None:
            journal.write(folder, replace(found, undone=True))
