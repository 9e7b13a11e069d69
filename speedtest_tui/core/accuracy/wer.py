"""Word and character error rates after Whisper's own text normalisation.

Both are (substitutions + deletions + insertions) / length of the reference, so 0 is perfect and inventing text gives
more than 1. Normalisation as in the Whisper paper (Radford et al. 2022, appendix C): without it "Mr." for "mister"
would count as an error, and figures could not be compared with published ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

_ENGLISH = {"", "en", "eng", "english"}

_UNSPACED = {"zh", "yue", "ja", "th", "lo", "my"}
"""Languages written without spaces between words, whose characters the paper's appendix C counts as words (Cantonese,
added to Whisper later, likewise)."""


def normalise(text: str, language: str | None = None) -> str:
    """Put text in the form that is compared; words are separated by single spaces.

    Whisper's rules for numbers join spelled-out digits but not written ones: "one two three" becomes "123", "1 2 3"
    becomes "one 2 3". A reference full of single digits is better spelled as the backends spell it.

    language: ISO 639-1 code, possibly with a region ("en-GB"); None, where unknown, means English
    """
    code = (language or "").lower().replace("_", "-").split("-")[0]
    kind = "english" if code in _ENGLISH else "characters" if code in _UNSPACED else "words"
    # Whisper's English normaliser leaves a period or currency sign that stands alone, which is no word.
    return " ".join(word for word in _normaliser(kind)(text).split() if any(c.isalnum() for c in word))


def word_error_rate(reference: str, text: str, language: str | None = None) -> float:
    """Word error rate of `text` against `reference`; exactly 1.0 for empty text.

    Raises ValueError where nothing is left of the reference after normalisation.
    """
    import jiwer

    said, heard = _pair(reference, text, language)
    return float(jiwer.wer(said, heard)) if heard else 1.0


def character_error_rate(reference: str, text: str, language: str | None = None) -> float:
    """Character error rate, spaces between words included (except where characters are the words).

    Raises ValueError as `word_error_rate` does.
    """
    import jiwer

    said, heard = _pair(reference, text, language)
    return float(jiwer.cer(said, heard)) if heard else 1.0


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
