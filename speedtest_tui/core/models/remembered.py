"""What checks found, kept across starts: which files were hashed, and which models were loaded, a small file for each.

A result is believed only while what was checked is as it was then. What cannot be understood is forgotten: an entry by
itself, a whole file by being moved aside when the next result is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from speedtest_tui.core import disk, locations
from speedtest_tui.core.codec import Damaged, decode, encode, typed
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.status import Verification

T = TypeVar("T")


@dataclass(frozen=True)
class Document:
    """The form of a file: results by a key of one line."""

    schema: int
    results: dict[str, Any]


@dataclass(frozen=True)
class Store(Generic[T]):
    """Results of one kind in one file.

    file: where it lies
    of: the type of a result
    """

    file: Callable[[], Path]
    of: type[T]
    schema: int

    def known(self) -> Mapping[str, T]:
        """All results that can be understood. Never raises."""
        file = self.file()
        try:
            status = file.stat()
        except OSError:
            return {}
        # Every write is a rename: another content has another inode.
        found: Mapping[str, T] = _read_once(self, file, status.st_ino, status.st_size, status.st_mtime_ns)
        return found

    def keep(self, new: Mapping[str, T], is_gone: Callable[[str], bool] = lambda key: False) -> None:
        """Keep results in the place of earlier ones; what other processes have written meanwhile stays.

        is_gone: whether the result of a key is of no more use to anybody
        Raises UserError where the file cannot be written.
        """
        file = self.file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with disk.locked(file):
                results = {**self.read_or_move(file), **new}
                document = Document(
                    self.schema, {key: results[key] for key in sorted(results) if key in new or not is_gone(key)}
                )
                disk.write_bytes(file, encode(document, indent=1) + b"\n")
        except OSError as error:
            reason = error.strerror or str(error)
            todo = "make its folder writable, then check again"
            raise UserError(f"{file}: the result of the check cannot be kept ({reason})", todo) from error

    def read(self, file: Path) -> dict[str, T]:
        """What a file says. Raises Damaged where it is no file of results, and OSError."""
        document = decode(Document, file.read_bytes())
        if document.schema != self.schema:
            raise Damaged(f"is of version {document.schema}")
        return {key: found for key, value in document.results.items() if (found := self._result(value)) is not None}

    def _result(self, value: object) -> T | None:
        try:
            return typed(self.of, value)
        except Damaged:
            return None

    def read_or_move(self, file: Path) -> dict[str, T]:
        """The same before it is written again: what cannot be understood as a whole is moved aside. Raises OSError."""
        try:
            return self.read(file)
        except FileNotFoundError:
            return {}
        except Damaged:
            number = 1
            while (aside := file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")).exists():
                number += 1
            file.rename(aside)
            return {}


@lru_cache(maxsize=4)
def _read_once(store: Store[T], file: Path, _inode: int, _size: int, _mtime_ns: int) -> Mapping[str, T]:
    try:
        return store.read(file)
    except (Damaged, OSError):
        return {}


@dataclass(frozen=True)
class Hashed:
    """What hashing a file found. `size` in bytes and `mtime_ns` are those from before it was read."""

    size: int
    mtime_ns: int
    digest: str
    ok: bool


HASHES = Store(locations.checksums_file, Hashed, 2)
"""By the payload's real path, so that all links to it share one result."""

VERIFICATIONS = Store(locations.verifications_file, Verification, 2)
"""By backend and path; the path of a model that its library carries is empty."""


def verdict(path: Path) -> Literal["ok", "corrupt"] | None:
    """What hashing said of a file; None where it never was, or where it has changed since. Never raises."""
    found = HASHES.known().get(os.path.realpath(path))
    if found is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if (status.st_size, status.st_mtime_ns) != (found.size, found.mtime_ns):
        return None
    return "ok" if found.ok else "corrupt"


def remember_hashes(found: Iterable[tuple[Path, Hashed]]) -> None:
    """Keep what hashing some files found. Raises UserError where it cannot be kept."""
    new = {os.path.realpath(path): result for path, result in found}
    if new:
        HASHES.keep(new, _is_gone)


def _is_gone(path: str) -> bool:
    """Whether a file was removed. Where its folder is missing too, its disk may only be unplugged."""
    return Path(path).parent.is_dir() and not Path(path).exists()


def recall(backend: str, path: Path | str | None, fingerprint: str) -> Verification | None:
    """What is known of a backend's model at a path, or None; stale where the fingerprint is another by now."""
    found = VERIFICATIONS.known().get(f"{backend} {path or ''}")
    return None if found is None else replace(found, stale=found.fingerprint != fingerprint)


def remember(backend: str, verification: Verification) -> None:
    """Keep what loading a model came to. Raises UserError where it cannot be kept."""
    VERIFICATIONS.keep({f"{backend} {verification.path}": replace(verification, stale=False)})
