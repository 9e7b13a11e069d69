"""The language of a parent and its child: one JSON object a line. Down go an order and commands, up go messages.

A message is a frozen dataclass that both sides import; on its line it is called as its class. The child needs nothing
but the standard library for this, so that what it imports beside its own work costs no time and no memory.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from operator import index
from typing import Any

from backends.base import Advice

LIFELINE = "SPEEDTEST_LIFELINE"
"""Environment variable with the number of the pipe whose end tells a child that the program is gone."""

MARK = "SPEEDTEST_CHILD"
"""Environment variable with a child's own random mark, which all that it starts inherit."""

MAX_LINE_BYTES = 16 * 2**20
"""An hour of speech is some 60 KB of text, ten times that with segments; more than this is no message."""


class ProtocolError(Exception):
    """The child sent something that is no message; the text is a clause that says what."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a child tells. `at` is when, in seconds of the system's monotonic clock, which parent and child share."""

    at: float = field(default_factory=time.monotonic, compare=False)


@dataclass(frozen=True)
class Failed(Message):
    """The last message of a child that cannot do what it was started for.

    kind: a word for programs: that of a BackendError, "unusable", "memory", or "exception" for what nobody expected
    """

    advice: Advice
    kind: str = "unusable"


def encode(value: object) -> bytes:
    """A line that goes down, in ASCII so that paths of any bytes pass; dataclasses become objects."""
    return json.dumps(_fields(value), default=_plain).encode() + b"\n"


def encode_message(message: Message) -> bytes:
    """A line that goes up. What is no text in it, such as half a surrogate pair, becomes a question mark."""
    line = {"event": type(message).__name__, **asdict(message)}
    return json.dumps(line, default=_plain, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _fields(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _plain(value: Any) -> int | float | str:
    """Numbers of a library's own types as numbers, everything else as text."""
    with contextlib.suppress(Exception):
        return index(value)
    with contextlib.suppress(Exception):
        return float(value)
    return str(value)


class LineSplitter:
    """Cuts a stream of bytes into lines, refusing to hold more than MAX_LINE_BYTES of an unfinished one."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every line that `data` completes, without its end. Raises ProtocolError."""
        self._rest += data
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
            yield from lines
        if len(self._rest) > MAX_LINE_BYTES:
            raise ProtocolError(f"sent {len(self._rest)} bytes without an end of line")

    @property
    def rest(self) -> bytes:
        """What came after the last end of line."""
        return bytes(self._rest)
