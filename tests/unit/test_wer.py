"""Error rates against hand-counted ones, and normalisation as Whisper does it."""

from __future__ import annotations

import pytest

from speedtest_tui.core.accuracy import wer


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 0),
        ("the cat sat on the mat", "The cat sat, on the mat.", 0),
        ("the cat sat on the mat", "the dog sat on mat", 2 / 6),
        ("the cat", "the cat and some dogs went", 4 / 2),
        ("the cat", "", 1),
        ("the cat", " ... [music] ", 1),
        ("twenty five dollars", "$25", 0),
        ("Mr. Smith's colour isn't grey", "mister smith's color is not gray", 0),
        ("one two three", "123", 0),
        ("one two three", "1 2 3", 0),
        ("the cat", "the cat ...", 0),
        ("um the cat", "the cat", 0),
    ],
)
def test_word_error_rate(reference: str, text: str, expected: float) -> None:
    assert wer.word_error_rate(reference, text) == pytest.approx(expected)


def test_character_error_rate() -> None:
    assert wer.character_error_rate("abcd", "abxd") == pytest.approx(0.25)
    assert wer.character_error_rate("abcd", "") == 1.0


@pytest.mark.parametrize("reference", ["", "  \n", "...", "[noise]"])
def test_an_empty_reference_is_an_error(reference: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        wer.word_error_rate(reference, "text")
    with pytest.raises(ValueError, match="reference"):
        wer.character_error_rate(reference, "text")


def test_other_languages_keep_their_words() -> None:
    assert wer.normalise("Zwölf Füße, bitte!", "de") == "zwölf füße bitte"
    assert wer.normalise("twenty five", "fr") == "twenty five"
    assert wer.normalise("twenty five", "en-GB") == wer.normalise("twenty five", "English") == "25"
    assert wer.normalise("twenty five") == "25"


def test_languages_without_spaces_are_counted_by_character() -> None:
    assert wer.word_error_rate("今天天气", "今天天汽", "zh") == pytest.approx(0.25)


def test_the_normaliser_is_made_once() -> None:
    wer.normalise("a")
    made = wer._normaliser.cache_info().misses
    wer.normalise("b", "en")
    wer.normalise("c", "EN_us")
    assert wer._normaliser.cache_info().misses == made
