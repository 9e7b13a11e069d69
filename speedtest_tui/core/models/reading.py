"""What one reading of a cache is put together from: roots, what is behind a name, what is wrong inside a file, a row.

Everything that is said of a file on disk is said here, once: scan, status and repair repeat it.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from speedtest_tui.core import darwin
from speedtest_tui.core.disk import is_left_by_a_system
from speedtest_tui.core.format import amount, of, one_line
from speedtest_tui.core.models import remembered, structure
from speedtest_tui.core.models.inventory import Layout, Partial, Stored, StoredFile
from speedtest_tui.core.models.layout import first_hop, has_shared_store, is_shared_name, is_within
from speedtest_tui.core.models.status import CacheName, Fault, FaultKind
from speedtest_tui.core.models.wanted import WEIGHTS

# Called for every file of every cache: paths are strings here, as making a Path costs more than asking the system.
# ruff: noqa: PTH115, PTH116, PTH118, PTH119, PTH120

DEEPEST = 24
"""Folders below each other in one repository: no model has 5, and what has more may have no end."""

CHECK_DISK = "check the disk, or choose another folder"

LARGEST_POINTER = 1_024
"""Bytes; a git-lfs pointer has about 130."""

STRUCTURED = (".safetensors", ".npz")
FULL_OF = (*WEIGHTS, ".json", ".txt", ".model", ".yaml", ".jinja", ".tiktoken")
"""How files end that models are made of; an empty one is no model file."""

EMPTY_ETAGS = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)
"""Names of blobs that are rightly empty: git's sha1 and the sha256 of nothing."""

CLEARER: tuple[FaultKind, ...] = ("missing-file", "broken-link", "unreadable", "empty", "lfs-pointer", "evicted")
"""What says more of a file than that its size is not the one in the manifest."""

Problem = tuple[FaultKind, str]


class Cancelled(Exception):
    """The reading was told to stop; nothing of the row that was being read is worth keeping."""


@dataclass(frozen=True)
class Root:
    """The folder of a cache that is read.

    cache: whose rows they are; `caches` are all that this folder serves as
    real: the path with all links resolved
    inside: the real folders that links may lead into: all caches
    shared: whether huggingface_hub's shared store is in it
    suspects: sizes in bytes of the files whose hash was found to be wrong
    """

    cache: CacheName
    path: Path
    caches: frozenset[CacheName]
    real: str
    inside: tuple[str, ...]
    shared: bool
    suspects: frozenset[int]
    cancelled: threading.Event

    def holds(self, path: str) -> bool:
        """Whether a path, all its links followed, ends in one of the caches."""
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root + "/") for root in self.inside)


def root_at(
    path: Path,
    cache: CacheName,
    inside: Sequence[str],
    caches: frozenset[CacheName] = frozenset(),
    cancelled: threading.Event | None = None,
) -> Root:
    """What is to be known of a folder before it is read."""
    corrupt = frozenset(found.size for found in remembered.HASHES.known().values() if not found.ok)
    real, shared = os.path.realpath(path), has_shared_store(path)
    return Root(
        cache, path, caches or frozenset((cache,)), real, tuple(inside), shared, corrupt, cancelled or threading.Event()
    )


class Payload(NamedTuple):
    """The content that a name leads to.

    blob: where the first link leads, or the file itself: an absolute path
    bytes, inode, modified: of what is behind all links; 0, None and 0.0 where nothing is
    kind, problem: what is wrong, as the rest of a sentence that begins with the file's name; None and "" if nothing is
    """

    blob: str
    bytes: int = 0
    inode: tuple[int, int] | None = None
    modified: float = 0.0
    kind: FaultKind | None = None
    problem: str = ""


