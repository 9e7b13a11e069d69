"""The times of words, from the `<|n|>` tokens that models of the canary2 prompt write before and behind each word."""

from __future__ import annotations

from collections.abc import Sequence

from backends.base import Segment
from backends.canary.tokenizers import Vocabulary


def words(tokens: Sequence[int], vocabulary: Vocabulary, step: float, offset: float) -> list[Segment]:
    """Words with their start and end in seconds; `step`: seconds of an encoder step, `offset`: where the piece begins.

    A word that lacks one of its times gets that of its neighbour, so that none is lost.
    """
    found: list[Segment] = []
    start, pending = 0, list[int]()
    last = 0
    for token, time in vocabulary.times(tokens):
        if time is None:
            pending.append(token)
            continue
        if text := vocabulary.text(pending):
            found.append(Segment(offset + start * step, offset + max(time, start) * step, text))
        pending, start, last = [], time, time
    if text := vocabulary.text(pending):
        found.append(Segment(offset + start * step, offset + last * step, text))
    return found


def join(left: Sequence[Segment], right: Sequence[Segment], boundary: float) -> list[Segment]:
    """Put the words of two overlapping pieces together: each word where its middle lies, `boundary` in seconds."""
    return [
        *(word for word in left if word.start + word.end < 2 * boundary),
        *(word for word in right if word.start + word.end >= 2 * boundary),
    ]
