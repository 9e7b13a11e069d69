"""The language between the supervisor and a child: one JSON object a line, commands down, events up.

Commands: `run`, `close`. Everything else that a child must know comes with its first line, the `Assignment`.
Events carry `at`, seconds of the system's monotonic clock, which parent and child share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

EVENTS = (
    "ready", "importing", "imported", "loading", "loaded", "warming", "run_started", "run_finished", "memory",
    "finished", "failed",
)  # fmt: skip

MAX_LINE_BYTES = 16 * 2**20
"""An hour of speech is some 60 KB of text, ten times that with segments; more than this is no event."""


class ProtocolError(Exception):
    """The child sent something that is no event; the text says what."""


@dataclass(frozen=True)
class Assignment:
    """What one child is for.

    reference: the backend, as "module:attribute"
    spec, location, load_options, transcribe_options: fields of the dataclasses of `backends.base`, as JSON
    clip_descriptor: an inherited file descriptor of the clip's samples, little-endian float32
    """

    reference: str
    spec: dict[str, Any]
    location: dict[str, Any]
    load_options: dict[str, Any]
    transcribe_options: dict[str, Any]
    clip_descriptor: int


@dataclass(frozen=True)
class Event:
    """Something that happened in a child. `fields` hold what belongs to `name`; see `core.race.child`."""

    name: str
    at: float
    fields: dict[str, Any]


def encode(message: object) -> bytes:
    """One line of JSON, in ASCII so that paths of any bytes pass; dataclasses become objects."""
    plain = asdict(message) if hasattr(message, "__dataclass_fields__") else message  # type: ignore[call-overload]
    return json.dumps(plain).encode() + b"\n"


def parse_event(line: bytes) -> Event:
    """Read one line that a child sent. Raises ProtocolError."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError(f"sent a line that is no event: {excerpt(line)}") from None
    if not isinstance(fields, dict) or fields.get("event") not in EVENTS or not isinstance(fields.get("at"), float):
        raise ProtocolError(f"sent an event of no known kind: {excerpt(line)}")
    return Event(fields.pop("event"), fields.pop("at"), fields)


def excerpt(data: bytes, limit: int = 60) -> str:
    """The beginning of some bytes, printable on one line."""
    text = data[: limit * 4].decode("utf-8", "backslashreplace").strip()
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return repr(shown[:limit] + ("…" if len(shown) > limit else ""))


class LineSplitter:
    """Cuts a stream of bytes into lines, refusing to hold more than `MAX_LINE_BYTES` of an unfinished one."""

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
