"""Removing what is ours, and sweeping what killed writers left. No link is ever followed, and nothing else removed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
"""How a folder is opened, and never what a link of its name leads to."""

LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}\.(partial|damaged)|\.[0-9a-f]{8}\.new", re.DOTALL)
"""What is being written here, in downloads and where a built-in model is unpacked."""
NAME_KEPT = 230
"""Bytes: file systems take 255."""
SWEPT_AFTER_S = 60.0
"""What is younger may belong to a writer that has not got round to locking it."""


@contextlib.contextmanager
def entered(base: Path, names: Sequence[str], through: str = "", *, make: bool = False) -> Iterator[int]:
    """A folder below `base`, open, gone to name by name: no link is followed, also none that comes meanwhile.

    through: text of the one link that may stand at the first name
    make: the folders that are missing
    Raises OSError.
    """
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, name in enumerate(names):
            inner = _enter(folder, name, "" if number else through, make)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _enter(folder: int, name: str, through: str, make: bool) -> int:
    with contextlib.suppress(OSError):
        if through and os.readlink(name, dir_fd=folder) == through:
            # By its text: another link may have its name by now.
            return os.open(through, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return os.open(name, FOLDER, dir_fd=folder)


def beginning(name: str) -> str:
    """How what is being written for a name begins: no longer than leaves room for the rest of a file's name."""
    while len(os.fsencode(name)) > NAME_KEPT:
        name = name[:-1]
    return f".{name}."


def is_leftover(name: str) -> bool:
    """Whether only a writer of ours calls something so, until it gets its name."""
    return LEFTOVER.fullmatch(name) is not None


def sweep(folder: Path, name: str = "", older_s: float = SWEPT_AFTER_S) -> None:
    """Remove what killed writers of ours left directly in a folder. Follows no link; raises nothing.

    name: of the file or folder that was being written; of any where "", for folders that are ours alone
    older_s: what has changed since then is left, and always what somebody holds
    """
    with contextlib.suppress(OSError):
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(parent) as found:
                names = [entry.name for entry in found if entry.name[0] == "." and is_leftover(entry.name)]
            for one in names:
                if not name or (one.startswith(start := beginning(name)) and one.count(".") == start.count(".") + 1):
                    _sweep(parent, one, older_s)
        finally:
            os.close(parent)


def _sweep(parent: int, name: str, older_s: float) -> None:
    with contextlib.suppress(OSError):
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        is_new = name.endswith(".new")
        changed = status.st_ctime if is_new else status.st_mtime
        if status.st_uid != os.getuid() or time.time() - changed < older_s:
            return
        if stat.S_ISLNK(status.st_mode):
            if is_new:  # a link into a snapshot, which never got its name
                os.unlink(name, dir_fd=parent)
            return
        held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), os.stat(name, dir_fd=parent, follow_symlinks=False)):
                remove_at(parent, name)
        finally:
            os.close(held)


def remove_at(parent: int, name: str, last: str = "") -> None:
    """Remove `name` from the open folder `parent` with all that is in it. Follows no link and enters no mount.

    However deep it is: a folder's folders are moved up into `name` itself and emptied there, so that at most three are
    open at a time.
    last: what `name` holds until everything else in it is gone. Raises OSError; what resists is left.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    top = _opened_for_removal(parent, name)
    try:
        while folders := _without_files(top, last):
            for folder in folders:
                inner = _opened_for_removal(top, folder)
                try:
                    for deeper in _without_files(inner):
                        os.close(_opened_for_removal(inner, deeper))  # renaming one asks for its permissions
                        os.rename(deeper, uuid.uuid4().hex, src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(folder, dir_fd=top)
        with contextlib.suppress(FileNotFoundError):
            if last:
                os.unlink(last, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _opened_for_removal(parent: int, name: str) -> int:
    """A folder, which its owner may change from now on: one that is read-only keeps its files. Raises OSError."""
    folder = os.open(name, FOLDER, dir_fd=parent)
    try:
        status = os.fstat(folder)
        if status.st_dev != os.fstat(parent).st_dev:
            raise OSError(errno.EBUSY, "another file system is mounted there", name)
        if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(folder, stat.S_IRWXU)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _without_files(folder: int, last: str = "") -> list[str]:
    """The folders in an open folder, after everything else in it but `last` has been removed. Raises OSError."""
    folders = []
    with os.scandir(folder) as found:
        children = [child for child in found if child.name != last]
    for child in children:
        if child.is_dir(follow_symlinks=False):
            folders.append(child.name)
        else:
            os.unlink(child.name, dir_fd=folder)
    return folders
