"""What comes from outside becomes a value of its type, or one line that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from speedtest_tui.core.codec import Damaged, decode, encode, typed


@dataclass(frozen=True)
class Part:
    path: Path
    share: float | None = None


@dataclass(frozen=True)
class Whole:
    kind: Literal["a", "b"]
    parts: tuple[Part, ...] = ()


WHOLE = Whole("a", (Part(Path("/models/caf\udce9"), 0.5), Part(Path("b"))))


def test_a_value_comes_back_as_it_was() -> None:
    line = encode(WHOLE)
    assert line.isascii() and b"\n" not in line
    assert decode(Whole, line) == WHOLE


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert decode(Whole, b'{"kind": "b", "more": [1]}') == Whole("b")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[1]",
        b'{"kind": "c"}',
        b'{"kind": "a", "parts": [{"path": 3}]}',
        b'{"kind": "a", "parts": [{"path": "a\\u0000b"}]}',
        b'{"kind": "a", "parts": [{"path": "x", "share": NaN}]}',
        b'{"kind": "a", "parts": [{"path": "x", "share": "0.5"}]}',
        b'{"kind": "a", "parts": [{"path": "x", "share": ' + b"9" * 5000 + b"}]}",
        b'{"kind": "a", "parts": [{"path": "x", "share": ' + b"9" * 21 + b"}]}",
        b'{"kind": "a", "parts": [{"path": "x", "share": 1e999}]}',
        b"[" * 100_000,
        rb'{"kind": "\ud800"}',
    ],
    ids=lambda data: repr(data[:44]),
)
def test_what_is_of_another_type_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(Damaged) as refused:
        decode(Whole, data)
    assert str(refused.value) and "\n" not in str(refused.value)


def test_what_a_parser_has_made_is_checked_alike() -> None:
    assert typed(Part, {"path": "x"}) == Part(Path("x"))
    with pytest.raises(Damaged, match=r"share"):
        typed(Part, {"path": "x", "share": "much"})
