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

from speedtest_tui.core import disk, locations, removal
from speedtest_tui.core.repair import journal
from speedtest_tui.core.repair.journal import Change, Journal

FALLBACK = ".speedtest-trash"
"""Below a cache that lies on another file system than our data: a rename must do, whatever the size."""
EMPTYING = ".emptying-"
KNOWN = "trash-entries"
"""Beside our own trash: an empty file for each entry that we made, wherever it lies. Others came with their cache."""


@dataclass(frozen=True)
class Entry:
    """One application, as the trash remembers it; its journals may lie on several file systems.

    id: name of its folders; begins with the time, so that names sort by age
    changes: each with the folder that keeps what it replaced, in the order in which they were made
    bytes: that emptying it would free
    foreign: whether it came with a cache: somebody else's, that is neither deleted nor undone unasked
    """

    id: str
    what: str
    started: str
    undoes: str
    undone: bool
    folders: tuple[Path, ...]
    changes: tuple[tuple[Path, Change], ...]
    bytes: int
    foreign: bool = False


def new_id(now: datetime.datetime) -> str:
    """Name of an application's folders."""
    return f"{now:%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:4]}"


def cache_roots() -> tuple[Path, ...]:
    """The caches whose file systems may carry a trash of their own."""
    local = locations.local_cache()
    return (locations.hf_cache(), local, local / "hub", locations.whisper_cache())


def candidates(path: Path, root: Path) -> Iterator[Path]:
    """Where the trash for `path` may lie, the best first: our data folder where that is the same file system.

    Never where a link stands: what it leads to is not ours.
    """
    device = locations.existing_parent(path.parent).stat().st_dev
    general = locations.trash_folder()
    if locations.existing_parent(general).stat().st_dev == device and not general.is_symlink():
        yield general
    if not (root / FALLBACK).is_symlink():
        yield root / FALLBACK


def write_journal(folder: Path, book: Journal) -> None:
    """Write an entry's journal, and note beside our own trash that it is ours. Raises OSError.

    Where that cannot be noted, one in a cache counts as foreign later on.
    """
    known = _known()
    with contextlib.suppress(OSError):
        known.mkdir(parents=True, exist_ok=True)
        if disk.is_plain_folder(known):
            how = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            with os.fdopen(os.open(known / folder.name, how, 0o600), "w") as file:
                file.write(f"{journal.digest(book)}\n")
    journal.write(folder, book)


def _known() -> Path:
    return locations.trash_folder().with_name(KNOWN)


def entries(roots: Iterable[Path] | None = None) -> tuple[Entry, ...]:
    """All applications that left something, the newest first. What cannot be read is left out, and left alone."""
    found: dict[tuple[str, bool], list[tuple[Path, Journal]]] = {}
    for folder, only_root in _folders(roots):
        read, foreign = _read(folder, only_root)
        if read is not None:
            found.setdefault((folder.name, foreign), []).append((folder, read))
    return tuple(_entry(name, found[name, foreign], foreign) for name, foreign in sorted(found, reverse=True))


def unreadable(roots: Iterable[Path] | None = None) -> tuple[Path, ...]:
    """Folders in the trash whose journal is missing or damaged: nobody knows what they keep, so they stay."""
    return tuple(folder for folder, only_root in _folders(roots) if _read(folder, only_root)[0] is None)


def _read(folder: Path, only_root: Path | None, entry: str = "") -> tuple[Journal | None, bool]:
    """The journal of an entry, and whether it is foreign, as it came with its cache: a name alone could be anybody's.

    One in a cache may speak of that alone, one in our own trash of all caches; what we noted as ours there, of whatever
    else was a cache then.
    """
    found, notes = journal.read(folder), list[str]()
    with contextlib.suppress(OSError, ValueError):
        if disk.is_plain_folder(_known()):
            notes = disk.read_plain(_known() / (entry or folder.name), 1 << 20, os.O_NOFOLLOW)[0].decode().split()
    noted = found is not None and journal.digest(found) in notes
    if found is not None and (only_root is not None or not noted):
        roots = cache_roots() if only_root is None else (only_root,)
        found = found if all(change.root in roots for change in found.changes) else None
    return found, only_root is not None and not noted


