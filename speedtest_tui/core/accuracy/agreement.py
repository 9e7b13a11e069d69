"""How transcripts differ from a reference, or without one from what most of them have, and how far they agree.

After ROVER (Fiscus 1997, "A post-processing system to yield reduced word error rates"): the texts are aligned word by
word into a sequence of slots, each slot is put to the vote, and deviations from the vote are marked. ROVER merges one
text after another; here all are aligned to the one closest to the others (the pivot), and what they have between two
words of the pivot is aligned among itself in the same way. What is only written differently ("1, 2" and "one two") is
the pivot's for that purpose (`wer.compare`). Texts of the same weights have one vote together: they err together.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from speedtest_tui.core.accuracy.words import Piece, Word, bare, joined, key, split_words

NOTHING = -1
"""In a vote: no word. Words are numbered from 0."""


@dataclass(frozen=True)
class _Text:
    """A text as it is aligned: numbers[i] stands for words[places[i]]; punctuation that stands alone has no number.

    wider: how many words from a place on are one number, where they are not one each
    """

    words: list[Word]
    places: list[int]
    numbers: list[int]
    wider: dict[int, int] = field(default_factory=dict)


_Slot = Mapping[str, int]
"""Text -> which of its numbers is in this slot; a text that has none is absent."""

_FORM = re.compile(
    r"^(?:faster-|openai-)?whisper-(?=.)|[-_.](?:mlx|ggml|hf|ct2|pt|fp16|fp32|bf16|float16|float32|int8|q\d\w*|\d-?bit)$"
)


def weights_name(source: str) -> str:
    """What a model is called whatever its layout and precision: "tiny.en" for mlx-community/whisper-tiny.en-mlx-4bit.

    source: a repository of the hub, a folder, a file, or "name/layout" of what is built in
    """
    *before, name = [part for part in source.lower().split("/") if part] or [""]
    if before and name in ("mlx", "hf", "openai", "nemo"):
        name = before[-1]
    name = name.replace("distil-whisper-", "distil-")
    while (shorter := _FORM.sub("", name)) != name:
        name = shorter
    return name


def differences(reference: str, text: str, language: str | None = None) -> tuple[Piece, ...]:
    """A text with its differences from the reference: ‹heard|right›, ‹-missing›, ‹+extra›.

    Raises ValueError where the reference has no word.
    """
    from speedtest_tui.core.accuracy.wer import Difference, compare

    def found() -> Iterator[Piece]:
        at = 0
        gathered: list[Difference] = []
        for one in compare(reference, text, language).differences:
            if gathered and one.change == "missing" == gathered[-1].change and one.text == gathered[-1].text:
                gathered[-1] = replace(one, reference=(gathered[-1].reference[0], one.reference[1]))
            else:
                gathered.append(one)
        for one in gathered:
            (start, stop), right = one.text, " ".join(reference[slice(*one.reference)].split())
            yield text[at:start], "same"
            at = stop
            if one.change == "missing":
                spaced = reference[one.reference[1] : one.reference[1] + 1].isspace() or not text[start:].strip()
                yield " " if start and not text[start - 1].isspace() and spaced else "", "same"
                yield "‹-", "mark"
                yield right, "missing"
                yield "› " if spaced and text[start:].strip() else "›", "mark"
            else:
                yield "‹+" if one.change == "extra" else "‹", "mark"
                yield text[start:stop], "extra" if one.change == "extra" else "wrong"
                if one.change != "extra":
                    yield "|", "mark"
                    yield right, "right"
                yield "›", "mark"
        yield text[at:], "same"

    return tuple(joined(found()))


@dataclass(frozen=True)
class Agreement:
    """What came of a vote.

    words: each text's, marked where they differ from the majority
    shares: of the words that a text or the majority has, how many both have; None where nobody else votes. It is no
        accuracy: all may be wrong together.
    """

    words: dict[str, tuple[Word, ...]]
    shares: dict[str, float | None]


def mark(
    texts: Mapping[str, str],
    voters: Collection[str] | None = None,
    weights: Mapping[str, str] | None = None,
    language: str | None = None,
) -> Agreement:
    """Split each text into words and mark those that differ from the majority.

    A majority is more than half of the votes; having no word in a slot is a vote as well. Where there is none, all
    texts are marked there: of two texts both sides of each difference. Nothing is marked in a single text.
    Six texts of 10,000 words take a second: for long clips not a matter for the thread that draws.

    texts: backend -> text
    voters: whose words count, all where left out; the others are marked but have no say. Without any voter nothing
        is marked.
    weights: backend -> name of its weights; those of one name have one vote together
    language: of all texts, as for `wer.compare`
    """
    says = None if voters is None else frozenset(voters)
    return _marked_texts(tuple(texts.items()), says, tuple((weights or {}).items()), language)


@functools.lru_cache(2)
def _marked_texts(
    named: tuple[tuple[str, str], ...],
    voters: frozenset[str] | None,
    weights: tuple[tuple[str, str], ...],
    language: str | None,
) -> Agreement:
    """As `mark`. Kept: the verdict asks for shares, and then whoever shows the texts for the words."""
    texts, of_weights = dict(named), dict(weights)
    split = _numbered(texts)
    says = [name for name in texts if voters is None or name in voters]
    groups: dict[str, list[str]] = {}
    for name in says:
        groups.setdefault(of_weights.get(name, f"/{name}"), []).append(name)
    of = {name: group for group, names in groups.items() for name in names}
    spans = {name: range(len(text.numbers)) for name, text in split.items()}
    if len(says) > 1:
        pivot = _pivot({name: split[name].numbers for name in says}, says)
        split |= {name: _written_as(split[pivot], split[name], language) for name in split if name != pivot}
        spans = {name: range(len(text.numbers)) for name, text in split.items()}
    differing: dict[str, set[int]] = {name: set() for name in texts}
    missing: dict[str, dict[int, list[Word]]] = {name: {} for name in texts}
    following = dict.fromkeys(texts, 0)
    both, either = Counter[str](), Counter[str]()
    for slot in _slots(split, spans, says) if says else ():
        votes = Counter(_voice(slot, split, names) for names in groups.values())
        majority, lender = _vote(votes, slot, split, says)
        for name in texts:
            text = split[name]
            both[name] += name in slot and text.numbers[slot[name]] == majority
            either[name] += name in slot or majority not in (None, NOTHING)
            if name in slot:
                following[name] = slot[name] + 1
                if text.numbers[slot[name]] != majority:
                    place = text.places[slot[name]]
                    differing[name] |= set(range(place, place + text.wider.get(place, 1)))
            elif lender:
                place = text.places[following[name]] if following[name] < len(text.places) else len(text.words)
                lent = split[lender].words[split[lender].places[slot[lender]]]
                missing[name].setdefault(place, []).append(lent)
    nobody = not any(split[name].numbers for name in says)
    shares = {
        name: (both[name] / either[name] if either[name] else float(nobody)) if len(groups) > (name in of) else None
        for name in texts
    }
    return Agreement({name: _marked(split[name].words, differing[name], missing[name]) for name in texts}, shares)


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


_LONGEST_BLOCK = 40
"""Words that may be another writing of the same; real differences of this length are none."""


def _written_as(model: _Text, text: _Text, language: str | None) -> _Text:
    """A text with the model's numbers where it says the same in another writing."""
    from rapidfuzz.distance import Levenshtein

    numbers: list[int] = []
    places: list[int] = []
    wider: dict[int, int] = {}
    codes = Levenshtein.opcodes(model.numbers, text.numbers)
    for alike, run in itertools.groupby(codes, key=lambda code: str(code.tag) == "equal"):
        steps = list(run)
        i, j = slice(steps[0].src_start, steps[-1].src_end), slice(steps[0].dest_start, steps[-1].dest_end)
        mine, words = model.numbers[i], text.places[j]
        if alike or not mine or not words or not _same(model, i, text, j, language):
            numbers += text.numbers[j]
            places += words
            continue
        last = words[min(len(mine), len(words)) - 1]
        wider[last] = words[-1] - last + 1
        numbers += mine
        places += [words[min(k, len(words) - 1)] for k in range(len(mine))]
    return _Text(text.words, places, numbers, wider)


