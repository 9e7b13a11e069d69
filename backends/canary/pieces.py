"""The pieces of a SentencePiece model, read from its protocol buffer.

Turning ids into text takes nothing but the list of pieces, so the sentencepiece library is not needed. The message is
`ModelProto { repeated SentencePiece pieces = 1; NormalizerSpec normalizer_spec = 3 }`, of which are read
`SentencePiece { string piece = 1; Type type = 3 }` and `NormalizerSpec { bool add_dummy_prefix = 3 }`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

LENGTH_DELIMITED, VARINT, FIXED32, FIXED64 = 2, 0, 5, 1


class Kind(IntEnum):
    """What a piece is; SentencePiece's numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """A piece as it stands in the vocabulary, U+2581 for a space."""

    text: str
    kind: Kind = Kind.NORMAL


@dataclass(frozen=True)
class Pieces:
    """A model's pieces in the order of their ids. `dummy_prefix`: whether encoding puts a space before a text."""

    pieces: tuple[Piece, ...]
    dummy_prefix: bool = True


def parse(model: bytes) -> Pieces:
    """Read a `.model` file. Raises ValueError where it is none."""
    pieces = []
    dummy_prefix = True
    try:
        for number, value in _fields(model):
            if number == 1 and isinstance(value, bytes):
                parts = dict(_fields(value))
                text, kind = parts.get(1, b""), parts.get(3, int(Kind.NORMAL))
                if not isinstance(text, bytes) or not isinstance(kind, int):
                    raise ValueError("a piece has fields of other types than SentencePiece's")
                pieces.append(Piece(text.decode(), Kind(kind)))
            elif number == 3 and isinstance(value, bytes):
                dummy_prefix = bool(dict(_fields(value)).get(3, True))
    except IndexError as error:
        raise ValueError("the SentencePiece model ends too early") from error
    if not pieces:
        raise ValueError("the SentencePiece model holds no pieces")
    return Pieces(tuple(pieces), dummy_prefix)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field. Raises ValueError, IndexError where the bytes are no message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == LENGTH_DELIMITED:
            size, at = _varint(message, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"no SentencePiece model: field of wire type {wire}")
        if at + size > len(message):
            raise ValueError("the SentencePiece model ends too early")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no SentencePiece model: a number of more than 64 bits")
