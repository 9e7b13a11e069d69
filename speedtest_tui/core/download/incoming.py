"""A file while it arrives: one thread takes its bytes from the network, another writes and hashes them.

Writing and hashing a download in a thread of its own: the operating system and hashlib let go of the interpreter.

Both in one thread, piece by piece, because a piece that was just written is still in the processor's cache when it is
hashed: with a thread for each the same bytes took a tenth longer on two cores.

The bytes of an answer, with as little done to each as possible.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from hashlib import _Hash

    import httpx2


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


READ_BYTES = 1 << 18
"""How much is read at a time at most."""


def receive(reply: httpx2.Response, stall_s: float, content: Content) -> Iterator[int]:
    """Take the body of an open answer into `content` as it comes; yields how many bytes came each time.

    Where the length is known the rest of a body is nothing but bytes from the connection, and they are read from there
    into the buffers of `content`: through all layers of the HTTP library they come in new objects of 64 KB, which costs
    several times the processor time. The connection is then closed, as the library does not know what has been read.
    Raises httpx2.HTTPError, and OSError of the disk.
    """
    if "Content-Encoding" in reply.headers:
        yield from _appended(reply.iter_bytes(), content)
        return
    parts = reply.iter_raw()
    length = reply.headers.get("Content-Length", "")
    connection = reply.extensions.get("network_stream")
    if not length.isdigit() or reply.http_version != "HTTP/1.1" or connection is None:
        yield from _appended(parts, content)
        return
    # The first part is all that the library has read already.
    first = next(parts, b"")
    yield from _appended(iter((first,)), content)
    left = int(length) - len(first)
    if left <= 0:
        # All of it came at once: let the library see the end, and it can use the connection again.
        yield from _appended(parts, content)
        return
    read = _reader(connection, stall_s, reply)
    while left > 0 and (count := read(content.space(min(left, READ_BYTES)))):
        left -= count
        content.filled(count)
        yield count
    if left > 0:
        import httpx2

        raise httpx2.RemoteProtocolError("the connection ended before the body", request=reply.request)


def _appended(parts: Iterator[bytes], content: Content) -> Iterator[int]:
    for data in parts:
        content.append(data)
        yield len(data)


def _reader(connection: Any, stall_s: float, reply: httpx2.Response) -> Callable[[memoryview], int]:
    """A function that fills a part of a buffer from the connection and returns how much; 0 at its end."""
    import httpcore2
    import httpx2

    # TLS inside of TLS, as through some proxies: its socket carries the outer layer, which is not to be read from here.
    socket: Any = None if hasattr(connection, "ssl_obj") else connection.get_extra_info("socket")

    def from_socket(space: memoryview) -> int:
        count: int = socket.recv_into(space)
        return count

    def from_connection(space: memoryview) -> int:
        data = connection.read(len(space), timeout=stall_s)
        space[: len(data)] = data
        return len(data)

    def read(space: memoryview) -> int:
        try:
            return from_socket(space) if socket is not None else from_connection(space)
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise httpx2.ReadTimeout(str(error), request=reply.request) from error
        except (OSError, httpcore2.NetworkError) as error:
            raise httpx2.ReadError(str(error), request=reply.request) from error

    if socket is not None:
        socket.settimeout(stall_s)
    return read
