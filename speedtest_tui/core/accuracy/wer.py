"""Error rates: ours, which counts as a person would, and the published one, by Whisper's own normaliser.

Both are (substitutions + deletions + insertions) / length of the reference, so 0 is perfect and inventing text gives
more than 1.

`compare` aligns what the two texts may be read as (`accuracy.spoken`): "1, 2, 3" against "one two three" is no error,
and neither is "$5.50" against "five fifty". Among all readings the pair with the fewest errors counts, found by the
usual edit distance (Wagner and Fischer 1974) between two lattices of words instead of two rows of words.

`published_word_error_rate` normalises as the Whisper paper does (Radford et al. 2022, appendix C), for figures that are
compared with published ones. It joins spelled-out digits but not written ones, so real Whisper's "1, 2, 3 … 10." is
1000 % against "one two three … ten.".
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from speedtest_tui.core.accuracy.spoken import Unit, code_of, units

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my"})
"""Languages written without spaces between words, whose characters the paper's appendix C counts as words (Cantonese,
added to Whisper later, likewise)."""

_REGION_CELLS = 250_000
"""Pairs of words that one stretch between two sure matches may cost; longer ones are aligned without other readings."""

_LONGEST_JOIN = 6
"""Words that may be one in the other text: "neunzehn hundert vier und achtzig"."""

_RARITY, _MATCH = 1e-5, 1e-8
"""Of equally good ways the one with likelier readings, then with more matches."""

Change = Literal["same", "substituted", "missing", "extra"]


@dataclass(frozen=True)
class Difference:
    """One stretch of an alignment, as both texts write it.

    change: what became of the reference here
    reference, text: first and last character (exclusive) in each; where it has nothing, twice where that would stand
    errors: words that count
    """

    change: Change
    reference: tuple[int, int]
    text: tuple[int, int]
    errors: int


@dataclass(frozen=True)
class Comparison:
    """A text against its reference: errors of `length` words (characters in languages without spaces)."""

    differences: tuple[Difference, ...]
    substituted: int
    missing: int
    extra: int
    length: int

    @property
    def errors(self) -> int:
        return self.substituted + self.missing + self.extra

    @property
    def rate(self) -> float:
        return self.errors / self.length if self.length else float(self.errors > 0)


def word_error_rate(reference: str, text: str, language: str | None = None) -> float:
    """Word error rate of `text` against `reference` as a person would count; exactly 1.0 for empty text.

    Characters count instead of words where the language is written without spaces.
    Raises ValueError where the reference has no word.
    """
    return compare(reference, text, language).rate


def character_error_rate(reference: str, text: str, language: str | None = None) -> float:
    """Published character error rate, spaces included (except where characters are the words). Raises ValueError."""
    import jiwer

    said, heard = _pair(reference, text, language)
    return float(jiwer.cer(said, heard)) if heard else 1.0


def published_word_error_rate(reference: str, text: str, language: str | None = None) -> float:
    """Word error rate after Whisper's normaliser; exactly 1.0 for empty text. Raises ValueError."""
    import jiwer

    said, heard = _pair(reference, text, language)
    return float(jiwer.wer(said, heard)) if heard else 1.0


@functools.lru_cache(32)
def compare(reference: str, text: str, language: str | None = None) -> Comparison:
    """Align a text with its reference, word by word. Kept: a noisy text of an hour takes seconds, and is asked for
    by its row, by the verdict and by whoever shows its differences.

    language: ISO 639-1 code, possibly with a region ("en-GB"); None, where unknown, means English
    Raises ValueError where the reference has no word.
    """
    said, heard = units(reference, language), units(text, language)
    if not any(all(unit.readings) for unit in said):
        raise ValueError("an error rate needs a reference with at least one word")
    found: list[Difference] = []
    counts = dict.fromkeys(("same", "substituted", "missing", "extra"), 0)
    for one, other in _regions(said, heard):
        for step in _aligned(said[one], heard[other]):
            for change, count in step.counts.items():
                counts[change] += count
            if step.change != "same":
                found.append(
                    Difference(
                        step.change,
                        _extent(said, one.start + step.said.start, one.start + step.said.stop, len(reference)),
                        _extent(heard, other.start + step.heard.start, other.start + step.heard.stop, len(text)),
                        step.errors,
                    )
                )
    length = counts["same"] + counts["substituted"] + counts["missing"]
    return Comparison(tuple(found), counts["substituted"], counts["missing"], counts["extra"], length)


