"""Ways in which the local hub goes wrong on request, and the book in which they are ordered.

All of them are given to `HubServer.misbehave(pattern, what, times=None, method=None)`. Those that concern the bytes of
an answer (Cut, Stall, Slow, Corrupt, Resized, WrongLength, IgnoreRange, WrongContentRange, Chunked) count and act only
where a GET is answered with bytes: a HEAD or the redirect of a large file neither uses them up nor feels them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Cut:
    """Close the connection after so many bytes of the body.

    reset: as a crash of the server does; what the client has not read by then may be lost to it
    """

    after: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """Send so many bytes of the body, then nothing until `HubServer.release()`; `HubServer.stalled` counts them."""

    after: int = 0


@dataclass(frozen=True)
class Slow:
    """Send the body at this rate."""

    bytes_per_s: int


@dataclass(frozen=True)
class Corrupt:
    """Wrong bytes with the right size: the byte at this offset of the file is inverted."""

    at: int = 0


@dataclass(frozen=True)
class Resized:
    """The file has so many bytes more or fewer than the hub's listing says; the answer's own length is honest."""

    by: int


@dataclass(frozen=True)
class WrongLength:
    """Content-Length is wrong by so much. Too long: the connection closes early. Too short: the rest is not sent."""

    by: int


@dataclass(frozen=True)
class IgnoreRange:
    """Answer 200 with the whole file to whoever asks for a range."""


@dataclass(frozen=True)
class WrongContentRange:
    """Answer a range with 206 and a Content-Range that begins `shift` bytes later; the bytes are those of it."""

    shift: int = -1


@dataclass(frozen=True)
class Chunked:
    """Send the body without Content-Length, in chunks."""


@dataclass(frozen=True)
class ChangedEtag:
    """Give the file another ETag, in answer to HEAD and GET."""

    etag: str = "0" * 40


@dataclass(frozen=True)
class Status:
    """Refuse with this status. `Status(405)` with `method="HEAD"` is a server that does not know HEAD."""

    code: int
    retry_after: int | None = None
    error_code: str = ""
    message: str = ""


@dataclass(frozen=True)
class HtmlPage:
    """Answer 200 with a page for people, as the network of a hotel does."""


@dataclass(frozen=True)
class Redirects:
    """Redirect so many times before the true answer; None: for ever, in a circle."""

    hops: int | None = None


Refusal = Status | HtmlPage | Redirects
Transfer = Cut | Stall | Slow | Corrupt | Resized | WrongLength | IgnoreRange | WrongContentRange | Chunked
Misbehaviour = Refusal | Transfer | ChangedEtag


@dataclass
class Order:
    """One order: what to do to which requests, and how often still (None: for ever)."""

    pattern: str
    what: Misbehaviour
    left: int | None
    method: str | None


class Orders:
    """All orders; may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[Order] = []

    def add(self, order: Order) -> None:
        """Take an order."""
        with self._lock:
            self._orders.append(order)

    def clear(self) -> None:
        """Forget all orders."""
        with self._lock:
            self._orders.clear()

    def take(self, method: str, path: str, kind: type | tuple[type, ...]) -> tuple[Misbehaviour, ...]:
        """What to do to this request, of the kinds that its answer can suffer; each counts as done once."""
        with self._lock:
            due = [
                order
                for order in self._orders
                if isinstance(order.what, kind)
                and order.method in (None, method)
                and order.left != 0
                and fnmatchcase(path, f"*{order.pattern}")
            ]
            for order in due:
                if order.left is not None:
                    order.left -= 1
        return tuple(order.what for order in due)


REFUSALS = (Status, HtmlPage, Redirects)
TRANSFERS = (Cut, Stall, Slow, Corrupt, Resized, WrongLength, IgnoreRange, WrongContentRange, Chunked)
