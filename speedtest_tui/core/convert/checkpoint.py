"""A torch checkpoint inside the archive: its index, and its tensors one at a time, read in place."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from speedtest_tui.core.convert.archive import TEXT_LIMIT_BYTES, Archive, Member
from speedtest_tui.core.convert.pickle_index import Storage, Stored, UnsafePickleError, read
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTHS = {
    "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "DoubleStorage": 8, "LongStorage": 8,
    "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes of one number."""

FLOATING = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2", "DoubleStorage": "<f8"}
"""How numpy reads the kinds that weights have; it has no bfloat16, whose bits are the upper half of a float32."""

AGAIN = "download the checkpoint again"
LOCAL_HEADER = struct.Struct("<4s22xHH")


class Window(io.RawIOBase):
    """A member of the archive as a file of its own, for zipfile to read."""

    def __init__(self, archive: Archive, member: Member) -> None:
        self._archive, self._member, self._at = archive, member, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.size}[whence]
        if self._at < 0:
            raise OSError("seek before the beginning")
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = max(0, min(len(buffer), self._member.size - self._at))
        buffer[:count] = self._archive.read_at(self._member.offset + self._at, count)
        self._at += count
        return count


class Checkpoint:
    """The tensors of one `.ckpt` member by name; `tensors` says how each is stored."""

    def __init__(self, archive: Archive, name: str) -> None:
        """Read the index. Raises UserError for anything but a plain torch checkpoint; OSError."""
        self._archive, self._member = archive, archive.member(name)
        self._what = f"{name} in {archive.name}"
        self._files = self._directory()
        folder = next((path.rpartition("/")[0] for path in self._files if path.rpartition("/")[2] == "data.pkl"), None)
        if folder is None:
            raise UserError(f"{self._what} is no torch checkpoint that is known", AGAIN)
        self._folder = f"{folder}/" if folder else ""
        if self._content("byteorder", b"little") != b"little":
            raise UserError(f"{self._what} was written by a big-endian machine", "convert it to little-endian first")
        try:
            self.tensors: Mapping[str, Stored] = read(self._content("data.pkl"))
        except UnsafePickleError as error:
            raise UserError(
                f"{self._what} is not read: {error}", "take checkpoints only from where you trust"
            ) from error
        for tensor_name, stored in self.tensors.items():
            self._check(tensor_name, stored)

    def is_floating(self, name: str) -> bool:
        return self.tensors[name].storage.kind in FLOATING

    def read(self, name: str) -> NDArray[np.float32]:
        """Read one tensor as float32, a copy of its own. Raises UserError, OSError."""
        stored = self.tensors[name]
        kind, width = stored.storage.kind, WIDTHS[stored.storage.kind]
        span = 1 + sum((size - 1) * step for size, step in zip(stored.shape, stored.strides, strict=True))
        if 0 in stored.shape:
            return np.zeros(stored.shape, np.float32)
        begin = self._data_offset(self._file(stored.storage)) + stored.start * width
        raw = np.frombuffer(self._archive.read_at(begin, span * width), FLOATING[kind])
        bytes_of = [step * width for step in stored.strides]
        laid = np.lib.stride_tricks.as_strided(raw, stored.shape, bytes_of)
        if kind == "BFloat16Storage":
            return (laid.astype(np.uint32) << 16).view(np.float32)
        return np.ascontiguousarray(laid, np.float32).reshape(stored.shape)

    def _directory(self) -> Mapping[str, zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(io.BufferedReader(Window(self._archive, self._member))) as file:
                entries = file.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
            raise UserError(
                f"{self._what} is no torch checkpoint, or cut off ({error})",
                f"{AGAIN}; those before torch 1.6 are too old",
            ) from error
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise UserError(f"{self._what} has compressed or encrypted parts, which torch never writes", AGAIN)
        return {entry.filename: entry for entry in entries}

    def _content(self, name: str, default: bytes | None = None) -> bytes:
        entry = self._files.get(self._folder + name)
        if entry is None and default is not None:
            return default
        if entry is None or entry.file_size > TEXT_LIMIT_BYTES:
            raise UserError(f"{self._what} has no usable {name}", AGAIN)
        return bytes(self._archive.read_at(self._data_offset(entry), entry.file_size))

    def _file(self, storage: Storage) -> zipfile.ZipInfo:
        entry = self._files.get(f"{self._folder}data/{storage.key}")
        if entry is None:
            raise UserError(f"{self._what} lacks the data {storage.key} that its index names", AGAIN)
        return entry

    def _data_offset(self, entry: zipfile.ZipInfo) -> int:
        """Where a part's bytes begin in the tar, all of them inside the member."""
        header = self._archive.read_at(self._member.offset + entry.header_offset, LOCAL_HEADER.size)
        magic, name_length, extra_length = LOCAL_HEADER.unpack(header)
        begin: int = entry.header_offset + LOCAL_HEADER.size + name_length + extra_length
        if magic != b"PK\x03\x04" or begin + entry.file_size > self._member.size:
            raise UserError(f"{self._what} is damaged", AGAIN)
        return self._member.offset + begin

    def _check(self, name: str, stored: Stored) -> None:
        """That a tensor lies within its storage, and the storage within its file."""
        last = stored.start + sum((size - 1) * step for size, step in zip(stored.shape, stored.strides, strict=True))
        inside = 0 in stored.shape or last < stored.storage.count
        if not inside or stored.storage.count * WIDTHS[stored.storage.kind] > self._file(stored.storage).file_size:
            raise UserError(f"{self._what}: {name} reaches beyond its data", AGAIN)