def _extent(of: Sequence[Unit], start: int, stop: int, end: int) -> tuple[int, int]:
    if start < stop:
        return of[start].start, of[stop - 1].stop
    place = of[start].start if start < len(of) else end
    return place, place


def unspaced(language: str | None) -> bool:
    """Whether characters count instead of words: rates are then character error rates."""
    return code_of(language) in UNSPACED_LANGUAGES


def _regions(said: Sequence[Unit], heard: Sequence[Unit]) -> Iterator[tuple[slice, slice]]:
    """Cut both at words that surely belong together: the inner ones of at least three plain equal ones in a row."""
    from rapidfuzz.distance import Levenshtein

    blocks = Levenshtein.opcodes([_anchor(u) for u in said], [_anchor(u) for u in heard]).as_matching_blocks()
    i = j = 0
    for a, b, size in blocks:
        start = 0
        while start < size:
            run = start
            while run < size and said[a + run].plain and heard[b + run].plain:
                run += 1
            if run - start >= 3:
                # The middle is sure; its ends may belong to what comes before or after.
                first, last = start + 1, run - 1
                yield slice(i, a + first), slice(j, b + first)
                yield slice(a + first, a + last), slice(b + first, b + last)
                i, j = a + last, b + last
            start = max(run, start + 1)
    yield slice(i, len(said)), slice(j, len(heard))


def _anchor(unit: Unit) -> str:
    return " ".join(unit.readings[0])


@dataclass(frozen=True)
class _Edge:
    """A word of a lattice.

    before: the node from which it starts; word: "" where a reading is empty
    first, last: the units it stands for
    price: how unlikely the reading is; it decides between equally good ones only
    """

    before: int
    word: str
    first: int
    last: int
    price: float = 0.0


@dataclass(frozen=True)
class _Lattice:
    """Words by the node they end in; node 0 is the start, `final` the end."""

    into: list[list[_Edge]]
    final: int


def _lattice(stretch: Sequence[Unit], others: frozenset[str], *, first_only: bool) -> _Lattice:
    into: list[list[_Edge]] = [[]]
    behind = [0]
    for place, unit in enumerate(stretch):
        start = behind[-1]
        ends: list[_Edge] = []
        for rarity, reading in enumerate(unit.readings[: 1 if first_only else None]):
            node, price = start, rarity * _RARITY
            for word in reading[:-1]:
                into.append([_Edge(node, word, place, place, price)])
                node, price = len(into) - 1, 0.0
            ends.append(_Edge(node, reading[-1] if reading else "", place, place, price))
        into.append(ends)
        behind.append(len(into) - 1)
        joined = next((one for one in unit.readings[::-1] if len(one) == 1), ())
        for count in range(1, _LONGEST_JOIN):
            if first_only or not joined or place - count < 0:
                break
            single = next((one for one in stretch[place - count].readings[::-1] if len(one) == 1), None)
            if single is None:
                break
            joined = (single[0] + joined[0],)
            if joined[0] in others:
                into[-1].append(_Edge(behind[place - count], joined[0], place - count, place))
    return _Lattice(into, len(into) - 1)


@dataclass(frozen=True)
class _Step:
    change: Change
    said: slice
    heard: slice
    counts: dict[str, int]

    @property
    def errors(self) -> int:
        return sum(count for change, count in self.counts.items() if change != "same")


