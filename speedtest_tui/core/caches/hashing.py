"""Hashing large files on all cores: one thread for each, as hashlib lets go of the interpreter while it works."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
        with job.path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            digest = hashlib.sha256() if job.algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % before.st_size)
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
