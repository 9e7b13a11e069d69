"""Opening a .nemo archive without trusting it: nothing is unpacked by name, and nothing beyond a stated limit.

A .nemo is a tar, plain or compressed with gzip. Members are read in place, by offset, so that a checkpoint of many
gigabytes is never copied; a compressed archive is first decompressed into a scratch file, because its members must be
read in an order of our own.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from speedtest_tui.core import darwin
from speedtest_tui.core.errors import UserError

LIMIT_BYTES = 64 * 2**30
"""What an archive may hold, unpacked. The largest public Parakeet and Canary checkpoints have less than a tenth."""

EXPANSION_LIMIT, EXPANSION_FREE_BYTES = 50, 64 * 2**20
"""A compressed archive may grow by this factor once it is past the first 64 MiB; weights hardly compress at all."""

MEMBERS_LIMIT = 10_000
TEXT_LIMIT_BYTES = 64 * 2**20
"""For a member that is read into memory as a whole, such as the configuration."""

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 2**20

Progress = Callable[[int, int], None]
"""Gets bytes done and bytes in all."""


@dataclass(frozen=True)
class Member:
    """A file in the archive: `size` bytes from `offset` of the plain tar."""

    name: str
    offset: int
    size: int


class Archive:
    """An open archive. Use it in a `with` statement."""

    def __init__(self, path: Path, scratch: Path, progress: Progress | None = None, limit: int = LIMIT_BYTES) -> None:
        """Open and check all members; `scratch` is a file that may be made and is removed in the end.

        Raises UserError for what is no archive, is damaged or is not safe; OSError.
        """
        self.name = path.name
        self._scratch = scratch
        darwin.check_here(path)
        self._file: BinaryIO = path.open("rb")
        try:
            if self._file.read(2) == GZIP_MAGIC:
                self._file = _decompressed(path, scratch, progress, limit)
            self._file.seek(0)
            self.members = _members(path.name, self._file, limit)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._scratch.unlink(missing_ok=True)

    def member(self, name: str) -> Member:
        """Look a member up. Raises UserError."""
        if name not in self.members:
            raise UserError(f"{self.name} holds no {name}", "it may be incomplete; download it again")
        return self.members[name]

    def read(self, name: str) -> bytes:
        """Read a member that is small. Raises UserError, OSError."""
        member = self.member(name)
        if member.size > TEXT_LIMIT_BYTES:
            raise UserError(f"{name} in {self.name} has {member.size} bytes", "such a file should be far smaller")
        return bytes(self.read_at(member.offset, member.size))

    def read_at(self, offset: int, size: int) -> memoryview:
        """Read exactly `size` bytes of the plain tar; other threads may do so too. Raises UserError, OSError."""
        import numpy as np

        view, done = np.empty(size, np.uint8).data, 0  # unlike a bytearray it is not filled with zeros first
        while done < size:
            count = os.preadv(self._file.fileno(), [view[done:]], offset + done)
            if count == 0:
                raise UserError(f"{self.name} ends in the middle of its data", "download it again")
            done += count
        return view


def _decompressed(path: Path, scratch: Path, progress: Progress | None, limit: int) -> BinaryIO:
    """Decompress into `scratch` and open that."""
    total, written = path.stat().st_size, 0
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as source, scratch.open("wb") as out:
            while block := source.read(BLOCK_BYTES):
                written += len(block)
                if written > limit or written > max(EXPANSION_FREE_BYTES, EXPANSION_LIMIT * packed.tell()):
                    raise UserError(
                        f"{path.name} unpacks to more than {min(limit, written) / 2**20:.0f} MiB",
                        "that is far beyond any checkpoint; it is not opened",
                    )
                out.write(block)
                if progress:
                    progress(packed.tell(), total)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path.name} is damaged ({error})", "download it again") from error
    return scratch.open("rb")


def _members(name: str, file: object, limit: int) -> Mapping[str, Member]:
    """All files of a plain tar, by name without a leading "./"."""
    found: dict[str, Member] = {}
    total = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:  # type: ignore[call-overload]
            for count, info in enumerate(tar):
                if count >= MEMBERS_LIMIT:
                    raise UserError(f"{name} has more than {MEMBERS_LIMIT} members", "it is no NeMo checkpoint")
                _refuse_unsafe(name, info)
                total += info.size
                if total > limit:
                    raise UserError(f"{name} would unpack to more than {limit / 2**30:.0f} GiB", "it is not opened")
                if info.isdir():
                    continue
                plain = info.name.removeprefix("./")
                if plain in found:
                    raise UserError(f"{name} holds {plain!r} twice", "it is not opened")
                found[plain] = Member(plain, info.offset_data, info.size)
    except tarfile.ReadError as error:
        if found or "unexpected end" in str(error):
            raise UserError(f"{name} is cut off ({error})", "download it again") from error
        raise UserError(f"{name} is no .nemo archive (a tar, plain or gzip)", "choose another file") from error
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise UserError(f"{name} is damaged ({error})", "download it again") from error
    if not found:
        raise UserError(f"{name} is no .nemo archive (a tar, plain or gzip)", "choose another file")
    return found


def _refuse_unsafe(name: str, info: tarfile.TarInfo) -> None:
    parts = info.name.split("/")
    if info.name.startswith("/") or ".." in parts or "\\" in info.name or "\0" in info.name:
        raise UserError(f"{name} holds the path {info.name!r}, which leads out of its folder", "it is not opened")
    if info.issym() or info.islnk():
        raise UserError(f"{name} holds a link, {info.name!r}", "it is not opened")
    if info.issparse() or not (info.isreg() or info.isdir()):
        raise UserError(f"{name} holds {info.name!r}, which is no plain file", "it is not opened")
