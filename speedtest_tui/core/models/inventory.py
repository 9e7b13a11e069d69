"""What a scan finds: every folder and file of a cache as a row, the broken and foreign ones included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from backends.base import Advice
from speedtest_tui.core.models.manifest import Manifest
from speedtest_tui.core.models.status import CacheName, Fault

Layout = Literal["hub", "plain", "checkpoint", "embedded", "converted", "foreign"]


@dataclass(frozen=True)
class StoredFile:
    """A file of a snapshot or plain folder.

    name: inside the repository, with forward slashes
    place: absolute path of the link or file itself, as text: 20,000 Paths would cost more than asking the system
    target: where the first link leads (`blobs/<etag>`), or `place` itself where it is no link
    bytes: of the payload behind all links, 0 where broken
    inode: (st_dev, st_ino) of the payload, or None
    """

    name: str
    place: str
    target: str
    bytes: int
    inode: tuple[int, int] | None = None

    @cached_property
    def path(self) -> Path:
        """`place`, made when first asked for."""
        return Path(self.place)

    @cached_property
    def blob(self) -> Path:
        """`target`, made when first asked for."""
        return Path(self.target)


@dataclass(frozen=True)
class Snapshot:
    """One revision of a hub repository."""

    revision: str
    path: Path
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Partial:
    """An unfinished download: `blobs/<etag>[.<8 hex>].incomplete` of a repository, `<name>.pt.incomplete` elsewhere."""

    path: Path
    etag: str
    bytes: int


@dataclass(frozen=True)
class Stored:
    """One row of a scan: a repository, a .pt file, a converted or embedded model, or something foreign.

    name: "org/name" of a hub repository, else the file's or folder's own name
    kind: "model", "dataset", ... of a hub repository, else ""
    refs: (name, commit) of each ref that names one
    manifests: what each commit holds, as far as the repository says
    blobs: bytes on disk of each blob by its name
    bytes: on disk, each payload once; blobs that live in the shared store count for the repository that links to them
    modified: seconds since the epoch, of the newest file
    """

    cache: CacheName
    root: Path
    path: Path
    name: str
    layout: Layout
    kind: str = ""
    snapshots: tuple[Snapshot, ...] = ()
    files: tuple[StoredFile, ...] = ()
    refs: tuple[tuple[str, str], ...] = ()
    partials: tuple[Partial, ...] = ()
    bytes: int = 0
    modified: float = 0.0
    faults: tuple[Fault, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict, compare=False, repr=False)
    blobs: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class CacheUse:
    """One cache as a whole. `free` are bytes left on its file system, None where the system does not say.

    problem: why it cannot be read or written, and what to do; its sentence names the folder
    """

    cache: CacheName
    root: Path
    exists: bool
    bytes: int
    free: int | None
    rows: int
    problem: Advice | None = None


@dataclass(frozen=True)
class Duplicate:
    """Files of equal content that each take space.

    paths: the payload files, the one to keep first
    bytes: of one of them; `reclaimable` is what merging them would free
    digest: sha256 in hex, or "" where they are one inode already
    """

    paths: tuple[Path, ...]
    bytes: int
    reclaimable: int
    digest: str
