"""Writing and hashing a download in a thread of its own: the operating system and hashlib let go of the interpreter.

Both in one thread, piece by piece, because a piece that was just written is still in the processor's cache when it is
hashed: with a thread for each the same bytes took a tenth longer on two cores.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash

BUFFER_BYTES = 1 << 18
BUFFERS = 4
"""Of these a file is made: filled from the network, written, hashed, and filled again. No byte is ever copied."""

HELD_BYTES = BUFFERS * BUFFER_BYTES
"""The most that has come and is not yet in the file, and so what a sudden end can lose where the disk is behind."""

WRITE_BYTES = 64 << 10
"""How much is written at a time. Linux keeps larger pieces in larger blocks of memory, and a virtual machine has to ask
its host for more of these again."""

FLUSH_BYTES = 16 << 20
"""After so many bytes the disk begins to write: left to the end, the last flush was a quarter of the time of 1 GiB."""


def write(descriptor: int, data: memoryview) -> int:
    """The one place where a download writes a model's bytes. Raises OSError: a full disk shows here."""
    return os.write(descriptor, data[:WRITE_BYTES])


class Part(NamedTuple):
    """Bytes `start` to `end` of a buffer, which is free again when its last byte is done."""

    buffer: memoryview
    start: int
    end: int


class Writer:
    """Puts parts of buffers into a file and through a hash, in the order in which they are given.

    length: bytes in the file that the hash knows
    failed: whether a write failed; all that follows is dropped then, until `begin`
    """

    def __init__(self, descriptor: int) -> None:
        self.length = 0
        self._file = descriptor
        self._flusher = Flusher(descriptor)
        self._error: Exception | None = None
        self._buffers = [memoryview(bytearray(BUFFER_BYTES)) for _ in range(BUFFERS)]
        self._todo: queue.SimpleQueue[Part | threading.Event | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="writing", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written."""
        return self._todo.empty()

    @property
    def failed(self) -> bool:
        return self._error is not None

    def begin(self, running: _Hash, length: int) -> None:
        """Go on behind `length` bytes, all of which are in the hash. Only while nothing is on its way."""
        self._hash, self.length, self._error = running, length, None
        self._free = queue.SimpleQueue()
        for buffer in self._buffers:
            self._free.put(buffer)

    def buffer(self) -> memoryview:
        """An empty buffer; waits where all are full."""
        return self._free.get()

    def put(self, buffer: memoryview, start: int, end: int) -> None:
        """Write and hash these bytes of a buffer; nobody may change them from now on."""
        self._todo.put(Part(buffer, start, end))

    def wait(self) -> None:
        """Return when everything is done. Raises what the file system said."""
        if self._thread.is_alive():
            done = threading.Event()
            self._todo.put(done)
            done.wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Let the thread end; the descriptor may be closed then."""
        self._todo.put(None)
        self._thread.join()
        self._flusher.end()

    def _work(self) -> None:
        while (todo := self._todo.get()) is not None:
            if isinstance(todo, threading.Event):
                todo.set()
                continue
            if self._error is None:
                try:
                    self._take(todo.buffer[todo.start : todo.end])
                except Exception as error:
                    self._error = error
            if todo.end == BUFFER_BYTES:
                self._free.put(todo.buffer)

    def _take(self, data: memoryview) -> None:
        done = 0
        try:
            while done < len(data):
                done += write(self._file, data[done:])
        finally:
            self._hash.update(data[:done])
            self.length += done
        if self.length // FLUSH_BYTES != (self.length - done) // FLUSH_BYTES:
            self._flusher.begin()


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
