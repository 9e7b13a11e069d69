"""Hashing large files on all cores: one thread for each, as hashlib lets go of the interpreter while it works.

Comparing the files of models with the hashes that they should have, offline.

The hashes come from the commit's manifest, the names of blobs, the catalogue, and what the embedded model notes.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedtest_tui.core import darwin
from speedtest_tui.core.models import remembered, structure
from speedtest_tui.core.models.status import Fault, FileState, ModelReport

Algorithm = Literal["sha256", "git-sha1"]
OnProgress = Callable[[int, int], None]
"""Told the bytes hashed so far and in all, in the thread that called `hash_files`."""

CHUNK = 1 << 20
"""Bytes read at once: it stays in the processor's cache between reading and hashing."""

PROGRESS_S = 0.1


@dataclass(frozen=True)
class HashJob:
    """A file, and what to compute of it. "git-sha1" is the name that git gives its content."""

    path: Path
    algorithm: Algorithm = "sha256"


def hash_files(
    jobs: Iterable[HashJob], on_progress: OnProgress, cancelled: threading.Event
) -> Mapping[Path, str | OSError]:
    """Hash files in parallel; returns for each its digest in lower-case hex, or why it could not be read.

    A file that changes while it is read counts as unreadable. Cancelling returns within a few milliseconds, with those
    files that were finished.
    """
    # The largest first: one that comes last would leave the other cores idle.
    sized = sorted({job.path: (_size(job.path), job) for job in jobs}.values(), key=lambda pair: -pair[0])
    work = _Work([job for _, job in sized], cancelled)
    total = sum(size for size, _ in sized)
    threads = [
        threading.Thread(target=work.run, name=f"hash-{number}", daemon=True)
        for number in range(min(cores(), len(sized)))
    ]
    for thread in threads:
        thread.start()
    on_progress(0, total)
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(PROGRESS_S)
                on_progress(min(work.hashed, total), total)
    finally:
        work.abandoned = True  # an interrupt comes out of `join`: the threads must not hash on for nobody
    on_progress(min(work.hashed, total), total)
    return work.results


def hasher(algorithm: Algorithm, size: int) -> hashlib._Hash:
    """What computes the digest of a file of `size` bytes."""
    return hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Work:
    """The files still to be hashed, and what came of the others; shared by all threads."""

    def __init__(self, jobs: list[HashJob], cancelled: threading.Event) -> None:
        self.results: dict[Path, str | OSError] = {}
        self.abandoned = False
        self._cancelled = cancelled
        self._jobs: queue.SimpleQueue[HashJob] = queue.SimpleQueue()
        for job in jobs:
            self._jobs.put(job)
        self._hashed: dict[int, int] = {}

    @property
    def hashed(self) -> int:
        """Bytes, of all threads. Each counts for itself, so that none waits for a lock."""
        return sum(self._hashed.copy().values())

    def _is_over(self) -> bool:
        return self.abandoned or self._cancelled.is_set()

    def run(self) -> None:
        buffer = memoryview(bytearray(CHUNK))
        while not self._is_over():
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            try:
                digest = self._digest(job, buffer)
            except OSError as error:
                self.results[job.path] = error
            else:
                if digest:
                    self.results[job.path] = digest

    def _digest(self, job: HashJob, buffer: memoryview) -> str:
        """The digest, or an empty string where it was cancelled. Raises OSError."""
        me = threading.get_ident()
        with darwin.opened(job.path).detach() as file:
            before = os.fstat(file.fileno())
            digest = hasher(job.algorithm, before.st_size)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := file.readinto(buffer):
                if self._is_over():
                    return ""
                digest.update(buffer[:count])
                self._hashed[me] = self._hashed.get(me, 0) + count
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(0, "it changed while it was read", str(job.path))
        return digest.hexdigest()


@dataclass(frozen=True)
class _Due:
    """A payload to be hashed, and the files of models that are links to it. `size` and `mtime_ns` are from before."""

    path: Path
    algorithm: Algorithm
    expected: str
    size: int
    mtime_ns: int
    files: tuple[FileState, ...]


def checksum(reports: Sequence[ModelReport], on_progress: OnProgress, cancelled: threading.Event) -> tuple[Fault, ...]:
    """Hash every file of `reports` whose hash is known; returns those that differ or cannot be read.

    What was found is remembered, so that `examine` calls such a file damaged from now on. Files that are missing or
    whose structure is broken are left out: `examine` has said so already. Raises UserError where it cannot be kept.
    """
    due = _due(reports)
    digests = hash_files([HashJob(job.path, job.algorithm) for job in due], on_progress, cancelled)
    remembered.remember_hashes(
        (job.path, remembered.Hashed(job.size, job.mtime_ns, digest, digest == job.expected))
        for job in due
        if isinstance(digest := digests.get(job.path), str)
    )
    return tuple(_faults(due, digests))


def with_hash(reports: Sequence[ModelReport]) -> tuple[Path, ...]:
    """The payloads that `checksum` hashes."""
    return tuple(dict.fromkeys(job.path for job in _due(reports)))


def without_hash(reports: Sequence[ModelReport]) -> tuple[FileState, ...]:
    """Files that are there but of which nothing on this machine says what they should be."""
    files = dict.fromkeys(_files(reports))
    return tuple(file for file in files if not file.fault and not (file.sha256 or file.git_sha1))


def _files(reports: Iterable[ModelReport]) -> Iterator[FileState]:
    for report in reports:
        for _, state in report.states:
            yield from state.files
        if report.fallback is not None:
            yield from _files((report.fallback,))


def _due(reports: Sequence[ModelReport]) -> tuple[_Due, ...]:
    found: dict[tuple[Path, str], _Due] = {}
    for file in dict.fromkeys(_files(reports)):
        expected = file.sha256 or file.git_sha1
        # A file that failed this very check before is hashed again: it may have been a disk that read badly.
        if not expected or (file.fault and file.fault.kind != "corrupt"):
            continue
        path = Path(os.path.realpath(file.path))
        try:
            status = path.stat()
        except OSError:
            continue
        algorithm: Algorithm = "sha256" if file.sha256 else "git-sha1"
        known = found.get((path, expected))
        files = (*(known.files if known else ()), file)
        found[path, expected] = _Due(path, algorithm, expected, status.st_size, status.st_mtime_ns, files)
    return tuple(found.values())


def _faults(due: Iterable[_Due], digests: Mapping[Path, str | OSError]) -> Iterator[Fault]:
    for job in due:
        digest = digests.get(job.path)
        if digest is None or digest == job.expected:
            continue
        for file in job.files:
            if isinstance(digest, OSError):
                reason = (digest.strerror or str(digest)).lower()
                yield Fault("unreadable", file.path, f"{file.name} cannot be read: {reason}", file.name, job.size)
            else:
                kind, detail = structure.mismatch(file.name)
                yield Fault(kind, file.path, detail, file.name, job.size)
