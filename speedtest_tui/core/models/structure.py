"""What a file's own structure says of it: is it whole, and is it what its name promises? Reads headers, not weights.

A file that passes may still be corrupt inside: only its hash can tell.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import time
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from speedtest_tui.core.format import amount, of
from speedtest_tui.core.models.status import FaultKind

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that stands for a large one (git-lfs specification v1)."""

SAFETENSORS_HEADER_MAX = 100_000_000
"""Bytes; the safetensors library refuses longer headers."""

ZIP_BEGIN = b"PK\x03\x04"
ZIP_SUFFIXES = (".npz", ".pt", ".pth")
PICKLED_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save began a file before version 1.6: its magic number, pickled."""

SETTLED_S = 2.0
"""A file that changed within this time may change again without a new time stamp: what is found of it is not kept."""

Problem = tuple[FaultKind, str]


def mismatch(name: str) -> Problem:
    """What is said of a file that has not the hash that it should have."""
    return "corrupt", f"{name} does not match its checksum"


class Flaw(Exception):
    """What is wrong with a file: the kind, and a sentence."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def problem(path: Path, name: str) -> Problem | None:
    """What keeps a file from being used, or None where its structure is sound.

    name: its name inside the repository, by which it is judged and which the sentence names
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return "broken-link", f"{name} is a broken link"
        return "missing-file", f"{name} is missing"
    except (OSError, ValueError) as error:
        return _unreadable(name, error)
    if not stat.S_ISREG(status.st_mode):
        return "unreadable", f"{name} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}"
    if status.st_size == 0:
        return "empty", f"{name} is empty"
    if not os.access(path, os.R_OK):
        return "unreadable", f"{name} cannot be read: permission denied"
    if time.time() - status.st_mtime < SETTLED_S:
        return _inspect(path, name)
    return _inspected(path, name, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _inspected(path: Path, name: str, _inode: int, _size: int, _mtime_ns: int) -> Problem | None:
    return _inspect(path, name)


def _inspect(path: Path, name: str) -> Problem | None:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = file.read(len(LFS_POINTER))
            file.seek(0)
            if begin == LFS_POINTER:
                return "lfs-pointer", f"{name} is a pointer to a large file, not the file"
            suffix = Path(name).suffix.lower()
            if suffix == ".safetensors":
                _check_safetensors(file, name, size)
            elif suffix in ZIP_SUFFIXES and not (suffix != ".npz" and begin.startswith(PICKLED_MAGIC)):
                _check_zip(file, name, suffix)
            elif suffix == ".json":
                _check_json(file, name)
    except Flaw as flaw:
        return flaw.kind, flaw.detail
    except OSError as error:
        return _unreadable(name, error)
    return None


def _unreadable(name: str, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return "unreadable", f"{name} cannot be read: {(reason or type(error).__name__).lower()}"


def declared_size(path: Path, name: str) -> int | None:
    """The size in bytes that a file gives itself, be it whole or only its beginning; None where it does not say."""
    if Path(name).suffix.lower() != ".safetensors":
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if time.time() - status.st_mtime < SETTLED_S:
        return _declared(path, name)
    return _declared_once(path, name, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _declared_once(path: Path, name: str, _inode: int, _size: int, _mtime_ns: int) -> int | None:
    return _declared(path, name)


def _declared(path: Path, name: str) -> int | None:
    try:
        with path.open("rb") as file:
            return _safetensors_size(file, name, os.fstat(file.fileno()).st_size)
    except (OSError, Flaw):
        return None


def _check_safetensors(file: BinaryIO, name: str, size: int) -> None:
    declared = _safetensors_size(file, name, size)
    if size < declared:
        raise Flaw("truncated", f"{name} is cut short: {of(size, declared)}")
    if size > declared:
        raise Flaw("truncated", f"{name} is {amount(size - declared)} longer than its header says")


def _safetensors_size(file: BinaryIO, name: str, size: int) -> int:
    """8 bytes, a header of that length, and as many bytes of tensors as its largest offset. Raises Flaw."""
    begin = file.read(8)
    if len(begin) < 8:
        raise Flaw("truncated", f"{name} is cut short: {amount(size)}")
    length: int = struct.unpack("<Q", begin)[0]
    if not 2 <= length <= SAFETENSORS_HEADER_MAX:
        raise Flaw("corrupt", f"{name} does not begin as a safetensors file does")
    header = file.read(length)
    if not header.lstrip().startswith(b"{"):
        raise Flaw("corrupt", f"{name} does not begin as a safetensors file does")
    if len(header) < length:
        raise Flaw("truncated", f"{name} is cut short within its header: {amount(size)}")
    return 8 + length + _tensor_bytes(header, name)


def _tensor_bytes(header: bytes, name: str) -> int:
    try:
        tensors: Mapping[str, Any] = json.loads(header)
        ends = [tensor["data_offsets"][1] for key, tensor in tensors.items() if key != "__metadata__"]
        if not all(isinstance(end, int) and end >= 0 for end in ends):
            raise TypeError
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise Flaw("corrupt", f"{name} has an unreadable header") from None
    return max(ends, default=0)


def _check_zip(file: BinaryIO, name: str, suffix: str) -> None:
    """The directory stands at the end of a zip archive, so a file that was cut short has none."""
    kind = "numpy archive" if suffix == ".npz" else "PyTorch checkpoint"
    if not file.read(len(ZIP_BEGIN)).startswith(ZIP_BEGIN):
        raise Flaw("corrupt", f"{name} does not begin as a {kind} does")
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            directory = archive.start_dir
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError, struct.error):
        raise Flaw("truncated", f"{name} is cut short: the directory at its end is missing") from None
    # Offsets that point elsewhere: bytes were lost or inserted in the middle.
    if not members or any(member.header_offset + member.compress_size > directory for member in members):
        raise Flaw("truncated", f"{name} is not as long as its directory says")
    if any(member.header_offset < 0 for member in members) or members[0].header_offset != 0:
        raise Flaw("truncated", f"{name} is not as long as its directory says")
    if suffix != ".npz" and not any(member.filename.endswith("data.pkl") for member in members):
        raise Flaw("corrupt", f"{name} is a zip archive but no {kind}")


def _check_json(file: BinaryIO, name: str) -> None:
    try:
        json.loads(file.read())
    except (ValueError, RecursionError):
        raise Flaw("corrupt", f"{name} is not valid JSON") from None
