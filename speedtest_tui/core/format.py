"""How figures, sizes and states are written, the same on every screen, in the command line and in every export.

Figures always have a unit, and no more digits than matter. Bytes are in units of 10^3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

DASH = "–"

_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\uffa0\U000e0000-\U000e0fff"
"""Letters, marks and symbols by category that show nothing, and all tags and variation selectors of plane 14."""

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_PICTURES = "\u203c-\u3299\ufe0f\U0001f000-\U0001faff"
"""Signs and emoji; those of a newer Unicode than this Python's stand in the same blocks."""

_SCRIPTS = "\u0590-\u109f\u1700-\u1cff\ua800-\uabff\U00010a00-\U00011fff"
"""From Hebrew to Tibetan, and their supplements: what words are written with that need joiners. Patterns are compiled
when first needed, not at the start."""

_HIDES = f"[{_BLANK}]"
_LOOKED_AT = (
    f"(?P<joiner>(?<=[{_SCRIPTS}])[\u200c\u200d]|(?<=[{_PICTURES}])\u200d(?=[{_PICTURES}]))"
    f"|(?P<blank>[{_BLANK}])|(?P<wide>[{_SPACES}\U0001f000-\U0001faff])|[^\t\n -~]"
)


def spelled(character: str) -> str:
    """A character as it is spelled in programs: a byte that is no UTF-8 as "\\xff", others as "\\x1b", "\\u202e"."""
    return f"\\x{ord(character) - 0xDC00:02x}" if "\udc80" <= character <= "\udcff" else repr(character)[1:-1]


def neutral(text: str, mark: str | Callable[[str], str] = "\N{REPLACEMENT CHARACTER}") -> str:
    """Text of any origin as it can be shown: what is unsafe becomes a mark. Every exit to people calls it.

    Unsafe is what steers a terminal, turns the direction of what follows, shows nothing, or has no meaning or no
    encoding: by Unicode's categories all of Cc, Cf, Cs, Co, Cn, Zl and Zp, and the letters and marks that are blank.
    Tabs and ends of lines stay, and the joiners U+200C and U+200D where words of some scripts and emoji need them.
    """
    if (text.isprintable() or text.replace("\n", "").isprintable()) and (text.isascii() or not re.search(_HIDES, text)):
        return text

    def shown(found: re.Match[str]) -> str:
        character = found[0]
        if found.lastgroup in ("joiner", "wide") or (character.isprintable() and not found.lastgroup):
            return character
        return mark if isinstance(mark, str) else mark(character)

    return re.sub(_LOOKED_AT, shown, text)


def one_line(text: str, mark: str | Callable[[str], str] = spelled) -> str:
    """The same on one line, for names: ends of lines and tabs are unsafe, too."""
    text = neutral(text, mark)
    for end in "\t\n":
        text = text.replace(end, mark if isinstance(mark, str) else mark(end))
    return text


Mood = Literal["good", "now", "needs-you", "bad", "quiet"]
"""What a state asks of its reader. Each front end has one colour for each, and none of them says anything alone."""


class Look(NamedTuple):
    """How a state is shown: a glyph of one cell, a word that stands beside it, and its mood."""

    glyph: str
    word: str
    mood: Mood


LOOKS: dict[str, Look] = {
    # a model in a cache
    "complete": Look("✓", "complete", "good"),
    "evicted": Look("○", "in iCloud", "needs-you"),
    "partial": Look("▒", "partial", "needs-you"),
    "damaged": Look("✗", "damaged", "bad"),
    "broken-link": Look("≠", "broken link", "bad"),
    "wrong-layout": Look("≠", "wrong layout", "needs-you"),
    "missing": Look("–", "missing", "quiet"),
    "not-applicable": Look("", "n/a", "quiet"),
    # a row of a race or of a job
    "ok": Look("✓", "ok", "good"),
    "done": Look("✓", "done", "good"),
    "active": Look("►", "running", "now"),
    "running": Look("►", "running", "now"),
    "waiting": Look("·", "waiting", "quiet"),
    "skipped": Look("–", "skipped", "quiet"),
    "cancelled": Look("–", "cancelled", "needs-you"),
    "failed": Look("✗", "failed", "bad"),
    "timeout": Look("✗", "timed out", "bad"),
    "invalid": Look("✗", "invalid", "bad"),
    "unavailable": Look("○", "not installed", "needs-you"),
    "missing-model": Look("○", "not downloaded", "needs-you"),
    "recommended": Look("★", "recommended", "good"),
    # a candidate in a newer session
    "faster": Look("▲", "faster", "good"),
    "slower": Look("▼", "slower", "needs-you"),
    "same": Look("=", "same", "quiet"),
    "new": Look("+", "new", "quiet"),
    "gone": Look("−", "gone", "quiet"),
    # what a step of a repair is about, where no model of the catalogue is concerned
    "clear-lock": Look("○", "stale lock", "quiet"),
    "clear-partial": Look("▒", "left over", "quiet"),
    "merge": Look("≡", "duplicate", "quiet"),
    "copy": Look("≡", "copy", "quiet"),
    "move": Look("≡", "move", "quiet"),
    "trash": Look("○", "unknown", "quiet"),
    "write-ref": Look("≠", "no ref", "needs-you"),
    "relink": Look("≠", "broken link", "bad"),
    "unclear": Look("?", "unclear", "needs-you"),
}
"""Every state that is shown anywhere, once. Glyphs without an emoji form, which the fonts of terminals have themselves
(most are of WGL4): what comes from another font spills over its cell in Terminal.app."""

