"""Files of equal content that take space more than once, within a cache and across caches.

Three ways to know, the cheap ones first: one inode is one file under several names; blobs are named by the hash of
their content; what is left is hashed where another file has exactly its size.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.models.hashes import HashJob
from speedtest_tui.core.models.inventory import Duplicate, Stored, StoredFile
from speedtest_tui.core.models.layout import BLOBS, digest_of, first_hop
from speedtest_tui.core.models.status import CACHES

Hashes = Callable[[Sequence[HashJob], Callable[[int, int], None], threading.Event], Mapping[Path, "str | OSError"]]
"""`hashing.hash_files`, or one that hashes nothing."""

SMALLEST = 1_000_000
"""Bytes; merging smaller files would free nothing worth a link."""

Inode = tuple[int, int]


@dataclass(frozen=True)
class _Copy:
    """One payload on disk: a path that reads it, and how good a home that is (lower is better)."""

    path: Path
    bytes: int
    inode: Inode
    digest: str
    home: tuple[int, int]


def duplicates(
    stored: Sequence[Stored],
    hashes: Hashes,
    on_progress: Callable[[int, int], None],
    cancelled: threading.Event,
) -> tuple[Duplicate, ...]:
    """Find the files that exist more than once, those that would free most first.

    Files that are one inode already take no space twice and are not listed. Small files are not looked at.
    hashes: told which files to hash, always of sizes that occur twice; with one that returns nothing, only what names
    give away is found. Cancelling ends the hashing; what is known by then is returned.
    """
    copies = _copies(stored)
    by_size: dict[int, list[_Copy]] = {}
    for copy in copies.values():
        by_size.setdefault(copy.bytes, []).append(copy)
    same_size = [group for group in by_size.values() if len(group) > 1]
    # A name is proof enough only against another name: against an unnamed file both need a digest of one kind.
    unknown = [copy for group in same_size for copy in group if not copy.digest]
    found = hashes([HashJob(copy.path, "sha256") for copy in unknown], on_progress, cancelled) if unknown else {}
    groups: dict[str, list[_Copy]] = {}
    for group in same_size:
        for copy in group:
            digest = copy.digest or found.get(copy.path)
            if isinstance(digest, str):
                groups.setdefault(digest, []).append(copy)
    result = [_duplicate(digest, group) for digest, group in groups.items() if len(group) > 1]
    return tuple(sorted(result, key=lambda duplicate: (-duplicate.reclaimable, duplicate.paths)))


def _duplicate(digest: str, group: Sequence[_Copy]) -> Duplicate:
    ordered = sorted(group, key=lambda copy: (copy.home, copy.path))
    size = ordered[0].bytes
    return Duplicate(tuple(_payload(copy.path) for copy in ordered), size, size * (len(ordered) - 1), digest)


def _payload(path: Path) -> Path:
    """The file itself, where a blob is a link into the shared store: replacing the link would free nothing."""
    try:
        return first_hop(path) if path.is_symlink() else path
    except OSError:
        return path


def _copies(stored: Sequence[Stored]) -> dict[Inode, _Copy]:
    """Every payload that is worth a look, once, by the best of its names."""
    found: dict[Inode, _Copy] = {}
    for row in stored:
        # What is known to be wrong is no copy of anything, whatever its name promises.
        wrong = {fault.path for fault in row.faults}
        for file in _files(row):
            if file.inode is None or file.bytes < SMALLEST or file.path in wrong:
                continue
            # The blob's own path, where the link leads to one: replacing a link in a snapshot would free nothing.
            is_blob = row.layout == "hub" and file.blob.parent == row.path / "blobs"
            digest = digest_of(file.blob.name) if is_blob else None
            sha256 = digest[1] if digest is not None and digest[0] == "sha256" else ""
            copy = _Copy(file.blob, file.bytes, file.inode, sha256, (CACHES.index(row.cache), int(not is_blob)))
            known = found.get(file.inode)
            if known is None or (copy.digest and not known.digest) or copy.home < known.home:
                found[file.inode] = copy
    return found


def _files(row: Stored) -> Iterator[StoredFile]:
    """All files of a row; blobs to which no snapshot's link leads as well, as where links were copied as files."""
    files = [*row.files, *(file for snapshot in row.snapshots for file in snapshot.files)]
    yield from files
    linked = {file.target for file in files}
    for etag, size in row.blobs.items():
        place = f"{row.path}/{BLOBS}/{etag}"
        if size >= SMALLEST and place not in linked and digest_of(etag):
            with contextlib.suppress(OSError):
                status = os.stat(place)  # noqa: PTH116
                yield StoredFile(etag, place, place, size, (status.st_dev, status.st_ino))
