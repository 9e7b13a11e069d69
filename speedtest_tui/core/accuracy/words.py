"""Words of a transcript as they are shown, and the form in which they are compared with other transcripts'."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_JOINTS = "-‐‑–—/…"
"""Where one backend writes one word and another two: "well-known"."""

_PARTS = re.compile(rf"[{_JOINTS}]*[^{_JOINTS}]+[{_JOINTS}]*|[{_JOINTS}]+")

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, kana and Han: written without spaces, so that characters count as words, as in `wer`."""

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


@dataclass(frozen=True)
class Word:
    """A word as it stands in its text, and how it compares with the other texts.

    text: with case and punctuation; empty only in a last word that carries what is missing at the end
    spaced: whether white space comes before it; not so for the second half of "well-known"
    differs: the majority has another word here or none, or there is no majority
    missing: what the majority, or in a dispute another text, has before this word and this text has not
    """

    text: str
    spaced: bool = True
    differs: bool = False
    missing: str = ""

    @property
    def missing_before(self) -> bool:
        return bool(self.missing)


PieceKind = Literal["same", "wrong", "right", "missing", "extra", "differs", "mark"]

Piece = tuple[str, PieceKind]
"""A stretch of a marked text, to be shown in the look of its kind; all stretches together make up the line.

wrong: other words than the reference's, which follow as `right`; missing: words of the reference; extra: not in it
differs: what the majority has not; mark: what tells these apart without colour
"""


def pieces(words: Sequence[Word]) -> tuple[Piece, ...]:
    """A text with what the majority has not in ‹ ›, and ‹…› where it has more."""
    found: list[Piece] = []
    for word in words:
        if word.missing:
            found += [(" " if found else "", "same"), ("‹…›", "differs")]
        if word.text:
            found.append((" " if word.spaced and found else "", "same"))
            found += [(f"‹{word.text}›", "differs")] if word.differs else [(word.text, "same")]
    return tuple(joined(found))


def joined(found: Iterable[Piece]) -> Iterator[Piece]:
    """The same line in as few pieces as there can be."""
    for kind, run in itertools.groupby((piece for piece in found if piece[0]), key=lambda piece: piece[1]):
        yield "".join(text for text, _ in run), kind


def split_words(text: str) -> list[Word]:
    """Split at white space, after hyphens, dashes and slashes, and around characters of scripts without spaces.

    Nothing but white space is lost.
    """
    words = []
    for chunk in text.split():
        if chunk.isascii() and chunk.isalnum():
            words.append(Word(chunk))
        else:
            words += [Word(piece, spaced=not i) for i, piece in enumerate(_pieces(chunk))]
    return words


def _pieces(chunk: str) -> list[str]:
    pieces = []
    for part in _PARTS.findall(chunk):
        if not UNSPACED.search(part):
            pieces.append(part)
            continue
        word = ""
        for character in part:
            # Marks and punctuation stay with the character before them.
            alone = UNSPACED.match(character) or UNSPACED.match(word)
            if word and alone and unicodedata.category(character)[0] in "LN":
                pieces.append(word)
                word = ""
            word += character
        pieces.append(word)
    return pieces


def key(word: str) -> str:
    """The form that is compared: without case, punctuation and width, with points within numbers and signs that are
    read aloud; empty for punctuation alone."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    if folded.isalnum():
        return folded
    folded = _THOUSANDS.sub("", folded)
    return "".join(c for i, c in enumerate(folded) if _read(c) or _within_number(folded, i))


def keys(text: str) -> list[str]:
    """The keys of all words of a text that have one: two texts that share them differ in writing only."""
    return [found for word in split_words(text) if (found := key(word.text))]


def bare(words: Iterable[Word]) -> str:
    """Words as one string without the punctuation around them."""
    joined = ""
    for word in words:
        first = next((i for i, c in enumerate(word.text) if _read(c)), 0)
        last = next((i for i, c in reversed(list(enumerate(word.text))) if _read(c) or c in _JOINTS), 0)
        joined += " " * word.spaced + word.text[first : last + 1]
    return joined.strip(" " + _JOINTS)


def _read(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "Sc" or character in "%+=⁄"


def _within_number(text: str, i: int) -> bool:
    return text[i] in ".,:" and text[i - 1 : i].isdigit() and text[i + 1 : i + 2].isdigit()