PAIRS = {
    "█▉▊▋▌▐▀▄▇▆": "#",
    "▅▃": "=",
    "▍▎▏▂": "-",
    "▁": "_",
    "╭╮╰╯┌┐└┘├┤┬┴┼": "+",
    "─━═▔▁": "-",
    "│┃║▕": "|",
    "►▸": ">",
    "✓✔": "+",
    "✗✘×": "x",
    "○◯·•": "o",
    "▒": "~",
    "±": "~",
    "–—−": "-",
    "…": ".",
    "∞": "8",
    "↵": "<",
    "‹": "<",
    "›": ">",
    "“”": '"',
    "‘’": "'",
    "≥": ">",
    "≤": "<",
    "▲": "^",
    "▼": "v",
    "≠": "!",
    "★": "*",
    "●": "@",
    "≈": "~",
    "≡": "=",
    "▖": "-",
    "╌": ".",
    "▴": "^",
    "▾": "v",
    "↑": "^",
    "↓": "v",
    "←": "<",
    "→": ">",
}
"""All that is drawn beyond ASCII, each one cell wide, and what takes its place where a terminal has ASCII only."""


def outcome(status: str, why: str) -> str:
    """ "failed: its process crashed". What is not installed or not downloaded says so in its own words."""
    word = LOOKS[status].word if status in LOOKS else status
    return why or word if status in ("unavailable", "missing-model") else f"{word}: {why}" if why else word


def seconds(value: float | None) -> str:
    """ "0.145 s", "12.3 s", "3 min 05 s"; milliseconds are the last digit worth showing."""
    if value is None:
        return DASH
    if value >= 600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    if value >= 100:
        return f"{value:.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{value:.3f} s"


def ticking(value: float) -> str:
    """A duration that is still growing: one decimal, so that it neither jumps in width nor flickers."""
    return f"{max(0.0, value):.1f} s"


def half_width(low: float, high: float) -> str:
    """Half of an interval, "±0.003", with as many digits as make it non-zero down to a millisecond."""
    half = (high - low) / 2
    return f"±{half:.3f}" if half < 1 else f"±{half:.2f}" if half < 10 else f"±{half:.1f}"


def rtfx(value: float | None) -> str:
    """ "23.6×": audio seconds per processing second."""
    if value is None:
        return DASH
    return f"{value:.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 10 else f"{value:.2f}×"


