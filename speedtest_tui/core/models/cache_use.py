"""Each cache as a whole: how much lies in it, how much more would fit, and what keeps it from being used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from speedtest_tui.core import disk, locations
from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.roots import Roots, default_roots
from speedtest_tui.core.models.status import CacheName


def use(stored: Sequence[Stored], roots: Roots | None = None) -> tuple[CacheUse, ...]:
    """Sum the rows of a scan up by cache, the empty and missing ones included. Never raises for content."""
    folders: dict[CacheName, Path] = {}
    for name, root in default_roots() if roots is None else roots:
        folders.setdefault(name, root)
    return tuple(_use(name, root, [row for row in stored if row.cache == name]) for name, root in folders.items())


def _use(name: CacheName, root: Path, rows: Sequence[Stored]) -> CacheUse:
    problem = _problem(root)
    exists = os.path.lexists(root)
    return CacheUse(name, root, exists, total(rows), disk.free(root), len(rows), problem)


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


def _problem(root: Path) -> str:
    """Why a cache cannot be read or written, or nothing. One that is not there yet has no problem if it can be made."""
    try:
        if root.is_symlink() and not root.exists():
            return "a link to nothing"
        if not root.exists():
            parent = locations.existing_parent(root)
            if not parent.is_dir():
                return f"cannot be made: {parent} is not a folder"
            return "" if os.access(parent, os.W_OK | os.X_OK) else f"cannot be made: {parent} is read-only"
        if not root.is_dir():
            return "not a folder"
        with os.scandir(root):
            pass
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if os.access(root, os.W_OK | os.X_OK) else "read-only"
