"""Reading whole files: comparing, hashing and copying them, with progress, and given up when cancelled."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from speedtest_tui.core.caches import checked, layout
from speedtest_tui.core.caches.hashing import Algorithm, HashJob, hash_files
from speedtest_tui.core.errors import UserError

CHUNK = 4 << 20
"""Bytes read at a time."""

Tell = Callable[[int, int], None]
"""Told bytes done and in all."""


class Cancelled(Exception):
    """The person does not want it any more."""


def require_digest(path: Path, etag: str, tell: Tell, cancelled: threading.Event) -> None:
    """Hash a file and remember what came of it. Raises UserError where it is not what its name, `etag`, promises."""
    algorithm, expected = _promise(etag)
    status = path.stat()
    found = hash_files([HashJob(path, algorithm)], tell, cancelled).get(path)
    if found is None:
        raise Cancelled
    if isinstance(found, OSError):
        raise found
    checked.remember([checked.Checked(path, status.st_size, status.st_mtime_ns, found, found == expected)])
    if found != expected:
        raise UserError(f"{path} is damaged as well", "plan again: it will not be used")


def copy_of(source: Path, new: Path, etag: str, tell: Tell, cancelled: threading.Event) -> None:
    """Copy a file and flush it. Raises UserError where what was read is not what `etag` promises ("" for nothing)."""
    size = source.stat().st_size
    algorithm = _promise(etag)[0] if etag else "sha256"
    running = hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    done = 0
    with source.open("rb") as reading, new.open("wb") as writing:
        while block := reading.read(CHUNK):
            if cancelled.is_set():
                raise Cancelled
            writing.write(block)
            running.update(block)
            done += len(block)
            tell(done, size)
        writing.flush()
        os.fsync(writing.fileno())
    if etag and running.hexdigest() != etag:
        raise UserError(f"{source} is damaged", "`speedtest-tui repair` mends it; then copy again")


def are_equal(one: Path, other: Path, tell: Tell, cancelled: threading.Event) -> bool:
    """Whether two files have the same content, byte by byte."""
    size = one.stat().st_size
    if size != other.stat().st_size:
        return False
    done = 0
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(CHUNK):
            if cancelled.is_set():
                raise Cancelled
            if block != second.read(CHUNK):
                return False
            done += len(block)
            tell(done, size)
    return done == size


def _promise(etag: str) -> tuple[Algorithm, str]:
    promise = layout.digest_of(etag)
    if promise is None:
        raise UserError(f"{etag!r} is no hash", "fetch the file again")
    return promise