def factor(ratio: float) -> str:
    """ "2.8×", with a digit more near 1."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 1.15 else 2
    return f"{ratio:.{digits}f}×"


def slower(ratio: float) -> str:
    """ "2.8× slower"."""
    return f"{factor(ratio)} slower"


def megabytes(value: float | None) -> str:
    """ "139 MB", "1.4 GB", from units of 10^6 bytes."""
    if value is None:
        return DASH
    return f"{value / 1000:.1f} GB" if value >= 1000 else f"{value:.0f} MB"


def precision(dtype: str | None, bits: float | None, options: Mapping[str, str]) -> str:
    """What weights compute in: "4.5 bits" where quantised, "float16", "float32 (TF32)" where a device only says so.

    options: as observed when it loaded, of which "fp32 matmul" counts
    """
    if bits and bits < 12:
        return f"{bits:.1f} bits"
    reduced = dtype == "float32" and options.get("fp32 matmul") not in (None, "full")
    return f"{dtype} ({options['fp32 matmul']})" if reduced else dtype or ""


def measured(own: Mapping[str, float]) -> str:
    """ "first word 1.02 s, lag max 0.061 s": what a backend measured itself; names that end in "_s" are seconds."""
    return ", ".join(
        f"{name.removesuffix('_s').replace('_', ' ')} {seconds(value) if name.endswith('_s') else f'{value:g}'}"
        for name, value in own.items()
    )


def percent(share: float | None) -> str:
    """ "11 %" from a share of 1; what is less than half a percent and not nothing keeps a digit."""
    if share is None:
        return DASH
    return f"{max(share * 100, 0.1):.1f} %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def error_mood(share: float | None) -> Mood:
    """How an error rate looks: none is good, more than one word in ten asks for attention, three in ten is bad."""
    if share is None or 0 < share <= 0.1:
        return "quiet"
    return "good" if share == 0 else "bad" if share > 0.3 else "needs-you"


def few(names: Sequence[str], between: str = " ≈ ", last: str = "") -> str:
    """ "a ≈ b", "a, b and c", "a, b, c and 5 more": three of many."""
    if not names:
        return ""
    *before, end = names if len(names) < 5 else (*names[:3], f"{len(names) - 3} more")
    return (last or between).join(filter(None, (between.join(before), end)))


def count(number: int, noun: str) -> str:
    """ "1 run", "5 runs"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


def amount(count: int) -> str:
    """ "1 byte", "3.1 kB", "483 MB", "1.62 GB": three digits at most."""
    if count == 1:
        return "1 byte"
    unit, factor = _unit(count)
    return f"{_digits(count, factor)} {unit}"


def of(have: int, whole: int | None) -> str:
    """ "37 of 483 MB"; "37 MB so far" where the whole is unknown. Never "483 of 483 MB" while some are missing."""
    if whole is None:
        return f"{amount(have)} so far"
    unit, factor = _unit(max(have, whole))
    if have != whole and _digits(have, factor) == _digits(whole, factor):
        return f"{have:,} of {whole:,} bytes"
    return f"{_digits(have, factor)} of {_digits(whole, factor)} {unit}"


def _unit(count: int) -> tuple[str, int]:
    return next((entry for entry in UNITS if count >= entry[1]), ("bytes", 1))


def _digits(count: int, factor: int) -> str:
    value = count / factor
    if factor == 1 or value >= 100 or count == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def parameters(number: int) -> str:
    """ "9,370", "1.1 M", "618 M", "1.05 G": parameters as people speak of them."""
    if number < 100_000:
        return f"{number:,}"
    value, unit = (number / 1e9, "G") if number >= 1e9 else (number / 1e6, "M")
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


class Moving(Protocol):
    """Anything that brings bytes: a download, a step of a repair, a row of a job. Its speed is None once it has ended.

    bytes, total: done and to do, total None until known; speed: bytes per second; eta_s: seconds left
    """

    @property
    def bytes(self) -> int: ...
    @property
    def total(self) -> int | None: ...
    @property
    def speed(self) -> float | None: ...
    @property
    def eta_s(self) -> float | None: ...


def progress(row: Moving) -> str:
    """ "37 of 483 MB, 12 MB/s, 37 s left": as much of it as is known."""
    return ", ".join(filter(None, (moved(row), pace(row))))


def share(row: Moving) -> float | None:
    """From 0 to 1; None while the whole is unknown."""
    return min(1.0, row.bytes / row.total) if row.total else None


def moved(row: Moving) -> str:
    """ "37 of 483 MB"."""
    return of(row.bytes, row.total) if row.total or row.bytes else ""


def pace(row: Moving) -> str:
    """ "12 MB/s, 37 s left"; empty where nothing arrives."""
    if row.speed is None:
        return ""
    if row.speed < 1:
        return "no data at the moment"
    left = f", {_left(row.eta_s)} left" if row.eta_s is not None and row.eta_s >= 1 else ""
    return f"{amount(round(row.speed))}/s{left}"


def about(duration: float) -> str:
    """An estimate of what is left, in the same width from second to second: " 9 s", "14 s", " 3 min"."""
    return f"{round(duration):2d} s" if duration < 99.5 else f"{min(999, math.ceil(duration / 60)):2d} min"


def _left(duration: float) -> str:
    """Whole seconds: an estimate has no decimals."""
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
