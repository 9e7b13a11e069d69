"""Answers of the local hub: status, headers and the part of a file that is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from email.utils import formatdate
from typing import Any

from contents import Content, Source
from misbehaviour import (
    Corrupt,
    HtmlPage,
    IgnoreRange,
    Misbehaviour,
    Redirects,
    Resized,
    Status,
    WrongContentRange,
)

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
REASONS = {401: "Invalid credentials", 403: "Forbidden", 429: "Too many requests", 503: "Service unavailable"}
PAGE = b"<!DOCTYPE html><html><title>Welcome</title><body>Please sign in to use this network.</body></html>"


@dataclass(frozen=True)
class Body:
    """Bytes `start` to `start + length` of a source; `padding` zeros follow, `flip` is an offset to be inverted."""

    source: Source
    start: int
    length: int
    padding: int = 0
    flip: int | None = None


@dataclass(frozen=True)
class Answer:
    """What is sent; Content-Length is added to it from the body. `content` marks a file whose range may be asked."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    content: Content | None = None


def plain(status: int, data: bytes, kind: str, **headers: str) -> Answer:
    """An answer of a few bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return Answer(status, {"Content-Type": kind, **named}, Body(data, 0, len(data)))


def as_json(value: Any, **headers: str) -> Answer:
    """A 200 with JSON."""
    return plain(200, json.dumps(value).encode(), "application/json", **headers)


def refusal(status: int, message: str, code: str = "", **headers: str) -> Answer:
    """An error as the hub words it: for programs in headers, for people in the body."""
    body = json.dumps({"error": message}).encode()
    return plain(status, body, "application/json", X_Error_Code=code, X_Error_Message=message, **headers)


def redirect(location: str, **headers: str) -> Answer:
    """A 302."""
    return plain(302, f"Found. Redirecting to {location}".encode(), "text/plain", Location=location, **headers)


def file(content: Content, etag: str, **headers: str) -> Answer:
    """A file's whole content; `ranged` narrows it."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    fixed = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
        "Last-Modified": formatdate(1_700_000_000, usegmt=True),
    }
    return Answer(200, {**fixed, **named}, Body(content.source, 0, content.size), content)


def misbehaved(order: Misbehaviour, path: str) -> Answer:
    """The answer instead of the true one."""
    match order:
        case Status(code, retry_after, error_code, message):
            wait = {} if retry_after is None else {"Retry_After": str(retry_after)}
            return refusal(code, message or REASONS.get(code, "Something went wrong"), error_code, **wait)
        case Redirects(hops):
            return redirect(f"{path}?hops={-1 if hops is None else hops - 1}")
        case HtmlPage():
            return plain(200, PAGE, "text/html; charset=utf-8")
        case _:
            raise TypeError(f"{order} is not an answer")


def ranged(answer: Answer, asked: Message, orders: Sequence[Misbehaviour]) -> Answer:
    """Apply Range, If-Range and If-Match to a file's answer, and what is ordered to happen to its bytes."""
    assert answer.content is not None
    etag = answer.headers["ETag"]
    if asked.get("If-Match", etag) not in (etag, "*"):
        return refusal(412, "The file has changed")
    resized = sum(order.by for order in orders if isinstance(order, Resized))
    size = max(0, answer.content.size + resized)
    first, last = 0, size - 1
    wanted = RANGE.fullmatch(asked.get("Range", ""))
    if any(isinstance(order, IgnoreRange) for order in orders) or asked.get("If-Range", etag) != etag:
        wanted = None
    if wanted and any(wanted.groups()):
        low, high = wanted.groups()
        first = int(low) if low else max(0, size - int(high))
        last = min(int(high), size - 1) if low and high else size - 1
        if first > last:
            return refusal(416, "Range not satisfiable", Content_Range=f"bytes */{size}")
    for shift in (order.shift for order in orders if isinstance(order, WrongContentRange) if wanted):
        first = min(max(0, first + shift), last)
    real = max(0, min(last + 1, answer.content.size) - first)
    flips = [order.at for order in orders if isinstance(order, Corrupt)]
    body = Body(answer.content.source, first, real, last + 1 - first - real, flips[0] if flips else None)
    if not wanted:
        return replace(answer, body=body)
    return replace(
        answer, status=206, body=body, headers={**answer.headers, "Content-Range": f"bytes {first}-{last}/{size}"}
    )