def _places(roots: Iterable[Path] | None) -> Iterator[tuple[Path, Path | None]]:
    """Every trash, and the one cache that its journals may speak of. No link is one."""
    places: list[tuple[Path, Path | None]] = [(locations.trash_folder(), None)]
    places += [(root / FALLBACK, root) for root in dict.fromkeys(cache_roots() if roots is None else roots)]
    yield from ((place, root) for place, root in places if disk.is_plain_folder(place))


def _folders(roots: Iterable[Path] | None) -> Iterator[tuple[Path, Path | None]]:
    for place, only_root in _places(roots):
        try:
            children = sorted(place.iterdir())
        except OSError:
            continue
        for child in children:
            if not child.name.startswith(".") and disk.is_plain_folder(child):
                yield child, only_root


def _entry(name: str, found: list[tuple[Path, Journal]], foreign: bool) -> Entry:
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
        foreign,
    )


def _reclaimable(folders: Iterable[Path]) -> int:
    """Bytes of files that have no name outside the trash. Walks without recursion: folders may be nested as deep."""
    names: dict[tuple[int, int], tuple[int, int, int]] = {}
    waiting = [str(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                children = list(found)
        except OSError:
            continue
        for child in children:
            try:
                status = child.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(child.path)
            elif stat.S_ISREG(status.st_mode) and child.name != journal.JOURNAL:
                inode = (status.st_dev, status.st_ino)
                names[inode] = (status.st_size, status.st_nlink, names.get(inode, (0, 0, 0))[2] + 1)
    return sum(size for size, links, seen in names.values() if seen >= links)


def empty(roots: Iterable[Path] | None = None) -> int:
    """Delete what `entries` lists and is ours, for good; the only place in this program that does. Returns bytes freed.

    What has no journal that can be read, came with a cache or is a link is left. Raises nothing; what resists stays.
    """
    roots = tuple(cache_roots() if roots is None else roots)
    freed = 0
    for place, only_root in _places(roots):
        try:
            parent = os.open(place, removal.FOLDER)
        except OSError:
            continue
        try:
            with os.scandir(parent) as found:
                names = sorted(child.name for child in found)
            for name in names:
                freed += _emptied(parent, place / name, only_root)
        finally:
            os.close(parent)
    return freed


def _emptied(parent: int, folder: Path, only_root: Path | None) -> int:
    """Delete one entry of the trash that is open as `parent`, or what a killed emptying left of it."""
    aside = folder.with_name(EMPTYING + folder.name.removeprefix(EMPTYING))
    entry = folder.with_name(folder.name.removeprefix(EMPTYING))
    if entry.name.startswith(".") or not disk.is_plain_folder(folder):
        return 0
    found, foreign = _read(folder, only_root, entry.name)
    # The journal goes last: what still has it is ours, and what has nothing else any more is empty.
    bare = folder == aside and not any(folder.iterdir())
    bare = bare and (only_root is None or os.path.lexists(_known() / entry.name))
    if not bare and (found is None or foreign):
        return 0
    size = _reclaimable([folder])
    try:
        # Out of the list in one step: a half-emptied entry must not be undone.
        os.rename(folder.name, aside.name, src_dir_fd=parent, dst_dir_fd=parent)
        removal.remove_at(parent, aside.name, last=journal.JOURNAL)
    except OSError:
        return 0
    with contextlib.suppress(OSError):
        (_known() / entry.name).unlink()
        _known().rmdir()
    return size


def mark_undone(entry: Entry) -> None:
    """Note in its journals that it has been undone. Raises OSError."""
    for folder in entry.folders:
        found = journal.read(folder)
        if found is not None:
            write_journal(folder, replace(found, undone=True))
