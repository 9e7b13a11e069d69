"""The bytes of an answer, with as little done to each as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

    from speedtest_tui.core.caches.download.content import Content

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
