"""Which words of several transcripts differ from what most of them have: accuracy without a reference text.

After ROVER (Fiscus 1997, "A post-processing system to yield reduced word error rates"): the texts are aligned word by
word into a sequence of slots, each slot is put to the vote, and deviations from the vote are marked. ROVER merges one
text after another; here all are aligned to the one closest to the others (the pivot), and what they have between two
words of the pivot is aligned among itself in the same way.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from speedtest_tui.core.accuracy.words import Word, bare, key, split_words

NOTHING = -1
"""In a vote: no word. Words are numbered from 0."""


@dataclass(frozen=True)
class _Text:
    """A text as it is aligned: numbers[i] stands for words[places[i]]; punctuation that stands alone has no number."""

    words: list[Word]
    places: list[int]
    numbers: list[int]


_Slot = Mapping[str, int]
"""Text -> which of its numbers is in this slot; a text that has none is absent."""


def mark(texts: Mapping[str, str], voters: Collection[str] | None = None) -> dict[str, tuple[Word, ...]]:
    """Split each text into words and mark those that differ from the majority.

    A majority is more than half of the voters; having no word in a slot is a vote as well. Where there is none, all
    texts are marked there: of two texts both sides of each difference. Nothing is marked in a single text.
    Six texts of 10,000 words take about 0.3 s: for long clips not a matter for the thread that draws.

    texts: backend -> text
    voters: whose words count, all where left out; the others are marked but have no say. Without any voter nothing
        is marked.
    """
    split = _numbered(texts)
    says = [name for name in texts if voters is None or name in voters]
    differing: dict[str, set[int]] = {name: set() for name in texts}
    missing: dict[str, dict[int, list[Word]]] = {name: {} for name in texts}
    following = dict.fromkeys(texts, 0)
    spans = {name: range(len(text.numbers)) for name, text in split.items()}
    for slot in _slots(split, spans, says) if says else ():
        majority, lender = _vote(slot, split, says)
        for name in texts:
            text = split[name]
            if name in slot:
                following[name] = slot[name] + 1
                if text.numbers[slot[name]] != majority:
                    differing[name].add(text.places[slot[name]])
            elif lender:
                place = text.places[following[name]] if following[name] < len(text.places) else len(text.words)
                lent = split[lender].words[split[lender].places[slot[lender]]]
                missing[name].setdefault(place, []).append(lent)
    return {name: _marked(split[name].words, differing[name], missing[name]) for name in texts}


def _numbered(texts: Mapping[str, str]) -> dict[str, _Text]:
    known: dict[str, int] = {}
    # Whisper's normaliser would not do: it rewrites phrases ("twenty five" to "25"), so that what it returns cannot be
    # matched with the words on screen.
    form = functools.cache(key)
    split = {}
    for name, text in texts.items():
        words = split_words(text)
        keys = [form(word.text) for word in words]
        places = [place for place, word in enumerate(keys) if word]
        split[name] = _Text(words, places, [known.setdefault(keys[place], len(known)) for place in places])
    return split


def _vote(slot: _Slot, texts: Mapping[str, _Text], voters: Sequence[str]) -> tuple[int | None, str]:
    """What the majority has (None where there is none), and the text that shows others what they miss, or ""."""
    votes = Counter(texts[name].numbers[slot[name]] if name in slot else NOTHING for name in voters)
    majority, count = max(votes.items(), key=lambda vote: vote[1])
    if majority == NOTHING and 2 * count > len(voters):
        return NOTHING, ""
    # In a dispute, whoever has nothing is shown the word with the most votes.
    shown = max((number for number in votes if number != NOTHING), key=votes.__getitem__)
    lender = next(name for name in voters if name in slot and texts[name].numbers[slot[name]] == shown)
    return (majority if 2 * count > len(voters) else None), lender


def _slots(texts: Mapping[str, _Text], spans: Mapping[str, range], voters: Collection[str]) -> list[_Slot]:
    """Align stretches of the texts. Each level of recursion uses up one text, the pivot, so it is never deep."""
    parts = {name: texts[name].numbers[span.start : span.stop] for name, span in spans.items()}
    pivot = _pivot(parts, [name for name in parts if name in voters] or list(parts))
    slots: list[dict[str, int]] = [{pivot: i} for i in spans[pivot]]
    gaps: list[dict[str, range]] = [{} for _ in range(len(slots) + 1)]
    for name, part in parts.items():
        if name == pivot:
            continue
        start = spans[name].start
        pairs, inserted = _align(parts[pivot], part)
        for i, j in pairs:
            slots[i][name] = start + j
        for i, span in inserted:
            gaps[i][name] = range(start + span.start, start + span.stop)
    found: list[_Slot] = []
    for i, gap in enumerate(gaps):
        if gap:
            found += _slots(texts, gap, voters)
        found += slots[i : i + 1]
    return found


def _pivot(parts: Mapping[str, Sequence[int]], eligible: Sequence[str]) -> str:
    """The one with the smallest sum of edit distances to the others that are eligible; the first of equals."""
    from rapidfuzz.distance import Levenshtein

    total = dict.fromkeys(eligible, 0)
    for i, one in enumerate(eligible):
        for other in eligible[i + 1 :]:
            distance = Levenshtein.distance(parts[one], parts[other])
            total[one] += distance
            total[other] += distance
    return min(eligible, key=total.__getitem__)


def _align(pivot: Sequence[int], part: Sequence[int]) -> tuple[list[tuple[int, int]], list[tuple[int, range]]]:
    """Which word of a part shares a slot with which word of the pivot, and what of it comes before which word of the
    pivot without a slot there."""
    pairs: list[tuple[int, int]] = []
    inserted: list[tuple[int, range]] = []
    i = j = 0
    for match_i, match_j in (*_matches(pivot, part), (len(pivot), len(part))):
        # Between two matches words stand in for one another, as far as both have some.
        common = min(match_i - i, match_j - j)
        pairs += ((i + k, j + k) for k in range(common))
        if j + common < match_j:
            inserted.append((i + common, range(j + common, match_j)))
        if match_i < len(pivot):
            pairs.append((match_i, match_j))
        i, j = match_i + 1, match_j + 1
    return pairs, inserted


def _matches(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int]]:
    """Places of equal words, in order."""
    from rapidfuzz.distance import LCSseq, Levenshtein

    pairs: list[tuple[int, int]] = []
    i = j = 0
    # The smallest edit distance may replace "a b" by "b c" although b is in both, so what it leaves is searched for
    # common words again. Only that: the memory this takes grows with the square of the length.
    for a, b, size in Levenshtein.opcodes(one, other).as_matching_blocks():
        if i < a and j < b:
            for left, right, count in LCSseq.opcodes(one[i:a], other[j:b]).as_matching_blocks():
                pairs += ((i + left + k, j + right + k) for k in range(count))
        pairs += ((a + k, b + k) for k in range(size))
        i, j = a + size, b + size
    return pairs


def _marked(words: Sequence[Word], differing: Collection[int], missing: Mapping[int, list[Word]]) -> tuple[Word, ...]:
    marked = [*words, Word("")]
    for place in differing:
        marked[place] = replace(marked[place], differs=True)
    for place, lent in missing.items():
        marked[place] = replace(marked[place], missing=bare(lent))
    return tuple(marked if marked[-1].missing else marked[:-1])
