"""A text as the words that may have been spoken: "$5.50", "five dollars and fifty cents" and "five fifty" are the same.

A text becomes units, each with every reading it may have. Two texts are alike where a reading of one is a reading of
the other, so nothing has to be decided that only the sound could tell.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from speedtest_tui.core.accuracy import english
from speedtest_tui.core.accuracy.numbers import (
    LONGEST,
    Reading,
    cardinals,
    combined,
    digits,
    in_number,
    ordinals,
    table,
    years,
)
from speedtest_tui.core.accuracy.reference import visible
from speedtest_tui.core.accuracy.words import UNSPACED, key, keys

_PUNCTUATION = (
    r"\s!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u02b0-\u02ff\u055a-\u055f\u0589\u05be"
    r"\u05c0\u05c3\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e2f\u0e5a\u0e5b\u104a-\u104f\u1361-\u1368\u17d4-\u17da"
    r"\u2010-\u205e\u20a0-\u20cf\u2100-\u2bff\u3000-\u3004\u3008-\u3020\u3030\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_LETTERS = rf"[^{_PUNCTUATION}{UNSPACED.pattern[1:-1]}\d]+"
_WORD = re.compile(
    rf"{UNSPACED.pattern}[\u0300-\u036f\u0e31-\u0e4e\u0eb1-\u0ecd\u102b-\u103e\u3099\u309a]*"
    rf"|{_LETTERS}(?:['’]{_LETTERS}|['’](?=\s|$))*"
)
_REMARK = re.compile(r"\[[^\]]*\]|<[^>]*>|[♪♫]+|\*[^*\n]{1,40}\*")
"""[music], <laughter>, *sighs*: said about the sound, not in it."""

_ASIDE = re.compile(r"\(([^()\d]{1,60})\)")

COMMA_DECIMALS = frozenset(
    "bg ca cs da de el es et fi fr hr hu id it lt lv nb nl no pl pt ro ru sk sl sr sv tr uk vi".split()  # noqa: SIM905
)
"""Languages that write 1.000,5 (or 1 000,5) for what English writes 1,000.5."""

_COMMA_NUMBER = re.compile(
    r"(?P<clock>\d{1,2}:\d{2}(?!\d))"
    r"|(?P<money>[$£€]\s?\d+(?:,\d+)?|\d{1,3}(?:[.\u00a0\u202f ]\d{3})*(?:,\d+)?\s?[€$£%])"
    r"|(?P<ordinal>\d{1,15}(?:º|ª|°|(?:er|ère|re|e|è|ème|nd|nde|o|a)\b))"
    r"|(?P<number>(?:\d{1,3}(?:[.\u00a0\u202f ]\d{3})+|\d+)(?:,\d+)?)"
)
_POINT_NUMBER = re.compile(
    r"(?P<clock>\d{1,2}:\d{2}(?!\d))|(?P<money>[$£€¥]\s?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)?\s?[€$£¥%])"
    r"|(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
)


_POINTED = re.compile(r"[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]")
"""Hebrew points, Arabic vowel signs and the tatweel: left out by most writers, and never another word."""

_FOLDS = str.maketrans({"ё": "е", "أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "〇": "零"})


@dataclass(frozen=True)
class Unit:
    """A stretch of a text that is read as a whole.

    start, stop: which characters of the text
    readings: the words it may stand for, the likeliest first; one of them may be empty ("um")
    """

    start: int
    stop: int
    readings: tuple[Reading, ...]

    @property
    def plain(self) -> bool:
        """One word that can be read in one way only."""
        return len(self.readings) == 1 and len(self.readings[0]) == 1


@functools.lru_cache(4)
def units(text: str, language: str | None = None) -> tuple[Unit, ...]:
    """Every unit of a text, in order; punctuation is in none.

    language: ISO 639-1 code, possibly with a region; None, where unknown, means English
    """
    code = code_of(language)
    found = [Unit(start, stop, _kept(readings)) for start, stop, readings in _scan(text, code)]
    found = [unit for unit in found if any(unit.readings)]
    return tuple(_numbers_said(found) if code == "en" else found)


def _numbers_said(found: Sequence[Unit]) -> Iterator[Unit]:
    """Words that make up one number become one unit, with other ways to say it."""
    place = 0
    while place < len(found):
        stop = place
        while stop < len(found) and _in_number(found[stop]):
            stop += 1
        while stop > place + 1:
            words = tuple(unit.readings[0][0] for unit in found[place:stop])
            if words[-1] not in ("and", "a") and words[0] != "and" and (others := english.run(words)):
                readings = _kept((words, tuple(word for word in words if word != "and"), *others))
                yield Unit(found[place].start, found[stop - 1].stop, readings)
                break
            stop -= 1
        else:
            yield found[place]
            stop = place + 1
        place = stop


def _in_number(unit: Unit) -> bool:
    return len(unit.readings[0]) == 1 and all(in_number(one[0]) for one in unit.readings if len(one) == 1)


def code_of(language: str | None) -> str:
    """The language's code without its region; "en" where it is unknown."""
    code = (language or "").lower().replace("_", "-").split("-")[0]
    return {"": "en", "english": "en", "eng": "en", "iw": "he", "yue": "zh", "nn": "no", "nb": "no"}.get(code, code)


