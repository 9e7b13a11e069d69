"""The lines between a parent and its child: any bytes give messages or one error in words."""

from __future__ import annotations

import json
import queue
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from racing import python_path

from backends.base import Advice, Availability
from speedtest_tui.core.process import lines as protocol
from speedtest_tui.core.process.lines import (
    Failed,
    LineSplitter,
    Message,
    ProtocolError,
    encode,
    encode_message,
)
from speedtest_tui.core.process.parent import Child, Ended, excerpt, read_message


@dataclass(frozen=True)
class Found(Message):
    """A message with a bit of everything."""

    path: Path
    share: float | None
    names: tuple[str, ...] = ()


KINDS = (Found, Failed)


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


@pytest.mark.parametrize("message", [Found(Path("/a b"), None, ("x", "ö")), Failed(Advice("it broke", "try again"))])
def test_what_is_sent_is_read(message: Message) -> None:
    line = encode_message(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    read = read_message(line, KINDS)
    assert (read, read.at) == (message, message.at)


def test_numbers_of_a_librarys_own_types_arrive_as_numbers() -> None:
    import numpy as np

    message = Found(Path(), np.float32(0.5), ("half a pair: \ud83d",))  # type: ignore[arg-type]
    assert read_message(encode_message(message), KINDS) == Found(Path(), 0.5, ("half a pair: ?",))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"ready"',
        b"{}",
        b'{"event": "Found"}',
        b'{"event": "Found", "path": "/", "share": null, "at": "now"}',
        b'{"event": "Found", "path": 7, "share": null}',
        b'{"event": "Found", "path": "/", "share": "half"}',
        b'{"event": "Found", "path": "/", "share": 1, "names": [1]}',
        b'{"event": "Dancing", "at": 5.0}',
        b'{"event": ["Found"], "at": 5.0}',
        b'{"event": {"Found": 1}, "at": 5.0}',
        b'{"event": "Found", "at": 5.0',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_everything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_message(line, KINDS)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_random_bytes_never_get_past() -> None:
    dice = random.Random(11)
    good = encode_message(Found(Path("/some/where"), 0.25, ("run", "again")))[:-1]
    passed = 0
    for _ in range(3000):
        line = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            line[dice.randrange(len(line))] = dice.randrange(256)
        stream = bytes(line) + b"\n" + dice.randbytes(20) + b"\n"
        for piece in LineSplitter().feed(stream):
            try:
                message = read_message(piece, KINDS)
            except ProtocolError as error:
                assert str(error).isprintable()
            else:
                assert isinstance(message, Found)
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


CHATTY = """
import sys
from dataclasses import dataclass
from speedtest_tui.core.process.child import serve
from speedtest_tui.core.process.lines import Message

@dataclass(frozen=True)
class Found(Message):
    path: str
    share: float

def work(parent):
    for number in range(parent.order["messages"]):
        sys.stderr.write("x" * 1000 + "\\n")
        print("a library's own words" * 50)
        parent.send(Found("/" + "p" * 4000, float(number)))

serve(work)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process waits for is in Linux's /proc")
@pytest.mark.parametrize("ended", [False, True])
def test_a_child_whose_pipe_is_full_loses_nothing_and_can_be_ended(
    ended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes its messages for as long as it needs to stand still in a write; then somebody does, or ends it."""
    (tmp_path / "chatty.py").write_text(CHATTY)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path))
    reading, told = threading.Event(), queue.SimpleQueue[Message | Ended]()

    def report(message: Message | Ended) -> None:
        reading.wait(60)
        told.put(message)

    child = Child("chatty", {"messages": 500}, (Found,), report)
    while not Path(f"/proc/{child.pid}/syscall").read_text().startswith("1 "):
        time.sleep(0.01)
    if ended:
        threading.Timer(0.2, reading.set).start()
        child.end(60)
    reading.set()
    heard = [told.get(timeout=60)]
    while not isinstance(heard[-1], Ended):
        heard.append(told.get(timeout=60))
    assert heard[-1] == Ended("closed" if ended else "done")
    numbers = [one.share for one in heard[:-1] if isinstance(one, Found)]
    assert numbers == [float(number) for number in range(len(numbers))]
    assert ended or len(numbers) == 500
