"""Canary's vocabularies: one SentencePiece model, or several behind each other with offsets.

In an aggregate the same piece has an id in each language; `<|...|>` tokens are those of `spl_tokens` and nothing else,
so they are looked up there only.

The pieces of a SentencePiece model, read from its protocol buffer.

Turning ids into text takes nothing but the list of pieces, so the sentencepiece library is not needed. The message is
`ModelProto { repeated SentencePiece pieces = 1; NormalizerSpec normalizer_spec = 3 }`, of which are read
`SentencePiece { string piece = 1; Type type = 3 }` and `NormalizerSpec { bool add_dummy_prefix = 3 }`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from backends.base import BackendError
from backends.canary.architecture import Architecture

SPECIALS = "spl_tokens"
END, PAD = "<|endoftext|>", "<pad>"
SPACE = "\u2581"
LANGUAGE = re.compile(r"<\|([a-z]{2})(?:-[A-Z]{2})?\|>")
TIME = re.compile(r"<\|(\d+)\|>")


@dataclass(frozen=True)
class Vocabulary:
    """All pieces by id, and the ids of the special tokens.

    offsets: the first id of each part, by its name
    prefix: what NeMo has in front of a prompt. One SentencePiece model encodes the prompt as any text, with a space
        before it; an aggregate's special tokens are looked up one by one.
    """

    pieces: tuple[Piece, ...]
    specials: Mapping[str, int]
    offsets: Mapping[str, int]
    prefix: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        return self.specials[END]

    @property
    def pad(self) -> int:
        return self.specials.get(PAD, self.end)

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes that a prompt can name, sorted: "de", "en", ..."""
        return tuple(sorted({found[1] for token in self.specials if (found := LANGUAGE.fullmatch(token))}))

    @property
    def has_times(self) -> bool:
        """Whether the model can write word times: `<|timestamp|>` alone asks for tokens that may not exist."""
        return "<|timestamp|>" in self.specials and "<|0|>" in self.specials

    def language_token(self, code: str) -> str:
        """The token of a language code, if need be one with a country: <|en-US|>. Raises StopIteration."""
        named = [t for t in self.specials if (found := LANGUAGE.fullmatch(t)) and found[1] == code]
        return next(iter(sorted(named, key=len)))

    def times(self, tokens: Iterable[int]) -> list[tuple[int, int | None]]:
        """Each token with the encoder step that it names, or None where it is no time."""
        named = {i: int(found[1]) for token, i in self.specials.items() if (found := TIME.fullmatch(token))}
        return [(token, named.get(token)) for token in tokens]

    def text(self, tokens: Iterable[int]) -> str:
        """Text of a row of ids, special and control tokens left out; spaces at both ends are dropped."""
        special = set(self.specials.values())
        raw = bytearray()
        for token in tokens:
            if token in special or not 0 <= token < len(self.pieces):
                continue
            piece = self.pieces[token]
            if piece.kind == Kind.BYTE:
                raw.append(int(piece.text[3:5], 16))
            elif piece.kind == Kind.UNKNOWN:
                raw += " \u2047 ".encode()
            elif piece.kind != Kind.CONTROL:
                raw += piece.text.replace(SPACE, " ").encode()
        return raw.decode(errors="replace").strip()


def single(model: Pieces) -> Vocabulary:
    """The vocabulary of one SentencePiece model that holds text and special tokens. Raises BackendError."""
    spaces = [number for number, piece in enumerate(model.pieces) if piece.text == SPACE]
    prefix = tuple(spaces[:1]) if model.dummy_prefix else ()
    return _checked(Vocabulary(model.pieces, _special_ids(model.pieces, 0), {"": 0}, prefix))


def aggregate(parts: Mapping[str, Pieces]) -> Vocabulary:
    """Several models behind each other in the order given. Raises BackendError where `spl_tokens` is not among them."""
    if SPECIALS not in parts:
        raise BackendError(f"the aggregate tokenizer has no part {SPECIALS!r}", kind="model")
    joined: list[Piece] = []
    offsets: dict[str, int] = {}
    for name, model in parts.items():
        offsets[name] = len(joined)
        joined += model.pieces
    specials = _special_ids(parts[SPECIALS].pieces, offsets[SPECIALS])
    return _checked(Vocabulary(tuple(joined), specials, offsets))


def _special_ids(pieces: Sequence[Piece], offset: int) -> dict[str, int]:
    found = {}
    for number, piece in enumerate(pieces, offset):
        if piece.text == PAD or (piece.text.startswith("<|") and piece.text.endswith("|>")):
            found[piece.text] = number
    return found


def _checked(vocabulary: Vocabulary) -> Vocabulary:
    if END not in vocabulary.specials:
        raise BackendError(f"the tokenizer has no token {END}: it is not Canary's", kind="model")
    return vocabulary


def load(folder: Path, architecture: Architecture) -> Vocabulary:
    """Read the tokenizer files that config.json names, and no others. Raises BackendError."""
    given = architecture.tokenizer
    if given.get("type") == "agg":
        langs: Mapping[str, Any] = given.get("langs") or {}
        return aggregate({name: _pieces(folder, part.get("model_path")) for name, part in langs.items()})
    if packed := given.get("model_base64"):
        try:
            return single(parse(base64.b64decode(packed, validate=True)))
        except (ValueError, binascii.Error) as error:
            raise BackendError(f"the tokenizer in config.json cannot be read: {error}", kind="model") from error
    if given.get("type") == "wpe":
        raise BackendError("the tokenizer is a WordPiece model; only SentencePiece can be read", kind="model")
    # canary-mlx and mlx-audio both call the file so where their configuration does not name it.
    default = None if architecture.layout == "nemo" else "tokenizer.model"
    return single(_pieces(folder, given.get("model_path", default)))


def _pieces(folder: Path, name: object) -> Pieces:
    if not isinstance(name, str):
        raise BackendError("config.json does not name the tokenizer's file", kind="model")
    name = name.removeprefix("nemo:")
    if Path(name).name != name:
        raise BackendError(f"config.json names a tokenizer outside of the model's folder: {name}", kind="model")
    try:
        return parse((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BackendError(f"the tokenizer {name} cannot be read: {reason}", kind="model") from error


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


def tokenizer_files(section: object) -> Iterator[str]:
    """The files that the tokenizer section of a config.json names, those of each language where there are several."""
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if key == "model_path" and isinstance(value, str):
            yield value.removeprefix("nemo:")
        else:
            yield from tokenizer_files(value)
