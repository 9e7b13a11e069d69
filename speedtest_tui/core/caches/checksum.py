"""Comparing the files of models with the hashes that they should have, offline.

The hashes come from the commit's manifest, the names of blobs, the catalogue, and what the embedded model notes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.caches import checked
from speedtest_tui.core.caches.hashing import Algorithm, HashJob, OnProgress, hash_files
from speedtest_tui.core.caches.states import Fault, FileState, ModelReport


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
    checked.remember(
        checked.Checked(job.path, job.size, job.mtime_ns, digest, digest == job.expected)
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
                kind = "sha256" if file.sha256 else "git sha1"
                yield Fault("corrupt", file.path, f"{file.name} does not match its {kind}", file.name, job.size)
