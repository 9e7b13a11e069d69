"""The lines between the supervisor and a child: any bytes give events or one error in words."""

from __future__ import annotations

import json
import random

import pytest

from backends.base import Availability
from speedtest_tui.core.process import lines as protocol
from speedtest_tui.core.process.lines import EVENTS, LineSplitter, ProtocolError, encode, excerpt, parse_event


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_lines_however_they_arrive(step: int) -> None:
    data = b'first\n\nthird \xff\n{"a": 1}\nrest'
    splitter = LineSplitter()
    lines = [line for start in range(0, len(data), step) for line in splitter.feed(data[start : start + step])]
    assert lines == [b"first", b"", b"third \xff", b'{"a": 1}']
    assert splitter.rest == b"rest"


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINE_BYTES", 100)
    splitter = LineSplitter()
    assert list(splitter.feed(b"x" * 100)) == []
    with pytest.raises(ProtocolError, match="101 bytes without an end of line"):
        list(splitter.feed(b"x"))


def test_a_long_line_that_ends_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINE_BYTES", 100)
    assert list(LineSplitter().feed(b"x" * 150 + b"\n")) == [b"x" * 150]


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_read(name: str) -> None:
    event = parse_event(json.dumps({"event": name, "at": 12.5, "seconds": 1}).encode())
    assert (event.name, event.at, event.fields) == (name, 12.5, {"seconds": 1})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"ready"',
        b"{}",
        b'{"event": "ready"}',
        b'{"event": "ready", "at": "now"}',
        b'{"event": "ready", "at": 5}',
        b'{"event": "dancing", "at": 5.0}',
        b'{"event": ["ready"], "at": 5.0}',
        b'{"event": {"ready": 1}, "at": 5.0}',
        b'{"event": "ready", "at": 5.0',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_everything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_event(line)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_random_bytes_never_get_past() -> None:
    dice = random.Random(11)
    good = b'{"event": "run_finished", "at": 12.5, "kind": "run", "index": 0, "seconds": 0.25}'
    passed = 0
    for _ in range(3000):
        line = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            line[dice.randrange(len(line))] = dice.randrange(256)
        stream = bytes(line) + b"\n" + dice.randbytes(20) + b"\n"
        for piece in LineSplitter().feed(stream):
            try:
                event = parse_event(piece)
            except ProtocolError as error:
                assert str(error).isprintable()
            else:
                assert event.name in EVENTS
                passed += 1
    assert 0 < passed < 3000


def test_commands_are_one_line_of_ascii() -> None:
    line = encode({"path": "/größe/\udcff", "text": "two\nlines"})
    assert line.isascii()
    assert line.count(b"\n") == 1
    # A path that is no UTF-8 comes out as it went in.
    assert json.loads(line)["path"] == "/größe/\udcff"
    assert json.loads(encode(Availability(True, "1")))["version"] == "1"


def test_an_excerpt_is_short_and_printable() -> None:
    assert excerpt(b"plain") == "'plain'"
    assert excerpt(b"\x1b[31mred\x00\xff " * 50).isprintable()
    assert len(excerpt(b"x" * 1000)) == 63