def _kept(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    return tuple(dict.fromkeys(tuple(word for word in one if word) for one in readings))


def _scan(text: str, code: str) -> Iterator[tuple[int, int, tuple[Reading, ...]]]:
    pattern = english.PATTERN if code == "en" else _COMMA_NUMBER if code in COMMA_DECIMALS else _POINT_NUMBER
    place = 0
    behind_number = False
    while place < len(text):
        if remark := _REMARK.match(text, place):
            place = remark.end()
            continue
        if aside := _ASIDE.match(text, place):
            inner = units(aside[1], code)
            said = tuple(word for unit in inner for word in unit.readings[0])
            if len(said) < 7:
                yield place, aside.end(), (said, ())
                place = aside.end()
                continue
        inside_word = place > 0 and text[place - 1].isalpha() and text[place].isalpha()
        special = None if inside_word else pattern.match(text, place)
        if special and special.lastgroup and (special.lastgroup != "address" or special[0].count(".")):
            yield place, special.end(), _number(text, special, code)
            place = special.end()
            behind_number = True
            continue
        if found := _WORD.match(text, place):
            yield place, found.end(), _word(found[0], code, behind_number)
            place = found.end()
            behind_number = False
            continue
        if readings := _sign(text, place, code):
            yield place, place + 1, readings
        behind_number = behind_number and text[place] in " \u00a0\u202f-"
        place += 1


def _number(text: str, found: re.Match[str], code: str) -> tuple[Reading, ...]:
    kind = str(found.lastgroup)
    shown = unicodedata.normalize("NFKC", found[0]) if kind != "fraction" else found[0]
    if code == "en":
        return english.written(kind, shown)
    readings: list[Reading] = []
    sign = next((one for one in "%€$£¥" if one in shown), "")
    if kind == "clock":
        hour, minute = shown.split(":")
        names = _names(":", code) or [()]
        minutes = [*cardinals(int(minute), code), *([()] if minute == "00" else [])]
        readings = combined([cardinals(int(hour), code), [*names, ()], minutes])
    elif kind == "ordinal":
        value = int("".join(c for c in shown if c.isdigit()))
        readings = ordinals(value, code) or cardinals(value, code)
    else:
        figure = re.sub(r"[^\d.,]", "", shown)
        figure = figure.replace(".", "").replace(",", ".") if code in COMMA_DECIMALS else figure.replace(",", "")
        whole, _, decimals = figure.rstrip(".").partition(".")
        bare = _integer(whole, code)
        if decimals:
            point = _names(",", code) or [("point",)]
            tails = _integer(decimals, code)
            bare = combined([bare, point, tails])
        elif text[found.end() : found.end() + 1] == "." and code in COMMA_DECIMALS:
            bare += ordinals(int(whole[-4:]), code)  # German's "3. Mai"
        readings = combined([bare, _names(sign, code) or [()]]) if sign else bare
        if sign and decimals:
            readings += combined([_integer(whole, code), _names(sign, code), _integer(decimals, code)])
            readings += combined([_integer(whole, code), _integer(decimals, code)])
    return tuple(tuple(fold(word, code) for word in one) for one in readings) or (tuple(keys(shown)),)


def _integer(text: str, code: str) -> list[Reading]:
    if len(text) > LONGEST or (text[0] == "0" and len(text) > 1):
        return [digits(text, code)]
    found = cardinals(int(text), code)
    if len(text) == 4:
        found = [*found, *years(int(text), code)]
    return [*found, digits(text, code)]


def _names(sign: str, code: str) -> list[Reading]:
    options = table("other", code).get(sign)
    return [tuple(keys(option)) for option in options.split("|")] if options else []


def _word(written: str, code: str, behind_number: bool) -> tuple[Reading, ...]:
    folded = fold(written, code)
    if code == "en":
        if english.filler(folded):
            return ((), (folded,))
        return english.word(written, folded, behind_number)
    return (*_names(folded, code), (folded,))


def fold(word: str, code: str) -> str:
    """The form of a word that is compared: `words.key`, without marks that are not written by everybody."""
    if code in ("tr", "az"):
        word = word.replace("İ", "i").replace("I", "ı")
    folded = _POINTED.sub("", key(visible(word))).translate(_FOLDS)
    if code == "en":
        plain = unicodedata.normalize("NFD", folded)
        folded = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return folded


def _sign(text: str, place: int, code: str) -> tuple[Reading, ...]:
    shown = unicodedata.normalize("NFKC", text[place])
    if code != "en":
        return tuple(_names(shown, code)) if shown not in ",:" else ()
    before = place > 0 and text[place - 1].isdigit()
    behind = text[place + 1 : place + 2].isdigit() or text[place + 1 : place + 3].startswith((".", "$", "£", "€"))
    return english.sign(shown, before, behind, place == 0 or text[place - 1].isspace())
