"""Searching for the text: greedily, or with a beam as NeMo 3.0 does it.

Ids of padding rows, which the head has so that their number is a multiple of 8, are never chosen. A search ends with
the end-of-text token, or at the limit that NeMo sets: the number of encoder steps and a few more, never more than the
decoder has positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.canary.architecture import Architecture, Search

Row = NDArray[np.float32]
NEVER = np.float32(-np.inf)


class NotFiniteError(Exception):
    """The model's output holds NaN or infinity, so no choice among it means anything."""


@dataclass(frozen=True)
class Written:
    """Ids behind the prompt without the end-of-text token, and the sum of their log-probabilities, the end included.

    `complete`: whether the model ended the text by itself.
    """

    tokens: tuple[int, ...]
    score: float
    complete: bool


@dataclass(frozen=True)
class Ids:
    """Special ids, and how many ids are real; those from `size` on are padding."""

    end: int
    pad: int
    size: int


def limit(architecture: Architecture, search: Search, prompt: int, steps: int) -> int:
    """Tokens that may be written behind a prompt of `prompt` tokens about `steps` encoder steps; at least one."""
    longest = architecture.decoder.max_sequence_length
    if search.delta >= 0:
        longest = min(longest, steps + search.delta)
    return max(1, longest - prompt + (0 if search.greedy else 1))


def log_probabilities(logits: Any, size: int) -> Row:
    """Log-softmax of the last position, (batch, size): padding takes part in the sum, as in NeMo, and is cut off.

    Raises NotFiniteError.
    """
    import mlx.core as mx

    last = logits[:, -1]
    found = np.array((last - mx.logsumexp(last, axis=-1, keepdims=True))[:, :size], copy=False)
    if not np.isfinite(found).all():
        raise NotFiniteError("the decoder's output holds NaN or infinity: the model's arithmetic failed")
    return found


def greedy(model: Any, states: Any, prompt: Sequence[int], ids: Ids, longest: int) -> Written:
    """Take the likeliest token each time. Raises NotFiniteError."""
    import mlx.core as mx

    caches, given, score = model.caches(), list(prompt), 0.0
    tokens: list[int] = []
    while len(tokens) < longest:
        found = log_probabilities(model.step(mx.array([given]), states, caches), ids.size)[0]
        token = int(found.argmax())
        score += float(found[token])
        if token == ids.end:
            return Written(tuple(tokens), score, complete=True)
        tokens.append(token)
        given = [token]
    return Written(tuple(tokens), score, complete=False)


def beam(
    model: Any, states: Any, prompt: Sequence[int], ids: Ids, longest: int, *, width: int, length_penalty: float = 0.0
) -> Written:
    """Keep the `width` likeliest beginnings. Ended ones stay as they are and compete. Raises NotFiniteError.

    As NeMo's, but for clips without words: where the first token ends the text, NeMo goes on writing behind it.

    Scores are divided by ((5 + tokens) / 6) ** length_penalty (arXiv 1609.08144), the prompt counted with the tokens.
    """
    import mlx.core as mx

    caches = model.caches()
    found = log_probabilities(model.step(mx.array([list(prompt)]), states, caches), ids.size)[0]
    chosen = _best(found, width)
    scores = found[chosen]
    rows = [[int(token)] for token in chosen]
    for cache in caches:
        cache.reorder(mx.zeros(len(rows), dtype=mx.int32))
    penalty = _penalty(length_penalty, len(prompt))
    divisors = np.full(len(rows), penalty([0]))
    while len(rows[0]) < longest and not all(_ended(row, ids) for row in rows):
        found = log_probabilities(model.step(mx.array([row[-1:] for row in rows]), states, caches), ids.size)
        tokens = np.stack([_best(each, width) for each in found])
        candidates = scores[:, None] + np.take_along_axis(found, tokens, 1)
        for number, row in enumerate(rows):
            if _ended(row, ids):
                tokens[number], candidates[number] = ids.pad, NEVER
                candidates[number, 0] = scores[number]
        kept = _best((candidates / divisors[:, None]).ravel(), len(rows))
        scores = candidates.ravel()[kept]
        origins = kept // tokens.shape[1]
        rows = [[*rows[origin], int(token)] for origin, token in zip(origins, tokens.ravel()[kept], strict=True)]
        divisors = np.array([penalty([t for t in row if t not in (ids.end, ids.pad)]) for row in rows])
        for cache in caches:
            cache.reorder(mx.array(origins.astype(np.int32)))
    best = int((scores / divisors).argmax())
    tokens_of_best = list(rows[best])
    complete = _ended(tokens_of_best, ids)
    while tokens_of_best and tokens_of_best[-1] in (ids.end, ids.pad):
        tokens_of_best.pop()
    return Written(tuple(tokens_of_best), float(scores[best]), complete)


def _penalty(alpha: float, prompt: int) -> Callable[[Sequence[int]], float]:
    """NeMo counts one token more than there are."""
    return lambda tokens: float(((5 + 1 + prompt + len(tokens)) / 6) ** alpha)


def _ended(row: Sequence[int], ids: Ids) -> bool:
    return row[-1] in (ids.end, ids.pad)


def _best(scores: Row, count: int) -> NDArray[np.intp]:
    """Indices of the `count` highest, highest first; of equals the first one."""
    return np.argsort(-scores, kind="stable")[:count]
