"""What a row of a scan is put together from while its files are looked at."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from speedtest_tui.core.models.inventory import Layout, Partial, Stored, StoredFile
from speedtest_tui.core.models.layout import shown
from speedtest_tui.core.models.payloads import Bounds, Payload
from speedtest_tui.core.models.status import CacheName, Fault, FaultKind

SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave; huggingface_hub overlooks the same."""

DEEPEST = 24
"""Folders below each other in one repository: no model has 5, and what has more may have no end."""


class Cancelled(Exception):
    """The scan was told to stop; nothing of the row that was being read is worth keeping."""


@dataclass(frozen=True)
class Place:
    """A root that is scanned.

    cache: whose rows they are; `caches` are all that this folder serves as
    real: the root with all links resolved
    shared: whether huggingface_hub's shared store is in it
    bounds: where links may lead
    """

    cache: CacheName
    root: Path
    caches: frozenset[CacheName]
    real: str
    shared: bool
    bounds: Bounds
    cancelled: threading.Event


@dataclass
class Reading:
    """What has been found of one row so far."""

    place: Place
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    partials: list[Partial] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    modified: float = 0.0

    def blame(self, kind: FaultKind, path: str | Path, detail: str, name: str = "", bytes_: int = 0) -> None:
        self.faults.append(Fault(kind, Path(path), detail, name, bytes_))

    def count(self, payload: Payload) -> None:
        """Add a payload's bytes, unless another name of it has been counted."""
        if payload.inode is not None:
            self.sizes[payload.inode] = payload.bytes
            if payload.modified > self.modified:  # noqa: PLR1730 (a call for each of 20,000 files)
                self.modified = payload.modified

    def children(self, folder: str | Path, name: str) -> list[os.DirEntry[str]]:
        """The entries of a folder by name; what cannot be listed becomes a fault. Raises Cancelled."""
        if self.place.cancelled.is_set():
            raise Cancelled
        try:
            with os.scandir(folder) as found:
                kept = [entry for entry in found if entry.name not in SYSTEM_FILES]
            kept.sort(key=attrgetter("name"))
            return kept
        except NotADirectoryError:
            self.blame("unreadable", folder, f"{shown(name)} is a file where a folder belongs")
        except OSError as error:
            self.blame("unreadable", folder, f"{shown(name)} cannot be listed ({error.strerror})")
        return []

    def is_folder(self, entry: os.DirEntry[str], name: str) -> bool:
        """Whether an entry is a folder to look into; a link out of the caches is blamed and not followed."""
        if not entry.is_symlink():
            return entry.is_dir(follow_symlinks=False)
        if not self.place.bounds.hold(entry.path):
            self.blame("escape", entry.path, f"{shown(name)} is a link to a folder outside every cache")
            return False
        return is_folder(entry.path)

    def row(self, name: str, layout: Layout, files: tuple[StoredFile, ...] = (), kind: str = "") -> Stored:
        """What has been found, as a row of a layout without snapshots."""
        return Stored(
            self.place.cache,
            self.place.root,
            self.folder,
            name,
            layout,
            kind,
            files=files,
            partials=tuple(self.partials),
            bytes=self.bytes,
            modified=self.modified or modified(self.folder),
            faults=tuple(self.faults),
        )

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values()) + sum(partial.bytes for partial in self.partials)


def is_folder(path: str | Path) -> bool:
    """Whether a path leads to a folder; not where the system does not say, as for links in a circle."""
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except OSError:
        return False


def modified(path: Path) -> float:
    """When a folder or file changed, 0.0 where the system does not say."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
