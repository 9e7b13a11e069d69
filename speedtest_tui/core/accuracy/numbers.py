"""Numbers in words, in the language of a clip: the Unicode CLDR's spell-out rules (RBNF), as unicode-rbnf has them.

A reading is a tuple of words as `accuracy.words.key` leaves them: without case, hyphens and accents that are only
typographic.
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from speedtest_tui.core.accuracy.words import keys

Reading = tuple[str, ...]

_REGIONS = {"fr": ("fr", "fr_BE", "fr_CH"), "pt": ("pt", "pt_PT"), "zh": ("zh", "zh_Hant"), "nb": ("no",)}
"""Where one language has several ways: "septante" is 70 in Belgium."""

SCALES = ("hundred", "thousand", "million", "billion", "trillion")

LONGEST = 15
"""A number of more digits is read digit by digit."""

_COMBINATIONS = 400
"""Readings of one expression at most: a date with its year has about 200."""


def cardinals(value: int, language: str) -> list[Reading]:
    """ "twenty one", in all genders and cases; digit by digit where the language has no rules or the number no name."""
    return _spelled(value, language, "CARDINAL") or [digits(str(value), language)]


def ordinals(value: int, language: str) -> list[Reading]:
    """ "twenty first", in all genders and cases; none where the language has no rules."""
    return _spelled(value, language, "ORDINAL")


def years(value: int, language: str) -> list[Reading]:
    """ "nineteen eighty four"; none where the language has no rules."""
    return _spelled(value, language, "YEAR")


def figures_of(words: Sequence[str]) -> str:
    """The digits of what an English speaker says as one number of at least two words; "" where it is none, or several.

    "nineteen eighty four" is "1984", "double oh seven" is "007".
    """
    said = [word for word in words if word != "and"]
    if said[0] in ("double", "triple"):
        values = [_worth().get(word, 10) for word in said[1:]]
        if not values or max(values) > 9:
            return ""
        return str(values[0]) * (2 if said[0] == "double" else 3) + "".join(map(str, values[1:]))
    value = None if not _worth().get(said[0], 1) else _value(said)
    return "" if value is None else str(value)


def in_number(word: str) -> bool:
    return word in _worth() or word in SCALES or word in ("and", "a", "double", "triple")


def _value(said: Sequence[str]) -> int | None:
    """What a number in words is worth; None where it is not one number of at least two words."""
    total = group = 0
    last = 0  # what may still be added to the group: less than this
    largest = 10**18
    for place, written_word in enumerate(said):
        counted = written_word == "a" and place + 1 < len(said) and said[place + 1] in SCALES
        word = "one" if counted else written_word
        if word == "hundred":
            if not 0 < group < 100:
                return None
            group, last = group * 100, 100
        elif word in SCALES:
            worth = 1000 ** SCALES.index(word)
            if not group or worth >= largest:
                return None
            total, group, last, largest = total + group * worth, 0, 0, worth
        else:
            worth = _worth().get(word, -1)
            if worth < 0:
                return None
            if not group and not (total and not largest):
                group, last = worth, 10 if 20 <= worth < 100 else 0
            elif 0 < worth < last:
                group, last = group + worth, 10 if 20 <= worth < 100 and last == 100 else 0
            elif total == 0 and 10 <= group < 100 and (worth >= 10 or place == len(said) - 1) and "hundred" not in said:
                # A year in pairs: "nineteen eighty four", "twenty oh five" without its zero.
                tail = _value(said[place:]) if place + 1 < len(said) else worth
                return group * 100 + tail if tail is not None and 10 <= tail < 100 else None
            else:
                return None
    return total + group if len(said) > 1 else None


@functools.cache
def _worth() -> dict[str, int]:
    """The words of numbers below a hundred that are one word each."""
    plain = {cardinals(value, "en")[0][0]: value for value in (*range(20), *range(20, 100, 10))}
    return {**plain, **dict.fromkeys(("oh", "o", "nought"), 0)}


def digits(text: str, language: str) -> Reading:
    """Each digit by its name."""
    return tuple(
        word for digit in text for word in (_spelled(int(digit), language, "CARDINAL") or [(str(int(digit)),)])[0]
    )


def decimal(whole: str, decimals: str, point: str) -> list[Reading]:
    """English decimals: "three point one four"."""
    return [(*one, *point.split(), *digits(decimals, "en")) for one in cardinals(int(whole), "en")]


@functools.cache
def table(part: str, name: str) -> dict[str, str]:
    """What is written -> its readings with | between them, from readings.toml; empty where there is no such table."""
    found: dict[str, str] = _tables().get(part, {}).get(name, {})
    return found


@functools.cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("readings.toml").read_text(encoding="utf-8"))


def combined(parts: Iterable[Sequence[Reading]]) -> list[Reading]:
    """One of each part after the other, in all combinations, but no more than a clip may cost."""
    choices = itertools.product(*parts)
    return [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.islice(choices, _COMBINATIONS)]


@functools.lru_cache(4096)
def _spelled(value: int, language: str, purpose: str) -> list[Reading]:
    if value >= 10**LONGEST:
        return []
    from unicode_rbnf import FormatPurpose

    found: dict[Reading, None] = {}
    for engine in _engines(language):
        try:
            texts = engine.format_number(value, FormatPurpose[purpose]).text_by_ruleset
        except ValueError:
            continue  # no rules of this kind
        for name, text in texts.items():
            if "financial" not in name and "days" not in name:
                found[tuple(keys(text.replace("\u00ad", "")))] = None
    return list(found)


@functools.cache
def _engines(language: str) -> list[Any]:
    from unicode_rbnf import RbnfEngine

    made = []
    for name in _REGIONS.get(language, (language,)):
        try:
            made.append(RbnfEngine.for_language(name))
        except ValueError:
            continue  # a language without rules: its numbers stay digits
    return made
