"""A file while it arrives: one thread takes its bytes from the network, another writes and hashes them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from speedtest_tui.core.caches.download.writer import BUFFER_BYTES, Writer

if TYPE_CHECKING:
    from hashlib import _Hash

HANDED_BYTES = 64 << 10
"""What is handed over at least: every time costs a change between threads."""

Algorithm = Literal["sha256", "git-sha1"]


class Content:
    """An open partial file and the running hash of what is in it. A context manager.

    length: bytes that came; all of them are in the file once `settle` has returned, and that is what it is after it
    continued: whether they came in more than one go, so that a wrong hash may be the fault of an earlier one
    """

    def __init__(self, path: Path, algorithm: Algorithm, size: int | None) -> None:
        """Raises OSError."""
        self.path = path
        self.length = 0
        self.continued = False
        self._algorithm, self._size = algorithm, size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        self._hash = self._new_hash()
        self._writer = Writer(self._file)
        self._filled = self._handed = 0
        self._begin(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hand_over()
        self._writer.end()
        os.close(self._file)

    def take_up(self, counted: Callable[[], None]) -> None:
        """Hash what an earlier download left, so that it need not be fetched; one that is too long is dropped."""
        end = os.fstat(self._file).st_size
        if self._size is not None and end > self._size:
            self.restart()
            return
        buffer = memoryview(bytearray(BUFFER_BYTES))
        while self.length < end and (count := os.readv(self._file, [buffer])):
            self._hash.update(buffer[:count])
            self.length += count
            counted()
        self.continued = self.length > 0
        self._begin(self.length)

    def space(self, most: int = BUFFER_BYTES) -> memoryview:
        """Room for the next bytes, `most` of them or fewer but at least one; they count once `filled` says so."""
        if self._filled == BUFFER_BYTES:
            self._buffer = self._writer.buffer()
            self._filled = self._handed = 0
        return self._buffer[self._filled : self._filled + most]

    def filled(self, count: int) -> None:
        """So many bytes of `space` have come. Raises OSError where an earlier write failed."""
        self._filled += count
        self.length += count
        # In whole buffers while the disk is behind; in smaller ones where it waits for more, to lose little.
        if self._filled == BUFFER_BYTES or (self._filled - self._handed >= HANDED_BYTES and self._writer.idle):
            self._hand_over()
        if self._writer.failed:
            self.settle()

    def append(self, data: bytes) -> None:
        """Take what arrived in an object of its own. Raises OSError, as `filled`."""
        rest = memoryview(data)
        while rest:
            space = self.space(len(rest))
            space[:] = rest[: len(space)]
            self.filled(len(space))
            rest = rest[len(space) :]

    def settle(self) -> None:
        """Wait until all that came is written and hashed. Raises OSError; what was written before stays, and counts."""
        self._hand_over()
        try:
            self._writer.wait()
        finally:
            self._begin(self._writer.length)

    def restart(self) -> None:
        """Forget everything and begin with the first byte. Raises OSError."""
        self.settle()
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.continued = False
        self._hash = self._new_hash()
        self._begin(0)

    def digest(self) -> str:
        """Of all bytes, in hex. Raises OSError."""
        self.settle()
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Have it all on the disk itself. Raises OSError."""
        self.settle()
        self._writer.end()
        os.fsync(self._file)

    def _begin(self, length: int) -> None:
        """Go on behind so many bytes, with nothing on its way."""
        self.length = length
        self._writer.begin(self._hash, length)
        self._buffer = self._writer.buffer()
        self._filled = self._handed = 0

    def _hand_over(self) -> None:
        if self._filled > self._handed:
            self._writer.put(self._buffer, self._handed, self._filled)
            self._handed = self._filled

    def _new_hash(self) -> _Hash:
        if self._algorithm == "sha256":
            return hashlib.sha256()
        # What git calls a file: its length is hashed before its bytes.
        return hashlib.sha1(b"blob %d\0" % (self._size or 0), usedforsecurity=False)
