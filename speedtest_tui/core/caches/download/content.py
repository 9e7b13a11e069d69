"""A file while it arrives: its bytes go to a partial file on disk and, in a second thread, through its hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

Algorithm = Literal["sha256", "git-sha1"]

BUFFER_BYTES = 1 << 17
BUFFERS = 8
"""Of these a file is made: filled from the network, written, hashed, and filled again. No byte is ever copied."""


FLUSH_BYTES = 32 << 20
"""After so many bytes the disk begins to write: left to the end, the last flush was a quarter of the time of 1 GiB."""

WRITE_BYTES = 64 << 10
"""How much is written at a time: in larger pieces the same bytes took several times as long (Linux 6.18, ext4)."""


def write(descriptor: int, data: memoryview) -> int:
    """The one place where a download writes a model's bytes. Raises OSError: a full disk shows here."""
    return os.write(descriptor, data[:WRITE_BYTES])


class Content:
    """An open partial file and the running hash of what is in it. A context manager.

    length: bytes in the file
    continued: whether they came in more than one go, so that a wrong hash may be the fault of an earlier one
    """

    def __init__(self, path: Path, algorithm: Algorithm, size: int | None) -> None:
        """Raises OSError."""
        self.path = path
        self.length = 0
        self.continued = False
        self._algorithm, self._size = algorithm, size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        self._hasher = Hasher(algorithm, size)
        self._buffer = self._hasher.buffer()
        self._written = 0
        self._flusher = Flusher(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hasher.end()
        self._flusher.end()
        os.close(self._file)

    def take_up(self, counted: Callable[[], None]) -> None:
        """Hash what an earlier download left, so that it need not be fetched; one that is too long is dropped."""
        end = os.fstat(self._file).st_size
        if self._size is not None and end > self._size:
            self.restart()
            return
        while self.length < end and (count := os.readv(self._file, [self.space()])):
            self._hash(count)
            counted()
        self.continued = self.length > 0

    def space(self, most: int = BUFFER_BYTES) -> memoryview:
        """Room for the next bytes, `most` of them or fewer but at least one; they count once `filled` says so."""
        return memoryview(self._buffer)[self._written : self._written + most]

    def filled(self, count: int) -> None:
        """Write so many bytes of `space`. Raises OSError; what was written before stays, and `length` with it."""
        while count:
            done = write(self._file, self.space(count))
            self._hash(done)
            count -= done

    def append(self, data: bytes) -> None:
        """Write what arrived in an object of its own. Raises OSError, as `filled`."""
        rest = memoryview(data)
        while rest:
            space = self.space(len(rest))
            space[:] = rest[: len(space)]
            self.filled(len(space))
            rest = rest[len(space) :]

    def restart(self) -> None:
        """Forget everything and begin with the first byte."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.length = self._written = 0
        self.continued = False
        self._hasher.end()
        self._hasher = Hasher(self._algorithm, self._size)
        self._buffer = self._hasher.buffer()

    def digest(self) -> str:
        """Of all bytes, in hex. Nothing may be appended afterwards unless it is begun again."""
        self._hand_over()
        return self._hasher.end()

    def sync(self) -> None:
        """Have it all on the disk itself."""
        self._flusher.end()
        os.fsync(self._file)

    def _hash(self, count: int) -> None:
        if (self.length + count) // FLUSH_BYTES != self.length // FLUSH_BYTES:
            self._flusher.begin()
        self.length += count
        self._written += count
        if self._written == BUFFER_BYTES:
            self._hand_over()
            self._buffer = self._hasher.buffer()

    def _hand_over(self) -> None:
        if self._written:
            self._hasher.put(self._buffer, self._written)
        self._written = 0


class Flusher:
    """Has what was written put on the disk while more comes, so that there is little left to wait for at the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Flush what there is, unless that is being done."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="flushing", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Wait until it is done; the descriptor may be closed then."""
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        # What cannot be flushed is said by the last fsync.
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)


class Hasher:
    """A hash in a thread of its own: hashlib lets go of the interpreter, so that both cores work."""

    def __init__(self, algorithm: Algorithm, size: int | None) -> None:
        self._size, self._git = size, algorithm == "git-sha1"
        self._hash = hashlib.sha1(usedforsecurity=False) if self._git else hashlib.sha256()
        if self._git:
            self._hash.update(b"blob %d\0" % (size or 0))
        self._full: queue.SimpleQueue[tuple[bytearray, int]] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._made = 0
        self._thread = threading.Thread(target=self._work, name="hashing", daemon=True)
        self._thread.start()

    def buffer(self) -> bytearray:
        """An empty buffer; waits where all are full and being hashed."""
        if self._made < BUFFERS and self._free.empty():
            self._made += 1
            return bytearray(BUFFER_BYTES)
        return self._free.get()

    def put(self, buffer: bytearray, count: int) -> None:
        """Hash the first `count` bytes of a buffer, which from now on belongs to this object."""
        self._full.put((buffer, count))

    def end(self) -> str:
        """Finish and return the digest in hex; may be called again."""
        if self._thread.is_alive():
            self._full.put((bytearray(), 0))
            self._thread.join()
        return self._hash.hexdigest()

    def _work(self) -> None:
        while True:
            buffer, count = self._full.get()
            if not count:
                return
            self._hash.update(memoryview(buffer)[:count])
            self._free.put(buffer)