def of_status(path: str, blob: str, status: os.stat_result) -> Payload:
    """The payload of something that exists; `path` is what would be opened."""
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        what = "a folder where a file belongs" if stat.S_ISDIR(mode) else "not a regular file"
        return Payload(blob, kind="unreadable", problem=f"is {what}")
    inode = (status.st_dev, status.st_ino)
    if darwin.is_evicted(status):
        return Payload(blob, 0, inode, status.st_mtime, "evicted", darwin.IN_ICLOUD)
    # Asking for each file would double the time of a scan; those that everybody may read need no question.
    if mode & 0o444 != 0o444 and not os.access(path, os.R_OK):
        problem = "may not be read by this user"
        return Payload(blob, status.st_size, inode, status.st_mtime, "unreadable", problem)
    return Payload(blob, status.st_size, inode, status.st_mtime)


def of_path(path: str, root: Root, *, anywhere: bool = False) -> Payload:
    """What a path leads to, itself or through links; never raises, and never leaves the caches unless `anywhere`."""
    hop = path
    try:
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            return of_status(path, path, status)
        hop = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        if not anywhere and not root.holds(path):
            return Payload(
                hop, kind="escape", problem=f"is a link to {one_line(hop)}, outside every cache, and not used"
            )
        return of_status(path, hop, os.stat(path))
    except FileNotFoundError:
        if darwin.has_placeholder(hop):
            return Payload(hop, kind="evicted", problem=darwin.IN_ICLOUD)
        return Payload(hop, kind="broken-link", problem="is a broken link")
    except OSError as error:
        return Payload(path, kind="unreadable", problem=f"cannot be read ({error.strerror})")


def of_blob(entry: os.DirEntry[str], root: Root) -> Payload:
    """What a repository's blob is; where it is a link, as huggingface_hub makes it, a payload of the shared store."""
    path = entry.path
    try:
        if not entry.is_symlink():
            return of_status(path, path, entry.stat(follow_symlinks=False))
        hop = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        if root.shared and is_shared_name(Path(hop), root.path):
            status = os.lstat(hop)
            # A payload is a file. A link in its place could lead anywhere, and is looked at as any other.
            if stat.S_ISREG(status.st_mode):
                return of_status(hop, path, status)
    except FileNotFoundError:
        if not entry.is_symlink():
            return Payload(path, kind="unreadable", problem="was removed while it was read")
        problem = f"leads to blobs/{one_line(os.path.basename(hop))} of the shared store, which is not there"
        return Payload(path, kind="broken-link", problem=problem)
    except OSError as error:
        return Payload(path, kind="unreadable", problem=f"cannot be read ({error.strerror})")
    return of_path(path, root)._replace(blob=path)


