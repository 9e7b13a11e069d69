"""Sending a body: as fast as the system can, or as badly as was ordered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from answers import Body
from misbehaviour import Chunked, Cut, Misbehaviour, Slow, Stall, WrongLength

CHUNK = 4 << 20
"""The log is brought up to date this often, in bytes."""

SLOW_STEPS_PER_S = 20


class Hung(Exception):
    """The connection is to be closed now; `reset` says whether as a crash would."""

    def __init__(self, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


@dataclass
class Sender:
    """One body on its way. `progress` is told of bytes that the system took; a stall ends with `released`."""

    connection: socket.socket
    body: Body
    orders: Sequence[Misbehaviour]
    progress: Callable[[int], None]
    stalling: Callable[[], None]
    released: threading.Event

    @property
    def chunked(self) -> bool:
        """Whether it goes without Content-Length."""
        return any(isinstance(order, Chunked) for order in self.orders)

    @property
    def announced(self) -> int:
        """The Content-Length to be sent."""
        return max(0, self.whole + sum(order.by for order in self.orders if isinstance(order, WrongLength)))

    @property
    def whole(self) -> int:
        """Bytes of the body."""
        return self.body.length + self.body.padding

    def send(self) -> None:
        """Send it. Raises Hung where the connection is to be closed after it, OSError where the client closed it."""
        cuts = sorted((order.after, order.reset) for order in self.orders if isinstance(order, Cut))
        stalls = sorted(order.after for order in self.orders if isinstance(order, Stall))
        stop = self.whole if self.chunked else min(self.whole, self.announced)
        if cuts:
            stop = min(stop, cuts[0][0])
        sent = 0
        for halt in (min(after, stop) for after in stalls):
            self._send(sent, halt)
            sent = halt
            self.stalling()
            self.released.wait()
        self._send(sent, stop)
        if cuts:
            raise Hung(cuts[0][1])
        if self.chunked:
            self.connection.sendall(b"0\r\n\r\n")
        elif self.announced != self.whole:
            raise Hung

    def _send(self, start: int, end: int) -> None:
        """Send the bytes of the body from `start` to `end`."""
        rate = min((order.bytes_per_s for order in self.orders if isinstance(order, Slow)), default=0)
        step = max(1, rate // SLOW_STEPS_PER_S) if rate else CHUNK
        source = self.body.source
        if isinstance(source, Path) and not rate and not self.chunked and self.body.flip is None:
            start = self._send_file(source, start, min(end, self.body.length))
        for first in range(start, end, step):
            last = min(first + step, end)
            data = self._read(first, last)
            self.connection.sendall(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)
            self.progress(len(data))
            if rate:
                self.released.wait((last - first) / rate)

    def _send_file(self, source: Path, first: int, end: int) -> int:
        """Send without copying, where the system has sendfile. Returns up to where."""
        with source.open("rb", buffering=0) as stream:
            while first < end:
                count = self.connection.sendfile(stream, self.body.start + first, min(CHUNK, end - first))
                if not count:
                    raise Hung  # the file has become shorter since it was asked for
                self.progress(count)
                first += count
        return first

    def _read(self, first: int, last: int) -> bytes:
        """Bytes of the body from `first` to `last`: of the source, then padding; inverted where ordered."""
        begin = self.body.start + first
        count = max(0, min(last, self.body.length) - first)
        if isinstance(self.body.source, bytes):
            data = bytearray(self.body.source[begin : begin + count])
        else:
            with self.body.source.open("rb", buffering=0) as stream:
                stream.seek(begin)
                data = bytearray(stream.read(count))
        data += bytes(last - first - len(data))
        if self.body.flip is not None and 0 <= self.body.flip - begin < len(data):
            data[self.body.flip - begin] ^= 0xFF
        return bytes(data)
