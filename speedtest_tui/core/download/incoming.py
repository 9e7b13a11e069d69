"""A file while it arrives: what comes from the network is written and hashed by a thread of its own.

The operating system and hashlib let go of the interpreter, so that the network is read meanwhile. One thread does both,
piece by piece, because a piece that was just written is still in the processor's cache when it is hashed: with a thread
for each the same bytes took a tenth longer on two cores.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from speedtest_tui.core import disk
from speedtest_tui.core.models.hashes import Algorithm, hasher

if TYPE_CHECKING:
    from hashlib import _Hash

    import httpx2


WRITE_BYTES = 64 << 10
"""How much is written at a time. Linux keeps larger pieces in larger blocks of memory, and a virtual machine has to ask
its host for more of these again."""

BUFFER_BYTES = 1 << 17
BUFFERS = 8
HELD_BYTES = BUFFERS * BUFFER_BYTES
"""The most that has come and is not yet in the file, and so what a sudden end can lose where the disk is behind."""

FLUSH_BYTES = 16 << 20
"""After so many bytes the disk begins to write: left to the end, the last flush was a quarter of the time of 1 GiB."""


def write(descriptor: int, data: memoryview) -> int:
    """The one place where a download writes a model's bytes. Raises OSError: a full disk shows here."""
    return os.write(descriptor, data[:WRITE_BYTES])


class Piece(NamedTuple):
    """Bytes that came, and the buffer that is free again when they are written."""

    data: memoryview
    buffer: memoryview | None = None


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
        self._written = 0
        self._error: Exception | None = None
        self._todo: queue.Queue[Piece | None] = queue.Queue(BUFFERS)
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(memoryview(bytearray(BUFFER_BYTES)))
        self._thread = threading.Thread(target=self._work, name="writing", daemon=True)
        self._thread.start()
        self._flusher: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._todo.put(None)
        self._thread.join()
        self._await_flush()
        os.close(self._file)

    def take_up(self, counted: Callable[[], None]) -> None:
        """Hash what an earlier download left, so that it need not come again; one that is too long is dropped."""
        end = os.fstat(self._file).st_size
        if self._size is not None and end > self._size:
            self.restart()
            return
        buffer = memoryview(bytearray(BUFFER_BYTES))
        while self.length < end and (count := os.readv(self._file, [buffer])):
            self._hash.update(buffer[:count])
            self.length += count
            counted()
        self._written = self.length
        self.continued = self.length > 0

    def append(self, data: bytes) -> None:
        """Take what arrived. Raises OSError where an earlier write failed."""
        for start in range(0, len(data), BUFFER_BYTES):
            self._put(Piece(memoryview(data)[start : start + BUFFER_BYTES]))

    def fill(self, read: Callable[[memoryview], int]) -> int:
        """Take so many bytes as `read` puts into the buffer that it is given. Raises what it raises; OSError."""
        buffer = self._free.get()
        count = 0
        try:
            count = read(buffer)
            return count
        finally:
            self._put(Piece(buffer[:count], buffer))

    def _put(self, piece: Piece) -> None:
        self.length += len(piece.data)
        self._todo.put(piece)
        if self._error is not None:
            self.settle()

    def settle(self) -> None:
        """Wait until all that came is written and hashed. Raises OSError; what was written before stays, and counts."""
        self._todo.join()
        self.length = self._written
        error, self._error = self._error, None
        if error is not None:
            raise error

    def restart(self) -> None:
        """Forget everything and begin with the first byte. Raises OSError."""
        self.settle()
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.continued = False
        self._hash = self._new_hash()
        self.length = self._written = 0

    def digest(self) -> str:
        """Of all bytes, in hex. Raises OSError."""
        self.settle()
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Have it all on the disk itself. Raises OSError."""
        self.settle()
        self._await_flush()
        disk.sync(self._file)

    def _work(self) -> None:
        while (piece := self._todo.get()) is not None:
            # After a failure the rest is dropped, until `settle` has told of it.
            if self._error is None:
                try:
                    self._take(piece.data)
                except Exception as error:
                    self._error = error
            if piece.buffer is not None:
                self._free.put(piece.buffer)
            self._todo.task_done()

    def _take(self, data: memoryview) -> None:
        done = 0
        try:
            while done < len(data):
                done += write(self._file, data[done:])
        finally:
            self._hash.update(data[:done])
            self._written += done
        flushing = self._flusher is not None and self._flusher.is_alive()
        if self._written // FLUSH_BYTES != (self._written - done) // FLUSH_BYTES and not flushing:
            self._flusher = threading.Thread(target=self._flush, name="flushing", daemon=True)
            self._flusher.start()

    def _flush(self) -> None:
        # What cannot be flushed is said by the last fsync.
        with contextlib.suppress(OSError):
            os.fsync(self._file)

    def _await_flush(self) -> None:
        if self._flusher is not None:
            self._flusher.join()

    def _new_hash(self) -> _Hash:
        return hasher(self._algorithm, self._size or 0)


def receive(reply: httpx2.Response, stall_s: float, content: Content) -> Iterator[int]:
    """Take the body of an open answer into `content` as it comes; yields how many bytes came each time.

    Where the length is known the rest of a body is nothing but bytes from the connection, and they are read from its
    socket into buffers that are used again and again: in new objects, through all layers of the HTTP library, they come
    at 0.6 of the speed of curl instead of 1.0 (1 GB/s, two cores), and cost twice the processor time on a slower line.
    The connection is then closed, as the library does not know what has been read.
    Raises httpx2.HTTPError, and OSError of the disk.
    """
    import httpx2

    encoded = "Content-Encoding" in reply.headers
    length = reply.headers.get("Content-Length", "")
    connection: Any = reply.extensions.get("network_stream")
    socket: Any = None
    # TLS inside of TLS, as through some proxies: its socket carries the outer layer, which is not to be read from here.
    if connection is not None and not hasattr(connection, "ssl_obj"):
        socket = connection.get_extra_info("socket")
    direct = socket is not None and not encoded and length.isdigit() and reply.http_version == "HTTP/1.1"
    left = int(length) if direct else 0
    parts = reply.iter_bytes() if encoded else reply.iter_raw()  # while it lives, the connection stays open
    for data in parts:
        content.append(data)
        yield len(data)
        left -= len(data)
        if left > 0:
            break  # the first part is all that the library has read already

    def read(buffer: memoryview) -> int:
        try:
            count: int = socket.recv_into(buffer[:left])
            return count
        except TimeoutError as error:
            raise httpx2.ReadTimeout(str(error), request=reply.request) from error
        except OSError as error:
            raise httpx2.ReadError(str(error), request=reply.request) from error

    if left > 0:
        socket.settimeout(stall_s)
    while left > 0:
        count = content.fill(read)
        if not count:
            raise httpx2.RemoteProtocolError("the connection ended before the body", request=reply.request)
        left -= count
        yield count