def _aligned(said: Sequence[Unit], heard: Sequence[Unit]) -> Iterator[_Step]:
    """Align two stretches: the fewest errors over all their readings."""
    if all(map(_same_plain, said, heard)) and len(said) == len(heard):
        if said:
            yield _Step("same", slice(0, len(said)), slice(0, len(heard)), {"same": len(said)})
        return
    size = _words(said) * _words(heard)
    for piece, other in _pieces(said, heard) if size > _REGION_CELLS else [(slice(0, len(said)), slice(0, len(heard)))]:
        yield from _steps(said, heard, piece, other)


def _same_plain(one: Unit, other: Unit) -> bool:
    return one.plain and other.plain and one.readings == other.readings


def _words(stretch: Sequence[Unit]) -> int:
    return sum(len(reading) or 1 for unit in stretch for reading in unit.readings)


def _pieces(said: Sequence[Unit], heard: Sequence[Unit]) -> Iterator[tuple[slice, slice]]:
    """A long stretch without sure matches, cut where its likeliest readings match or the pieces become too large."""
    from rapidfuzz.distance import Levenshtein

    i = j = 0
    for code in Levenshtein.opcodes([_anchor(u) for u in said], [_anchor(u) for u in heard]):
        while (code.src_end - i) + (code.dest_end - j) > 120:
            one, other = min(i + 60, code.src_end), min(j + 60, code.dest_end)
            yield slice(i, one), slice(j, other)
            i, j = one, other
        if code.tag == "equal" and code.src_end - code.src_start > 1:
            yield slice(i, code.src_end), slice(j, code.dest_end)
            i, j = code.src_end, code.dest_end
    yield slice(i, len(said)), slice(j, len(heard))


def _steps(said: Sequence[Unit], heard: Sequence[Unit], piece: slice, other: slice) -> Iterator[_Step]:
    one, two = said[piece], heard[other]
    first_only = _words(one) * _words(two) > 4 * _REGION_CELLS
    if first_only and sum(len(u.readings[0]) for u in one) * sum(len(u.readings[0]) for u in two) > 4 * _REGION_CELLS:
        # One number of thousands of digits: counted, but not shown digit by digit.
        from rapidfuzz.distance import Levenshtein

        words, others = ([w for u in stretch for w in u.readings[0]] for stretch in (one, two))
        kinds = {"replace": "substituted", "delete": "missing", "insert": "extra"}
        counts = Counter(kinds[step.tag] for step in Levenshtein.editops(words, others))
        counts["same"] = len(words) - counts["substituted"] - counts["missing"]
        change: Change = "substituted" if counts.total() > counts["same"] else "same"
        yield _Step(change, piece, other, dict(counts))
        return
    left = _lattice(one, _vocabulary(two), first_only=first_only)
    right = _lattice(two, _vocabulary(one), first_only=first_only)
    yield from _grouped(_cheapest(left, right), piece.start, other.start)


def _vocabulary(stretch: Sequence[Unit]) -> frozenset[str]:
    return frozenset(word for unit in stretch for reading in unit.readings for word in reading)


_Move = tuple[str, "_Edge | None", "_Edge | None"]


