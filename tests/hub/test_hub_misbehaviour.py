"""The local hub goes wrong as ordered, seen by a client that hides nothing."""

from __future__ import annotations

import http.client
import random
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from misbehaviour import (
    ChangedEtag,
    Chunked,
    Corrupt,
    Cut,
    HtmlPage,
    IgnoreRange,
    Misbehaviour,
    Redirects,
    Resized,
    Slow,
    Stall,
    Status,
    WrongContentRange,
    WrongLength,
)
from server import HubServer

DATA = random.Random(7).randbytes(100_000)
FILE = "/org/name/resolve/main/config.json"


@dataclass(frozen=True)
class Reply:
    """What a request brought. `end` is "" where the body came to its end, else the error that broke it."""

    status: int
    headers: dict[str, str]
    body: bytes
    end: str = ""


def ask(hub: HubServer, path: str = FILE, method: str = "GET", **headers: str) -> Reply:
    """One request on a connection of its own."""
    address = urlsplit(hub.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    body = bytearray()
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        try:
            while piece := response.read1(10_000):
                body += piece
        except (http.client.HTTPException, OSError) as error:
            return Reply(response.status, named, bytes(body), type(error).__name__)
        short = response.length and method != "HEAD"
        return Reply(response.status, named, bytes(body), "short" if short else "")
    finally:
        connection.close()


@pytest.fixture(params=["memory", "disk"])
def served(hub: HubServer, request: pytest.FixtureRequest, tmp_path: Path) -> HubServer:
    """A hub with one file of DATA, which lies in memory or on disk: they are sent in different ways."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    hub.add_repo("org/name", {"config.json": DATA if request.param == "memory" else path})
    return hub


def test_ranges(served: HubServer) -> None:
    part = ask(served, Range="bytes=10-19")
    assert (part.status, part.headers["content-range"], part.body) == (206, "bytes 10-19/100000", DATA[10:20])
    assert ask(served, Range="bytes=99990-").body == DATA[-10:]
    assert ask(served, Range="bytes=-7").body == DATA[-7:]
    assert ask(served, Range="bytes=99990-200000").body == DATA[-10:]
    assert ask(served, Range="bytes=100000-").status == 416
    assert served.requests[0].range == "bytes=10-19"
    assert served.bytes_sent("config.json") == 10 + 10 + 7 + 10 + served.requests[-1].sent


def test_ranges_on_a_condition(served: HubServer) -> None:
    etag = ask(served, method="HEAD").headers["etag"]
    assert ask(served, Range="bytes=5-", If_Range=etag).status == 206
    assert ask(served, Range="bytes=5-", If_Range='"other"').status == 200
    assert ask(served, If_Match='"other"').status == 412


def test_head_has_no_body(served: HubServer) -> None:
    reply = ask(served, method="HEAD")
    assert (reply.body, reply.headers["content-length"]) == (b"", "100000")


@pytest.mark.parametrize(
    ("what", "body", "length"),
    [
        (Cut(after=1234), DATA[:1234], 100_000),
        (Cut(), b"", 100_000),
        (Corrupt(at=5), DATA[:5] + bytes([DATA[5] ^ 0xFF]) + DATA[6:], 100_000),
        (Resized(by=-10), DATA[:-10], 99_990),
        (Resized(by=10), DATA + bytes(10), 100_010),
        (WrongLength(by=10), DATA, 100_010),
        (WrongLength(by=-10), DATA[:-10], 99_990),
        (Chunked(), DATA, None),
        (Slow(1_000_000), DATA, 100_000),
    ],
)
def test_transfers(served: HubServer, what: Misbehaviour, body: bytes, length: int | None) -> None:
    served.misbehave("config.json", what, times=1)
    assert ask(served, method="HEAD").headers["content-length"] == "100000"
    reply = ask(served)
    assert reply.body == body
    assert reply.headers.get("content-length") == (None if length is None else str(length))
    assert (reply.end != "") == (length is not None and length > len(body))
    assert ask(served).body == DATA
    assert served.requests[1].sent == len(body)


def test_a_reset_is_seen_as_such(served: HubServer) -> None:
    served.misbehave("config.json", Cut(after=0, reset=True))
    with pytest.raises(OSError):
        reply = ask(served)
        raise OSError(reply.end) if reply.end == "ConnectionResetError" else AssertionError(reply)


def test_a_cut_chunked_body(served: HubServer) -> None:
    served.misbehave("config.json", Chunked())
    served.misbehave("config.json", Cut(after=5000))
    assert ask(served).end == "IncompleteRead"


def test_a_stall(served: HubServer) -> None:
    served.misbehave("config.json", Stall(after=1000), times=1)
    replies: list[Reply] = []
    client = threading.Thread(target=lambda: replies.append(ask(served)))
    client.start()
    assert served.wait(lambda hub: hub.stalled == 1, 20)
    assert (served.requests[0].sent, served.requests[0].ended) == (1000, False)
    served.release()
    client.join(20)
    assert replies[0].body == DATA


def test_closing_ends_what_stalls(served: HubServer) -> None:
    served.misbehave("config.json", Stall())
    client = threading.Thread(target=ask, args=(served,))
    client.start()
    served.wait(lambda hub: hub.stalled, 20)
    served.close()
    client.join(20)
    assert not client.is_alive()


def test_ranges_that_are_ignored_or_wrong(served: HubServer) -> None:
    served.misbehave("config.json", IgnoreRange(), times=1)
    assert ask(served, Range="bytes=10-").status == 200
    served.misbehave("config.json", WrongContentRange(shift=-4), times=1)
    reply = ask(served, Range="bytes=10-")
    assert (reply.status, reply.headers["content-range"], reply.body) == (206, "bytes 6-99999/100000", DATA[6:])


def test_refusals(served: HubServer) -> None:
    served.misbehave("config.json", Status(429, retry_after=7), times=2)
    served.misbehave("config.json", Status(403, error_code="GatedRepo"), times=1)
    replies = [ask(served) for _ in range(3)]
    assert [reply.status for reply in replies] == [429, 429, 200]
    assert replies[0].headers["retry-after"] == "7"


def test_head_only(served: HubServer) -> None:
    served.misbehave("config.json", Status(405), method="HEAD")
    assert ask(served, method="HEAD").status == 405
    assert ask(served).status == 200


def test_a_page_for_people(served: HubServer) -> None:
    served.misbehave("/api/*", HtmlPage())
    reply = ask(served, "/api/models/org/name")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_changed_etag(served: HubServer) -> None:
    served.misbehave("config.json", ChangedEtag("f" * 40), times=1)
    assert ask(served, method="HEAD").headers["etag"] == f'"{"f" * 40}"'
    assert ask(served, method="HEAD").headers["etag"] != f'"{"f" * 40}"'


def test_redirects(served: HubServer) -> None:
    served.misbehave("config.json", Redirects(2), times=1)
    path, hops = FILE, 0
    while (reply := ask(served, path)).status == 302:
        path, hops = reply.headers["location"], hops + 1
    assert (hops, reply.body) == (2, DATA)


def test_redirects_in_a_circle(served: HubServer) -> None:
    served.misbehave("config.json", Redirects())
    path = ask(served).headers["location"]
    assert ask(served, path).headers["location"] == path


def test_checkpoints(served: HubServer) -> None:
    url = served.add_checkpoint("tiny.pt", DATA)
    address = urlsplit(url)
    reply = ask(served, address.path, Range="bytes=1-")
    assert (reply.status, reply.body) == (206, DATA[1:])
    assert len(reply.headers["etag"]) < 40
    assert served.cdn_url == f"http://{address.netloc}" != served.url
