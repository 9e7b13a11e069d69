"""The log of the local hub."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from routes import Origin

FIRST = re.compile(r"bytes=(\d+)-")


@dataclass(frozen=True)
class Request:
    """One request and what came of it.

    path: without the query, quoted as it was sent
    range: the header as it was sent, or None
    status: 0 until it is answered
    sent: bytes of the body that the system took so far; up to some MB of them may not have reached the client
    announced: Content-Length of the answer, None where it had none
    token: of the Authorization header, or ""
    ended: nothing more will be sent
    """

    origin: Origin
    method: str
    path: str
    query: str = ""
    range: str | None = None
    token: str = ""
    agent: str = ""
    status: int = 0
    sent: int = 0
    announced: int | None = None
    ended: bool = False

    @property
    def start(self) -> int:
        """The first byte that was asked for."""
        found = FIRST.match(self.range or "")
        return int(found[1]) if found else 0


class Record:
    """All requests of one server; may be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._first = 0
        self.stalled = 0

    @property
    def requests(self) -> tuple[Request, ...]:
        """A copy of the log."""
        with self._changed:
            return tuple(self._requests)

    def begin(self, request: Request) -> int:
        """Note a request. Returns its number, by which it is changed."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            return self._first + len(self._requests) - 1

    def change(self, number: int, sent: int = 0, **facts: Any) -> None:
        """Note what came of a request: more bytes sent, or other facts."""
        with self._changed:
            at = number - self._first
            if at >= 0:
                self._requests[at] = replace(self._requests[at], sent=self._requests[at].sent + sent, **facts)
            self._changed.notify_all()

    def stall(self) -> None:
        """Note that an answer stalls."""
        with self._changed:
            self.stalled += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything; requests under way are not noted any more."""
        with self._changed:
            self._first += len(self._requests)
            self._requests.clear()
            self.stalled = 0

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition, asked at every change."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)
