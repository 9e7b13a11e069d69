"""Clips of any length in pieces of less than 40 s, which is what Canary was trained on; longer ones make it loop.

Pieces are cut where it is quiet and overlap a little, so that no word is heard only in halves. What two pieces heard of
their overlap is put together at the words on which they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.base import Samples

LONGEST_SECONDS = 30.0
"""Of one piece, its overlaps included."""

SEARCH_SECONDS = 8.0
"""How far before the longest piece's end a quiet place is looked for."""

OVERLAP_SECONDS = 2.0
QUIET_SECONDS = 0.2
WORDS_PER_SECOND = 5
"""People speak 2 to 4; more words than this per second of overlap are not compared."""


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `end` of a clip."""

    start: int
    end: int


def pieces(samples: Samples, rate: int, longest: float = LONGEST_SECONDS) -> tuple[Piece, ...]:
    """Cut a clip into pieces of at most `longest` seconds that overlap by OVERLAP_SECONDS."""
    total, size, overlap = len(samples), int(longest * rate), int(OVERLAP_SECONDS * rate)
    found, start = [], 0
    while total - start > size:
        # The cut lies half an overlap before the piece's end, where both pieces have heard the words whole.
        latest = start + size - overlap // 2
        earliest = max(start + overlap, latest - int(SEARCH_SECONDS * rate))
        cut = quietest(samples, earliest, latest, int(QUIET_SECONDS * rate))
        found.append(Piece(start, cut + overlap // 2))
        start = cut - overlap // 2
    return (*found, Piece(start, total))


def quietest(samples: Samples, earliest: int, latest: int, width: int) -> int:
    """The middle of the `width` samples between `earliest` and `latest` with the least power; of equals the last."""
    import numpy as np

    power = np.concatenate(([0.0], np.cumsum(np.square(samples[earliest:latest], dtype=np.float64))))
    if len(power) <= width:
        return latest
    sums = power[width:] - power[:-width]
    return earliest + width // 2 + len(sums) - 1 - int(sums[::-1].argmin())


def merge(texts: Sequence[str], overlapping: bool = True) -> str:
    """Join what pieces heard, what they heard twice once."""
    words: list[str] = []
    most = int(OVERLAP_SECONDS * WORDS_PER_SECOND) if overlapping else 0
    for text in texts:
        words = join(words, text.split(), most)
    return " ".join(words)


def join(left: Sequence[str], right: Sequence[str], most: int) -> list[str]:
    """Join two rows of words at the longest run that the last `most` of `left` and the first of `right` have in common.

    Words at the very ends may be halves that the other row has whole, so a run need not reach the ends; what lies
    outside of it there is dropped, but never more words than agree, and none for a single word. Without such a run both
    are kept as they are.
    """
    tail, head = [_plain(word) for word in left[-most:] if most], [_plain(word) for word in right[:most]]
    best = (0, 0, 0, 0)
    for i in range(len(tail)):
        for j in range(len(head)):
            length = 0
            while i + length < len(tail) and j + length < len(head) and tail[i + length] == head[j + length]:
                length += 1
            dropped = len(tail) - i - length + j
            if dropped <= (length if length > 1 else 0):
                best = max(best, (length, -dropped, i, j))
    length, _, i, j = best
    if not length:
        return [*left, *right]
    kept = len(left) - len(tail) + i + length
    return [*left[:kept], *right[j + length :]]


def _plain(word: str) -> str:
    """A word as it is compared: without case and marks, which depend on where a piece ends."""
    return "".join(c for c in word.casefold() if c.isalnum()) or word