def is_folder(path: str | Path) -> bool:
    """Whether a path leads to a folder. Raises PermissionError where that may not be known: hidden is not missing."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False


def obstacle(folder: Path) -> Fault | None:
    """What keeps a folder from being looked into; None also where there is none. Never raises.

    It may be the folder itself or one on the way to it: a link to a disk that is not there, a file, or one that may not
    be read. The fault names it by its whole path, as nobody could guess which it is.
    """
    part = folder
    try:
        for part in (*reversed(folder.parents), folder):
            status = os.lstat(part)
            if stat.S_ISLNK(status.st_mode):
                status = os.stat(part)
            if not stat.S_ISDIR(status.st_mode):
                return not_a_folder(part)
            if darwin.is_evicted(status):
                return evicted(part)
        with os.scandir(folder):
            return None
    except FileNotFoundError:
        return dangling(part) if part.is_symlink() else None
    except (OSError, ValueError) as error:
        # What is in a folder that may not be entered cannot even be asked for.
        closed = part if not isinstance(error, PermissionError) or os.path.lexists(part) else part.parent
        return refused(closed, error)


def dangling(link: Path) -> Fault:
    """The fault of a link to nothing in the place of a folder. Most that lead elsewhere lead to a disk."""
    target = first_hop(link)
    if is_within(target, link.parent):
        return Fault("broken-link", link, f"{one_line(str(link))} is a broken link")
    detail = f"{one_line(str(link))} is a link to a disk that is not there ({one_line(str(target))})"
    return Fault("broken-link", link, detail, todo="plug the disk in, or remove the link")


def not_a_folder(path: Path) -> Fault:
    """The fault of a file in the place of a folder."""
    detail = f"{one_line(str(path))} is a file where a folder belongs"
    return Fault("unreadable", path, detail, todo="move it away, or choose another folder")


def evicted(path: Path, name: str = "", shown: str = "") -> Fault:
    """The fault of what is in iCloud. name: of a file in its repository; shown: how the sentence calls it."""
    detail = f"{one_line(shown or name or str(path))} {darwin.IN_ICLOUD}"
    return Fault("evicted", path, detail, name, todo=darwin.from_icloud(path))


def refused(path: Path, error: Exception) -> Fault:
    """The fault of a folder that the system does not let anybody look into."""
    name, reason = one_line(str(path)), getattr(error, "strerror", None) or str(error)
    todo = f"make it readable: chmod u+rwX '{name}'" if isinstance(error, PermissionError) else CHECK_DISK
    return Fault("unreadable", path, f"{name} cannot be read ({reason})", todo=todo)


def names_in(folder: str | Path) -> list[str]:
    """The names directly inside a folder; none where it is not there. Raises OSError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not is_left_by_a_system(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def fault_in(file: StoredFile, root: Root, expected: int | None, *, whole: bool) -> Fault | None:
    """What is wrong inside a file that can be read, as far as its size, structure and remembered hash give it away.

    expected: its size in bytes, where something says
    whole: look at what takes longer as well (JSON, the directories of checkpoints): of a file that a model requires
    """
    name, there = file.name, file.bytes
    problem: Problem | None = None
    # Other formats have no structure that is quickly read; small files may be a pointer to the file.
    if whole or there <= LARGEST_POINTER or name.endswith(STRUCTURED):
        if there:
            problem = structure.problem(Path(file.place), one_line(name)) if whole or name.endswith(WEIGHTS) else None
        elif (whole or name.endswith(FULL_OF)) and (expected or file.target.rpartition("/")[2] not in EMPTY_ETAGS):
            problem = ("empty", f"{one_line(name)} is empty") if expected != 0 else None
    if expected is not None and there != expected and (problem is None or problem[0] not in CLEARER):
        problem = "truncated", wrong_size(one_line(name), there, expected)
    if problem is None and there in root.suspects and remembered.verdict(Path(file.place)) == "corrupt":
        problem = structure.mismatch(one_line(name))
    return Fault(problem[0], file.path, problem[1], file.name, there) if problem else None


def wrong_size(name: str, there: int, expected: int) -> str:
    """ "weights.npz is cut short: 37 of 483 MB"."""
    if there < expected:
        return f"{name} is cut short: {of(there, expected)}"
    return f"{name} is {amount(there - expected)} longer than it should be"


def unfinished(name: str, path: Path, partial: Partial, expected: int | None) -> tuple[Fault, int | None]:
    """What is said of a file whose download was interrupted, and its size in bytes when whole, where that is known."""
    whole = structure.declared_size(partial.path, name) if expected is None else expected
    detail = f"{one_line(name)} is unfinished: {of(partial.bytes, whole)}"
    return Fault("missing-file", path, detail, name, partial.bytes), whole


@dataclass
class Reading:
    """What has been found of one row so far."""

    root: Root
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    partials: list[Partial] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    modified: float = 0.0

    def blame(self, kind: FaultKind, path: str | Path, detail: str, name: str = "", bytes_: int = 0) -> None:
        todo = darwin.from_icloud(path) if kind == "evicted" else ""
        self.faults.append(Fault(kind, Path(path), detail, name, bytes_, todo))

    @property
    def away(self) -> list[str]:
        """The names of files that are in iCloud."""
        return [fault.name for fault in self.faults if fault.kind == "evicted"]

    def count(self, payload: Payload) -> None:
        """Add a payload's bytes, unless another name of it has been counted."""
        if payload.inode is not None:
            self.sizes[payload.inode] = payload.bytes
            if payload.modified > self.modified:  # noqa: PLR1730 (a call for each of 20,000 files)
                self.modified = payload.modified

    def judge(self, file: StoredFile, payload: Payload, expected: int | None = None, *, whole: bool = False) -> None:
        """Blame a file for what is behind it or inside it."""
        if payload.kind is not None:
            if payload.kind == "evicted":
                self.faults.append(evicted(file.path, file.name))
                return
            detail = f"{one_line(file.name)} {payload.problem}"
            closed = payload.kind == "unreadable" and payload.inode is not None
            todo = f"make it readable: chmod u+r '{one_line(os.path.realpath(file.place))}'" if closed else ""
            self.faults.append(Fault(payload.kind, file.path, detail, file.name, file.bytes, todo))
        elif fault := fault_in(file, self.root, expected, whole=whole):
            self.faults.append(fault)

    def children(self, folder: str | Path, below: str | None = None) -> list[os.DirEntry[str]]:
        """The entries of a folder by name; what cannot be listed becomes a fault. Raises Cancelled.

        below: of a folder with a model's files its name inside the repository, "" or with a slash at its end: those of
            which iCloud has left a placeholder only are faults as well
        """
        if self.root.cancelled.is_set():
            raise Cancelled
        try:
            if darwin.is_evicted(os.stat(folder)):
                self.faults.append(evicted(Path(folder)))
                return []
            with os.scandir(folder) as found:
                there = list(found)
        except NotADirectoryError:
            self.faults.append(not_a_folder(Path(folder)))
            return []
        except OSError as error:
            self.faults.append(refused(Path(folder), error))
            return []
        kept = [entry for entry in there if not is_left_by_a_system(entry.name)]
        kept.sort(key=attrgetter("name"))
        if below is not None and len(kept) < len(there):
            names = {entry.name for entry in kept}
            for entry in there:
                away = darwin.stands_for(entry.name)
                if away and away not in names and entry.is_file(follow_symlinks=False):
                    self.faults.append(evicted(Path(folder, away), below + away))
        return kept

    def is_folder(self, entry: os.DirEntry[str], name: str, otherwise: FaultKind) -> bool:
        """Whether an entry is a folder to look into. If not it is blamed: a link for where it leads, else `otherwise`.

        name: as the sentence says it
        """
        if not entry.is_symlink():
            if entry.is_dir(follow_symlinks=False):
                return True
            self.blame(otherwise, entry.path, f"{one_line(name)} is a file where a folder belongs")
            return False
        payload = of_path(entry.path, self.root)
        try:
            mode = os.stat(entry.path).st_mode
        except FileNotFoundError:
            self.faults.append(dangling(Path(entry.path)))
        except OSError as error:
            self.faults.append(refused(Path(entry.path), error))
        else:
            if payload.kind == "escape":
                self.blame("escape", entry.path, f"{one_line(name)} {payload.problem}")
            elif stat.S_ISDIR(mode):
                return True
            else:
                self.blame("broken-link", entry.path, f"{one_line(name)} leads to no folder")
        return False

    def row(self, name: str, layout: Layout, files: Sequence[StoredFile] = (), **more: Any) -> Stored:
        """What has been found, as a row."""
        return Stored(
            self.root.cache,
            self.root.path,
            self.folder,
            name,
            layout,
            files=tuple(files),
            partials=tuple(self.partials),
            bytes=sum(self.sizes.values()) + sum(partial.bytes for partial in self.partials),
            modified=self.modified or modified(self.folder),
            faults=tuple(self.faults),
            **more,
        )


def modified(path: Path) -> float:
    """When a folder or file changed, 0.0 where the system does not say."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
