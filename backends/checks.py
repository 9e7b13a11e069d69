"""Signs in a transcription that the model went astray. Each check returns "" or a sentence that says what it saw.

Cheap and without any import of weight, so that every backend can call them in its child process.

Non-finite numbers are looked for in the output of the first transcription in a process, which is never a timed one.
Looking at all weights as a part of loading would find the same, but on a processor it takes as long as loading itself
(measured on two cores: 0.7 s for the 240 million weights of Whisper small, which load in 0.9 s). So `blame` looks at
the weights only once the output is wrong.
"""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

from backends.base import BackendError, Loop

COMPRESSION_RATIO = 2.4
"""`compression_ratio_threshold` of openai/whisper transcribe.py: text that zlib packs tighter repeats itself."""

WINDOW_WORDS = 100
"""Words looked at together: about the 30 s for which Whisper's threshold was chosen, at 200 words a minute. Over an
hour's text ordinary English too is packed tighter than 2.4."""

MIN_CHARACTERS = 120
"""Shorter text is left to the check of phrases: zlib's ratio says little about it."""

DISTINCT_SHARE = 0.5
"""Below this share of distinct 4-word sequences a window repeats itself. The ratio alone would accuse every text over
a small vocabulary: digits read aloud are packed 3 times, but hardly ever repeat four digits in a row."""

PHRASE_WORDS = 4
PHRASE_REPEATS = 8
"""A phrase of 1 to PHRASE_WORDS words said this often in a row is a loop; people stop at three or four."""


def repetition_loop(text: str) -> str:
    """Whether the text says the same over and over, as decoders do that are caught in a loop."""
    words = [word.strip(".,;:!?\"'()[]…-") for word in text.lower().split()]
    words = [word for word in words if word]
    # Text without spaces (Chinese, Japanese, "hahaha...") is looked at by character, which a phrase check
    # cannot: words of such text are not known here.
    joined = "".join(words)
    by_character = bool(words) and len(joined) / len(words) > 25
    if not by_character and (phrase := _repeated_phrase(words)):
        return phrase
    units = list(joined) if by_character else words
    separator, size = ("", WINDOW_WORDS * 4) if by_character else (" ", WINDOW_WORDS)
    for start in range(0, max(1, len(units) - size // 2), size // 2):
        window = units[start : start + size]
        packed = separator.join(window).encode()
        if len(separator.join(window)) < MIN_CHARACTERS:
            continue
        ratio = len(packed) / len(zlib.compress(packed))
        if ratio > COMPRESSION_RATIO and _distinct_share(window) < DISTINCT_SHARE:
            return Loop(f"the text repeats itself (compression ratio {ratio:.1f}, above {COMPRESSION_RATIO})")
    return ""


def not_a_number(values: Iterable[float]) -> str:
    """Whether any of the segments' average log-probabilities is NaN: then the model's arithmetic failed."""
    numbers = list(values)
    bad = sum(math.isnan(number) for number in numbers)
    if not bad:
        return ""
    return f"{bad} of {len(numbers)} segments have NaN as their log-probability: the model's arithmetic failed"


def non_english(text: str) -> str:
    """Whether most letters of an English-only model's text are from a script other than Latin."""
    scripts = Counter(unicodedata.name(c, "unknown").split()[0].removesuffix("-1") for c in text if c.isalpha())
    letters = scripts.total()
    # Fullwidth Latin letters have names that begin with their width.
    latin = scripts["LATIN"] + scripts["FULLWIDTH"] + scripts["MODIFIER"]
    if letters - latin <= letters / 2:
        return ""
    script = next(name for name, _ in scripts.most_common() if name not in {"LATIN", "FULLWIDTH", "MODIFIER"})
    return f"{letters - latin} of {letters} letters are not Latin ({script.title()}), from an English-only model"


def _repeated_phrase(words: list[str]) -> str:
    for size in range(1, PHRASE_WORDS + 1):
        matching = 0
        # A phrase repeats as long as each word equals the one `size` before it.
        for index in range(size, len(words)):
            matching = matching + 1 if words[index] == words[index - size] else 0
            if matching == size * (PHRASE_REPEATS - 1):
                phrase = " ".join(words[index - size + 1 : index + 1])
                return Loop(f"the text says {phrase!r} {PHRASE_REPEATS} times in a row or more")
    return ""


def _distinct_share(units: list[str]) -> float:
    sequences = list(zip(units, units[1:], units[2:], units[3:], strict=False))
    return len(set(sequences)) / len(sequences) if sequences else 1.0


ARITHMETIC = "the model's output has NaN or infinite numbers although its weights have none: its arithmetic failed"

NAMED_MAX = 2
"""Tensors that a sentence names; of a damaged file there may be hundreds."""


def blame(damaged: Sequence[str]) -> str:
    """Why an output is not finite, given the names of the weights that are not: the sentence for an invalid output.

    Raises BackendError with kind "model" where it is the weights.
    """
    if not damaged:
        return ARITHMETIC
    more = f" and {len(damaged) - NAMED_MAX} more" if len(damaged) > NAMED_MAX else ""
    named = f"{', '.join(damaged[:NAMED_MAX])}{more}"
    raise BackendError(f"its weights have NaN or infinite numbers ({named})", "download the model again", "model")
