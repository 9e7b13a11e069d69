"""What is behind one file or link of a cache: its size and identity, or the reason why there is nothing to read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from speedtest_tui.core.models import structure
from speedtest_tui.core.models.layout import is_shared_name, shown
from speedtest_tui.core.models.status import FaultKind

# Called for every file of every cache: paths are strings here, as making a Path costs more than asking the system.
# ruff: noqa: PTH115, PTH116, PTH118, PTH119, PTH120


LARGEST_POINTER = 1_024
"""Bytes; a git-lfs pointer has about 130."""

STRUCTURED = (".safetensors", ".npz")
WEIGHTS = (".safetensors", ".npz", ".pt", ".bin", ".pth", ".ckpt", ".onnx", ".gguf", ".nemo")
TEXTS = (".json", ".txt", ".model", ".yaml", ".jinja", ".tiktoken")
"""Suffixes of files that models are made of; an empty one is no model file."""


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


@dataclass(frozen=True)
class Bounds:
    """The folders that links may lead into: all caches of a scan, with every link on the way resolved."""

    roots: tuple[str, ...]

    def hold(self, path: str) -> bool:
        """Whether a path, all its links followed, ends in one of the caches."""
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root + "/") for root in self.roots)


def of_status(path: str, blob: str, status: os.stat_result) -> Payload:
    """The payload of something that exists; `path` is what would be opened."""
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        what = "a folder where a file belongs" if stat.S_ISDIR(mode) else "not a regular file"
        return Payload(blob, kind="unreadable", problem=f"is {what}")
    inode = (status.st_dev, status.st_ino)
    # Asking for each file would double the time of a scan; those that everybody may read need no question.
    if mode & 0o444 != 0o444 and not os.access(path, os.R_OK):
        problem = "may not be read by this user"
        return Payload(blob, status.st_size, inode, status.st_mtime, "unreadable", problem)
    return Payload(blob, status.st_size, inode, status.st_mtime)


def of_link(path: str, bounds: Bounds) -> Payload:
    """What a symbolic link leads to; never raises, never leaves the caches."""
    try:
        hop = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        if not bounds.hold(path):
            return Payload(hop, kind="escape", problem=f"is a link to {shown(hop)}, outside every cache")
        return of_status(path, hop, os.stat(path))
    except FileNotFoundError:
        return Payload(hop, kind="broken-link", problem=f"is a link to {shown(hop)}, which is not there")
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        return Payload(path, kind="unreadable", problem=reason)


def of_entry(entry: os.DirEntry[str], bounds: Bounds) -> Payload:
    """What an entry of a folder leads to, itself or through a link."""
    if entry.is_symlink():
        return of_link(entry.path, bounds)
    try:
        return of_status(entry.path, entry.path, entry.stat(follow_symlinks=False))
    except OSError as error:
        return Payload(entry.path, kind="unreadable", problem=f"cannot be read ({error.strerror})")


def of_linked_blob(path: str, shared_in: Path | None, bounds: Bounds) -> Payload:
    """What a repository's blob leads to that is a link: as huggingface_hub makes it, a payload of the shared store.

    shared_in: the cache, if it has such a store
    """
    try:
        hop = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        if shared_in is not None and is_shared_name(Path(hop), shared_in):
            status = os.lstat(hop)
            # A payload is a file. A link in its place could lead anywhere, and is looked at as any other.
            if stat.S_ISREG(status.st_mode):
                return of_status(hop, path, status)
        return of_link(path, bounds)._replace(blob=path)
    except FileNotFoundError:
        problem = f"leads to blobs/{shown(os.path.basename(hop))} of the shared store, which is not there"
        return Payload(path, kind="broken-link", problem=problem)
    except OSError as error:
        return Payload(path, kind="unreadable", problem=f"cannot be read ({error.strerror})")


def content_fault(path: str, name: str, bytes_: int) -> tuple[FaultKind, str] | None:
    """What is wrong inside a file, as far as its size and structure give it away: the kind, and a sentence."""
    # Other formats have no structure that is quickly read; small files may be a pointer to the file.
    if bytes_ > LARGEST_POINTER and not name.endswith(STRUCTURED):
        return None
    if bytes_ == 0:
        return ("empty", f"{shown(name)} is empty") if name.endswith(WEIGHTS + TEXTS) else None
    if name.endswith(WEIGHTS):
        return structure.problem(Path(path), shown(name))
    return None
