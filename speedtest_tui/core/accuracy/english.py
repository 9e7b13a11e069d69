"""How English is read aloud: the words that may stand for a written number, sum, time, date, unit or abbreviation.

Nothing is decided here: "1984" is read as a year, as a cardinal or digit by digit, and each reading is returned. What
two texts mean alike shows where one of them reads as the other.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from speedtest_tui.core.accuracy.numbers import (
    LONGEST,
    SCALES,
    Reading,
    cardinals,
    combined,
    decimal,
    digits,
    figures_of,
    ordinals,
    table,
)

MONTHS = tuple(
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)

_MONTH = "|".join(f"{name}|{name[:3]}\\.?" for name in MONTHS) + r"|sept\.?"

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"

_SCALE = r"(?:k|thousand|mm?|mn|million|bn?|billion|tn?|trillion)"

PATTERN = re.compile(
    rf"""
    (?P<address>[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+
      |(?:https?://|www\.)[^\s]*[a-z0-9]
      |[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|edu|gov|co|uk|de|ai|dev|info|app)\b)
    |(?P<iso>\d{{4}}-\d{{1,2}}-\d{{1,2}})(?!\d)
    |(?P<slashed>\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}}))(?!\d)
    |(?P<dated>(?:(?:{_MONTH})\s+\d{{1,2}}(?:st|nd|rd|th)?(?![\d:.]\d)|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTH})))(?![a-z\d])
    |(?P<clock>\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?![\d:])|\d{{1,2}}\.\d{{2}}(?=\s?[ap]\.?m\b))
    |(?P<halfday>[ap]\.\s?m\.?|(?<=\d)[ap]m\b|(?<=\d\s)[ap]m\b)
    |(?P<feet>\d{{1,3}}['’′]\s?\d{{1,3}}(?:["”″]|''))
    |(?P<decade>['’]?(?:\d{{2}}|\d{{4}})['’]?s)\b
    |(?P<ordinal>\d{{1,3}}(?:,\d{{3}}){{1,4}}(?:st|nd|rd|th)|\d{{1,15}}(?:st|nd|rd|th))\b
    |(?P<fraction>(?:\d{{1,6}}\s+)?\d{{1,6}}[/⁄]\d{{1,6}}|\d{{0,6}}[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])(?![\d/])
    |(?P<money>(?:us|a|c)?[$£€¥₹]\s?(?:{_NUMBER})(?:\s?{_SCALE}\b)?|(?:{_NUMBER})\s?[$£€¥₹¢])
    |(?P<version>\d+(?:\.\d+){{2,}})
    |(?P<unit>(?<=\d)\s?(?:°\s?[cf]\b|km/h\b|m/s\b|mi/h\b))
    |(?P<number>{_NUMBER})
    |(?P<initials>(?:[a-z]\.){{2,}}(?![a-z]{{2}})|(?:[a-z]\.)+[a-z]\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What is more than one word of letters, by kind. Words are found by the caller."""

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_FILLERS = frozenset("uh um uhm umm uhh er erm hmm hm mm mmm mhm ah eh".split())  # noqa: SIM905


_ROMAN = re.compile(r"(?=..)(X{0,3}|XL|LX{0,3}|XC)(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def _split(options: str) -> tuple[Reading, ...]:
    return tuple(tuple(option.split()) for option in options.split("|"))


def filler(word: str) -> bool:
    return word in _FILLERS


def sign(text: str, before: bool, behind: bool, spaced: bool) -> tuple[Reading, ...]:
    """How a sign is read; none for punctuation.

    before, behind: whether a number touches it
    spaced: whether white space, or nothing, comes before it
    """
    if text in "-−–" and behind and not before and spaced:
        return (("minus",), ("negative",), ())
    if before and behind and text in table("english", "between"):
        return _split(table("english", "between")[text])
    return _split(table("english", "signs")[text]) if text in table("english", "signs") else ()


def word(written: str, key: str, behind_number: bool) -> tuple[Reading, ...]:
    """How a word is read.

    written: as it stands in the text, with case and apostrophes
    key: the same folded, without them
    behind_number: whether it is a unit if it may be one
    """
    found: list[Reading] = []
    if behind_number and (unit := table("english", "units").get(written.lower().rstrip("."))):
        found += _split(unit)
    lowered = written.lower().replace("’", "'")
    if "'" in lowered:
        found += _contracted(lowered, key)
    elif key in table("english", "words"):
        found += _split(table("english", "words")[key])
    spelled = _spelling(key)
    found.append((spelled,))
    if behind_number and key.endswith("s") and len(key) > 3:
        found.append((_spelling(key[:-1]),))
    if _ROMAN.fullmatch(written):
        values = [_ROMAN_VALUES[letter] for letter in written]
        value = sum(-one if one < max(values[i:]) else one for i, one in enumerate(values))
        found += [*cardinals(value, "en"), *ordinals(value, "en"), *(("the", *one) for one in ordinals(value, "en"))]
    if 1 < len(written) <= 5 and written.isupper() and written.isalpha():
        found.append(tuple(key))
    return tuple(dict.fromkeys(found))


def _contracted(lowered: str, key: str) -> Iterator[Reading]:
    if key in table("english", "apostrophes"):
        yield from _split(table("english", "apostrophes")[key])
    for ending, options in table("english", "endings").items():
        if lowered.endswith(ending) and len(lowered) > len(ending):
            stem = _spelling(lowered[: -len(ending)].replace("'", ""))
            if ending == "'s":
                yield (key,)  # "John's" is a possessive more often than not
            yield from ((stem, option) for option in options.split("|"))
            if "'" in lowered[: -len(ending)]:  # "shouldn't've"
                inner = lowered[: -len(ending)]
                yield from ((*one, option) for one in _contracted(inner, stem) for option in options.split("|"))
    if lowered.endswith("in'"):
        yield (key + "g",)
    if lowered.endswith("s'"):
        yield (key,)


@functools.cache
def _spellings() -> dict[str, str]:
    from whisper_normalizer.english import EnglishTextNormalizer

    return dict(EnglishTextNormalizer().standardize_spellings.mapping)


def _spelling(key: str) -> str:
    return _spellings().get(key, key)


def run(words: Sequence[str]) -> list[Reading]:
    """Other ways to say a number that is said in these words; none where they are no number, or several.

    "two thousand nineteen" is also said "twenty nineteen", "double oh seven" is "zero zero seven".
    """
    figures = figures_of(words)
    if not figures:
        return []
    if words[0] in ("double", "triple"):
        return [digits(figures, "en")]
    return [tuple("one" if word == "a" else word for word in words), *integer(figures)]


def written(kind: str, text: str) -> tuple[Reading, ...]:
    """All readings of what PATTERN found, the likeliest first."""
    found = dict.fromkeys(_written(kind, text.lower().replace("’", "'")))
    return tuple(one for one in found if one) or (tuple(re.findall(r"\w+", text.lower())),)


def _written(kind: str, text: str) -> Iterable[Reading]:
    match kind:
        case "address":
            return _address(text)
        case "iso":
            year, month, day = text.split("-")
            return [*_date(int(day), int(month), year), *_apart(text)]
        case "slashed":
            first, second, year = text.split("/")
            return [*_date(int(second), int(first), year), *_date(int(first), int(second), year), *_apart(text)]
        case "dated":
            return _dated(text)
        case "clock":
            return _clock(text)
        case "halfday":
            return ((f"{text[0]}m",), (text[0], "m"))
        case "feet":
            feet, inches = re.findall(r"\d+", text)
            return [
                one
                for foot in (("foot",), ("feet",), ())
                for inch in (("inches",), ("inch",), ())
                for one in combined([cardinals(int(feet), "en"), [foot], cardinals(int(inches), "en"), [inch]])
            ]
        case "decade":
            return _decade(re.sub(r"\D", "", text))
        case "ordinal":
            return ordinals(int(re.sub(r"\D", "", text)), "en")
        case "fraction":
            return _fraction(text)
        case "money":
            return _money(text)
        case "version":
            return [
                one
                for sign in (("point",), ("dot",))
                for one in combined([part for piece in text.split(".") for part in ([sign], integer(piece))][1:])
            ]
        case "unit":
            return _split(table("english", "units").get(text.replace(" ", ""), "miles per hour"))
        case "initials":
            letters = tuple(re.findall(r"[a-z]", text))
            joined = "".join(letters)
            return (
                *(_split(table("english", "words")[joined]) if joined in table("english", "words") else ()),
                (joined,),
                letters,
            )
        case _:
            return number(text)


def number(text: str) -> list[Reading]:
    """Readings of digits, with commas between thousands and a point before decimals."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if not decimals or max(len(whole), len(decimals)) > LONGEST:
        return integer(whole + decimals, grouped="," in text)
    parts = decimal(whole or "0", decimals, "point")
    if not whole.strip("0"):
        parts += [one[1:] for one in parts] + [("oh", *one[1:]) for one in parts]
    parts += combined([integer(whole or "0"), [("point",), ("dot",)], [*integer(decimals), *_oh(decimals)]])[:12]
    if part := table("english", "decimals").get(decimals):
        counts: list[Reading] = [(*one, "and") for one in cardinals(int(whole), "en")] if whole.strip("0") else [()]
        parts += combined([counts, _split(part)])
    return parts


def _oh(text: str) -> list[Reading]:
    return [("oh",)] if text == "0" else []


def integer(text: str, *, grouped: bool = False) -> list[Reading]:
    """Readings of digits without signs: cardinal, hundreds, year, in pairs, digit by digit, millions with a point."""
    if len(text) > LONGEST:
        return [digits(text, "en")]
    value = int(text)
    found = [] if text[0] == "0" and len(text) > 1 else _with_and(cardinals(value, "en"))
    if not grouped or not found:
        found.append(digits(text, "en"))
    if text == "12":
        found += [("dozen",), ("a", "dozen")]
    if len(text) == 4 and text[0] != "0":
        head, tail = int(text[:2]), int(text[2:])
        if tail:
            second = [*cardinals(tail, "en"), *([("zero", *cardinals(tail, "en")[0])] if tail < 10 else [])]
            found += combined([cardinals(head, "en"), second[::-1]])
        else:
            found += combined([cardinals(head, "en"), [("hundred",)]])
        if tail and head % 10:
            found += _with_and([(*cardinals(head, "en")[0], "hundred", *cardinals(tail, "en")[0])])
    if len(text) in (3, 5) and text[0] != "0" and int(text[1:3]) > 9 and len(text) == 3:
        found += combined([cardinals(int(text[0]), "en"), cardinals(int(text[1:]), "en")])
    if len(text) >= 6 and len(text) % 2 == 0:
        pairs = [text[i : i + 2] for i in range(0, len(text), 2)]
        found.append(tuple(w for p in pairs for w in (cardinals(int(p), "en")[0] if p[0] != "0" else digits(p, "en"))))
    for power, name in ((12, "trillion"), (9, "billion"), (6, "million")):
        if value >= 10**power and value % 10 ** (power - 2) == 0:
            whole, rest = divmod(value // 10 ** (power - 2), 100)
            if rest:
                found += [(*one, name) for one in number(f"{whole}.{str(rest).zfill(2).rstrip('0')}")]
    return found


def _with_and(found: Iterable[Reading]) -> list[Reading]:
    """Also "one hundred and five", "two thousand and five"; and "a hundred"."""
    every = list(found)
    for one in list(every):
        places = [i for i, w in enumerate(one[:-1]) if w in SCALES and one[i + 1] not in SCALES]
        rest = [i for i in places if not set(one[i + 1 :]) & set(SCALES)]
        if rest:
            every.append((*one[: rest[0] + 1], "and", *one[rest[0] + 1 :]))
            if one[rest[0]] == "hundred" or len(places) == 1:
                continue
        if len(places) > 1:
            with_all: list[str] = []
            for i, w in enumerate(one):
                with_all += [w, "and"] if w == "hundred" and i in places else [w]
            every.append(tuple(with_all))
    return every


def _address(text: str) -> list[Reading]:
    def spoken(address: str, dash: str) -> Reading:
        names = {".": "dot", "@": "at", "/": "slash", ":": "colon", "-": dash, "_": "underscore", "+": "plus"}
        read = [names.get(part, part) for part in re.findall(r"[^\W_]+|[.@/:_+-]", address)]
        return tuple(part for part in read if part)

    bare = re.sub(r"^https?://", "", text)
    forms = {text, bare, bare.removeprefix("www.")}
    return [spoken(form, dash) for form in sorted(forms, key=len) for dash in ("", "dash", "hyphen")]


def _apart(text: str) -> list[Reading]:
    return [
        one
        for sep in ((), ("slash",), ("dash",))
        for one in combined([part for piece in re.split(r"[/-]", text) for part in ([sep], integer(piece))][1:])[:24]
    ]


def _date(day: int, month: int, year: str) -> list[Reading]:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return []
    years = integer(year)
    if len(year) == 2:
        years += [one for century in ("19", "20") for one in integer(century + year)]
    return combined([_month_and_day(MONTHS[month - 1], day), years])


def _month_and_day(month: str, day: int) -> list[Reading]:
    first, second = ordinals(day, "en")[0], cardinals(day, "en")[0]
    return [
        (month, *first), (month, *second), ("the", *first, "of", month), (*first, "of", month), (*first, month),
        (*second, month), (month, "the", *first), ("the", *first, month),
    ]  # fmt: skip


def _dated(text: str) -> list[Reading]:
    day = int("".join(re.findall(r"\d", text)))
    start = re.search(r"[a-z]{3}[a-z]*", re.sub(r"\d+(?:st|nd|rd|th)?|\bof\b", " ", text))
    month = next(name for name in MONTHS if start and name.startswith(start[0][:3]))
    if 1 <= day <= 31:
        return _month_and_day(month, day)
    return [(month, *one) for one in integer(str(day))]


def _clock(text: str) -> list[Reading]:
    hour, minute, *seconds = (int(part) for part in re.split(r"[:.]", text))
    written_minute = re.split(r"[:.]", text)[1]
    hours = dict.fromkeys([hour, *([hour - 12] if hour > 12 else []), *([12] if hour == 0 else [])])
    found: list[Reading] = []
    for one in hours:
        spoken = cardinals(one, "en")[0]
        after = cardinals((one % 12) + 1, "en")[0]
        if minute == 0 and not seconds:
            found += [spoken, (*spoken, "oclock"), (*spoken, "hundred"), (*spoken, "hundred", "hours")]
            found.append((*spoken, "zero", "zero"))
        elif minute < 60:
            tail = cardinals(minute, "en")[0] if written_minute[0] != "0" else ("zero", *cardinals(minute, "en")[0])
            found.append((*spoken, *tail))
            words = {15: ("quarter",), 30: ("half",)}.get(minute, cardinals(minute, "en")[0])
            found += [(*words, to, *spoken) for to in ("past", "after")] + [("a", *words, "past", *spoken)]
            if minute > 30:
                left = {15: ("quarter",)}.get(60 - minute, cardinals(60 - minute, "en")[0])
                found += [(*left, to, *after) for to in ("to", "of", "till")] + [("a", *left, "to", *after)]
    if seconds:
        found = [(*one, *tail) for one in found[:2] for tail in integer(str(seconds[0]))]
    if hour > 11:
        found += [(*one, "pm") for one in found[:6]]
    found.append(tuple(w for part in re.split(r"[:.]", text) for w in integer(part)[0]))
    return [*found, (*cardinals(hour, "en")[0], "to", *cardinals(minute, "en")[0])]


def _decade(text: str) -> list[Reading]:
    head, tail = text[:-2], text[-2:]
    if tail == "00":
        last = ("hundreds",) if head and int(head) % 10 else ("thousands",)
        count = int(head) if int(head) % 10 else int(head) // 10
        return [(*cardinals(count, "en")[0], *last)]
    plural = cardinals(int(tail), "en")[0]
    plural = (*plural[:-1], plural[-1].removesuffix("y") + "ies" if plural[-1].endswith("y") else plural[-1] + "s")
    return [(*(cardinals(int(head), "en")[0] if head else ()), *plural), plural]


def _fraction(text: str) -> list[Reading]:
    text = re.sub(r"[^\d\s/⁄]", lambda sign: f" {unicodedata.normalize('NFKC', sign[0])}", text)
    whole, _, part = text.strip().rpartition(" ")
    above, below = (int(one) for one in re.split(r"[/⁄]", part))
    one = above == 1
    special: dict[int, list[Reading]] = {2: [("half",) if one else ("halves",)], 4: [("quarter",), ("fourth",)]}
    names = special.get(below, ordinals(below, "en") if below else [])
    if not one and below != 2:
        names = [(*name[:-1], name[-1] + "s") for name in names]
    counts = cardinals(above, "en")
    found = combined([[*counts, *([("a",)] if one else [])], names])
    if one and below == 2:
        found += [("half",), ("half", "a"), ("half", "an")]
    if whole:
        return combined([cardinals(int(whole), "en"), [("and",), ()], found])
    for between in (("over",), ("out", "of"), ("slash",), (), ("of",), ("by",)):
        found += combined([counts, [between], cardinals(below, "en")])
    if 1 <= above <= 12 and 1 <= below <= 31:
        found += _month_and_day(MONTHS[above - 1], below)
    if 1 <= below <= 12 and 1 <= above <= 31:
        found += _month_and_day(MONTHS[below - 1], above)
    return found


def _money(text: str) -> list[Reading]:
    cents_only = "¢" in text
    currency = next((sign for sign in _CURRENCIES if sign in text), "$")
    single, plural, cent, cents = _CURRENCIES[currency]
    figure = re.search(_NUMBER, text)
    assert figure
    amount = figure[0].replace(",", "")
    if cents_only:
        return combined([integer(amount), [("cents",), ("cent",)]])
    scale = text[figure.end() :].strip().strip("$£€¥₹").strip()
    whole, _, rest = amount.partition(".")
    whole = whole or "0"
    before = ("us",) if text.startswith("us") else ()
    names: list[Reading] = [(single,), (plural,)] if whole == "1" and not rest else [(plural,), (single,)]
    names += [(*before, *name) for name in names if before]
    if scale:
        return combined([number(figure[0]), [(table("english", "scales").get(scale, scale),)], [*names, ()]])
    if len(rest) != 2 or not rest.strip("0"):
        base = figure[0] if rest.strip("0") else figure[0].split(".")[0] or "0"
        return [*combined([[*number(base), *([("a",)] if whole == "1" else [])], names]), *number(base)]
    small = int(rest)
    small_names: list[Reading] = [(cent,) if small == 1 else (cents,), ()]
    found = (
        combined([integer(whole), names, [("and",), ()], cardinals(small, "en"), small_names])
        if whole.strip("0")
        else []
    )
    if not whole.strip("0"):
        found = combined([cardinals(small, "en"), [(cents,), (cent,)]])
    tail = cardinals(small, "en") if small > 9 else [("zero", *cardinals(small, "en")[0])]
    return [*found, *combined([integer(whole), tail]), *combined([number(amount), [*names, ()]])]