def _same(one: _Text, i: slice, other: _Text, j: slice, language: str | None) -> bool:
    """Whether two stretches may be read alike."""
    from speedtest_tui.core.accuracy.wer import compare

    if max(i.stop - i.start, j.stop - j.start) > _LONGEST_BLOCK:
        return False
    said, heard = (
        "".join(" " * word.spaced + word.text for word in of.words[of.places[at.start] : of.places[at.stop - 1] + 1])
        for of, at in ((one, i), (other, j))
    )
    try:
        return compare(said, heard, language).errors == 0
    except ValueError:  # no word
        return False


def _voice(slot: _Slot, texts: Mapping[str, _Text], names: Sequence[str]) -> int:
    """What those who have one vote together have."""
    found = Counter(texts[name].numbers[slot[name]] if name in slot else NOTHING for name in names)
    return found.most_common(1)[0][0]


def _vote(
    votes: Counter[int], slot: _Slot, texts: Mapping[str, _Text], voters: Sequence[str]
) -> tuple[int | None, str]:
    """What the majority has (None where there is none), and the text that shows others what they miss, or ""."""
    majority, count = votes.most_common(1)[0]
    if majority == NOTHING and 2 * count > votes.total():
        return NOTHING, ""
    # In a dispute, whoever has nothing is shown the word with the most votes.
    shown = max((number for number in votes if number != NOTHING), key=votes.__getitem__, default=NOTHING)
    lender = next((name for name in voters if name in slot and texts[name].numbers[slot[name]] == shown), "")
    return (majority if 2 * count > votes.total() else None), lender


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
