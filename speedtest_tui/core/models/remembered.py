"""What checks found, kept across starts: which files were hashed, and which models were loaded, a small file for each.

A result is believed only while what was checked is as it was then. What cannot be understood is forgotten: an entry by
itself, a whole file by being moved aside when the next result is kept.

What a verification depends on is one hash, of a model's files and of the libraries that read them. Names, sizes and
times are enough to notice a change, and cost a few system calls where hashing would cost gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from backends.base import BackendEntry, Engine, Location, ModelSpec
from backends.registry import create
from speedtest_tui.core import disk, locations, removal
from speedtest_tui.core.codec import Damaged, decode, encode, typed
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.status import Verification
from speedtest_tui.core.models.structure import shards
from speedtest_tui.core.models.wanted import INDEX

T = TypeVar("T")

LARGEST = 64 << 20
"""Bytes of a file of results; one has some 300."""


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
            disk.keep_private(file.parent)
            removal.sweep(file.parent)
            with disk.locked(file):
                results = {**self.read_or_move(file), **new}
                document = Document(
                    self.schema, {key: results[key] for key in sorted(results) if key in new or not is_gone(key)}
                )
                disk.write_bytes(file, encode(document, indent=1) + b"\n")
        except OSError as error:
            advice = disk.advice(error, file)
            raise UserError(f"the result of the check cannot be kept ({advice.what})", advice.todo) from error

    def read(self, file: Path) -> dict[str, T]:
        """What a file says. Raises Damaged where it is no file of results, and OSError."""
        try:
            document = decode(Document, disk.read_plain(file, LARGEST)[0])
        except OSError as error:
            if error.errno in disk.UNFIT:
                raise Damaged(str(error.strerror)) from error
            raise
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


# What a verification depends on.

Libraries = Sequence[tuple[str, str]]
"""Names and versions."""

RUNTIMES: dict[Engine, tuple[str, ...]] = {"mlx": ("mlx",), "torch": ("torch", "transformers"), "cpu": ()}
"""What an engine's backends compute with, beside their own library."""

OWN = "speedtest-tui"
UNKNOWN = "unknown"


def libraries(entry: BackendEntry, spec: ModelSpec) -> Libraries:
    """The libraries that load a model, with the versions installed now. Imports none of them."""
    try:
        backend = create(entry.reference)
        engine, own = backend.engine, backend.availability().version
    except Exception as error:
        # The check itself will say what is wrong; here it only matters that mending it changes the answer.
        return ((entry.name, type(error).__name__),)
    names = [*RUNTIMES.get(engine, ())]
    if engine == "mlx" and any(name.endswith(".pt") for file in spec.files for name in file.names):
        names.append("torch")  # which unpickles the checkpoint
    if entry.provider != OWN:
        names.append(entry.provider)
    return ((entry.name, own), *((name, _version(name)) for name in names))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return UNKNOWN


def fingerprint(spec: ModelSpec, location: Location, libraries: Libraries) -> str:
    """A sha256 in hex that changes when a required file does, or a library's version. Never raises for what is missing.

    Of each file: its name, where the link that it is leads (in the hub's layout the blob's name is a hash of the
    content), size in bytes, and time of change in nanoseconds.
    """
    files = [_facts(name, path) for name, path in _files(spec, location)]
    text = json.dumps([sorted(files), sorted(map(list, libraries))])
    return hashlib.sha256(text.encode()).hexdigest()


def _files(spec: ModelSpec, location: Location) -> Iterable[tuple[str, Path]]:
    """The files that a model consists of, by name. None for a bundled one, which is a part of its library."""
    folder = location.path
    if folder is None:
        return
    if spec.kind == "embedded":
        try:
            names = [path.name for path in folder.iterdir() if not disk.is_left_by_a_system(path.name)]
            yield from ((name, folder / name) for name in names if not name.startswith("."))
        except OSError:
            yield "", folder
    elif not folder.is_dir():
        yield folder.name, folder
    else:
        for file in spec.files:
            name = next((name for name in file.names if (folder / name).exists()), file.names[0])
            yield name, folder / name
            if name.endswith(INDEX):
                yield from ((shard, folder / shard) for shard in shards(folder / name))


def _facts(name: str, path: Path) -> list[str | int]:
    try:
        link = path.readlink().name if path.is_symlink() else ""
        status = path.stat()
    except OSError as error:
        return [name, "", type(error).__name__, 0, 0]
    kind = "file" if stat.S_ISREG(status.st_mode) else "other"
    return [name, link, kind, status.st_size, status.st_mtime_ns]