def _cheapest(left: _Lattice, right: _Lattice) -> list[_Move]:
    """The moves of the cheapest way through both lattices, from their starts to their ends.

    Of equally cheap ways the one with more matches is taken, then the one that substitutes rather than adds and drops.
    """
    # cost[u][v]: errors up to node u of one and node v of the other.
    cost: list[list[float]] = []
    back: list[list[tuple[int, int, str, _Edge | None, _Edge | None] | None]] = []
    for u in range(left.final + 1):
        row: list[float] = []
        ways: list[tuple[int, int, str, _Edge | None, _Edge | None] | None] = []
        for v in range(right.final + 1):
            best = 0.0 if u == 0 and v == 0 else float("inf")
            way: tuple[int, int, str, _Edge | None, _Edge | None] | None = None
            for edge in left.into[u]:
                price = cost[edge.before][v] + edge.price + (1 if edge.word else 0)
                if price < best:
                    best, way = price, (edge.before, v, "missing", edge, None)
                before = cost[edge.before]
                if edge.word:
                    for step in right.into[v]:
                        if step.word:
                            same = edge.word == step.word
                            price = (
                                before[step.before] + edge.price + step.price + (-_MATCH if same else 1 - _MATCH / 4)
                            )
                            if price < best:
                                how = "same" if same else "substituted"
                                best, way = price, (edge.before, step.before, how, edge, step)
            for step in right.into[v]:
                price = row[step.before] + step.price + (1 if step.word else 0)
                if price < best:
                    best, way = price, (u, step.before, "extra", None, step)
            row.append(best)
            ways.append(way)
        cost.append(row)
        back.append(ways)
    moves: list[_Move] = []
    u, v = left.final, right.final
    while (found := back[u][v]) is not None:
        u, v, how, one, other = found
        moves.append((how, one, other))
    return moves[::-1]


def _grouped(moves: Sequence[_Move], i: int, j: int) -> Iterator[_Step]:
    """Moves gathered to stretches of whole units: what is wrong within "$5.50" is one difference."""
    start = 0
    ones: set[int] = set()
    twos: set[int] = set()
    at_one = at_two = 0
    for place, (_, edge, step) in enumerate(moves):
        ones |= set(range(edge.first, edge.last + 1)) if edge else set()
        twos |= set(range(step.first, step.last + 1)) if step else set()
        following = moves[place + 1 :]
        if any(e and e.first in ones for _, e, _ in following[:8]) or any(
            s and s.first in twos for _, _, s in following[:8]
        ):
            continue
        counts: dict[str, int] = {}
        for how, one, other in moves[start : place + 1]:
            if (one or other) and ((one and one.word) or (other and other.word)):
                counts[how] = counts.get(how, 0) + 1
        kinds = {how for how in counts if how != "same"}
        change: Change = "same" if not kinds else "substituted"
        if kinds in ({"missing"}, {"extra"}) and "same" not in counts:
            change = "missing" if "missing" in kinds else "extra"
        yield _Step(
            change,
            slice(i + min(ones, default=at_one), i + max(ones, default=at_one - 1) + 1),
            slice(j + min(twos, default=at_two), j + max(twos, default=at_two - 1) + 1),
            counts,
        )
        at_one, at_two = max(ones, default=at_one - 1) + 1, max(twos, default=at_two - 1) + 1
        start, ones, twos = place + 1, set(), set()


_ENGLISH = {"", "en", "eng", "english"}


def normalise(text: str, language: str | None = None) -> str:
    """Put text in the published form; words are separated by single spaces."""
    code = (language or "").lower().replace("_", "-").split("-")[0]
    kind = "english" if code in _ENGLISH else "characters" if unspaced(code) else "words"
    # Whisper's English normaliser leaves a period or currency sign that stands alone, which is no word.
    return " ".join(word for word in _normaliser(kind)(text).split() if any(c.isalnum() for c in word))


def _pair(reference: str, text: str, language: str | None) -> tuple[str, str]:
    said = normalise(reference, language)
    if not said:
        raise ValueError("an error rate needs a reference with at least one word")
    return said, normalise(text, language)


@functools.cache
def _normaliser(kind: str) -> Callable[[str], str]:
    # Kept, because the English one compiles some hundred patterns and reads its spellings from a file.
    if kind == "english":
        from whisper_normalizer.english import EnglishTextNormalizer

        english: Callable[[str], str] = EnglishTextNormalizer()
        return english
    from whisper_normalizer.basic import BasicTextNormalizer

    basic: Callable[[str], str] = BasicTextNormalizer(split_letters=kind == "characters")
    return basic
