"""Marks against ones made by hand, and what must hold of the marks of any texts."""

from __future__ import annotations

import random
import time

import pytest

from speedtest_tui.core.accuracy.agreement import differences, mark, weights_name
from speedtest_tui.core.accuracy.words import Word, bare, key, keys, split_words


def shown(words: tuple[Word, ...]) -> str:
    """A marked text on one line: ‹differs›, [missing]."""
    line = ""
    for word in words:
        line += " " * word.spaced + (f"[{word.missing}] " if word.missing_before else "")
        line += f"‹{word.text}›" if word.differs else word.text
    return line.strip()


def marks(*texts: str, voters: str | None = None) -> list[str]:
    """Texts of backends a, b, c, ... marked."""
    return [shown(words) for words in mark(dict(zip("abcdefgh", texts, strict=False)), voters).words.values()]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["the cat", "The cat!", "“the” CAT…"], ["the cat", "The cat!", "“the” CAT…"], id="writing"),
        pytest.param(["on my Mac?", "on the Mac", "on my mac"], ["on my Mac?", "on ‹the› Mac", "on my mac"], id="one"),
        pytest.param(["a b c", "a c", "a b, c"], ["a b c", "a [b] c", "a b, c"], id="missing inside"),
        pytest.param(["a b c", "c", "a b c"], ["a b c", "[a b] c", "a b c"], id="missing at the start"),
        pytest.param(["a b c.", "a", "a b c."], ["a b c.", "a [b c]", "a b c."], id="missing at the end"),
        pytest.param(["a b", "", "a b"], ["a b", "[a b]", "a b"], id="no text"),
        pytest.param(["a b", "a x y b", "a b"], ["a b", "a ‹x› ‹y› b", "a b"], id="too much"),
        pytest.param(["a b", "a x b", "a x b"], ["a [x] b", "a x b", "a x b"], id="the pivot misses a word"),
        pytest.param(["a x b", "a y b", "a z b"], ["a ‹x› b", "a ‹y› b", "a ‹z› b"], id="nobody agrees"),
        pytest.param(
            ["a x b", "a x b", "a y b", "a y b"], ["a ‹x› b", "a ‹x› b", "a ‹y› b", "a ‹y› b"], id="half is no majority"
        ),
        pytest.param(["a x b", "a x b", "a b", "a b"], ["a ‹x› b"] * 2 + ["a [x] b"] * 2, id="half has nothing"),
        pytest.param(["the big cat", "the cat sat"], ["the ‹big› cat [sat]", "the [big] cat ‹sat›"], id="two"),
        pytest.param(["a x b", "a y b"], ["a ‹x› b", "a ‹y› b"], id="two that replace"),
        pytest.param(["only one here"], ["only one here"], id="alone"),
        pytest.param(["", ""], ["", ""], id="silence"),
        pytest.param(
            ["well-known", "well known", "well–known"], ["well-known", "well known", "well–known"], id="hyphen"
        ),
        pytest.param(["3.5 or 1,000", "35 or 1000", "3.5 or 1000"], ["3.5 or 1,000", "‹35› or 1000", "3.5 or 1000"]),
        pytest.param(["今天天气。", "今天天汽", "今天天气"], ["今天天气。", "今天天‹汽›", "今天天气"], id="Chinese"),
        pytest.param(["a – b", "a b", "a x b", "a x b", "a x b"], ["a – [x] b", "a [x] b"] + ["a x b"] * 3, id="dash"),
    ],
)
def test_marks(texts: list[str], expected: list[str]) -> None:
    assert marks(*texts) == expected


def test_a_word_is_found_again_behind_one_that_was_left_out() -> None:
    """The smallest edit distance alone would call all four words replaced."""
    assert marks("今天 a b c d", "今天 c d e f", "今天 a b c d")[1] == "今天 [a b] c d ‹e› ‹f›"


def test_words_inserted_by_most_are_aligned_with_one_another() -> None:
    """Each of the others has so much of its own that the first is closest to all, and lacks what most have."""
    assert marks(
        "a b c d e", "a w v b 1 2 3 c d e", "a w v b c 4 5 6 d e", "a v b c d 7 8 9 e", "a w v b c d e 10 11 12"
    ) == [
        "a [w v] b c d e",
        "a w v b ‹1› ‹2› ‹3› c d e",
        "a w v b c ‹4› ‹5› ‹6› d e",
        "a [w] v b c d ‹7› ‹8› ‹9› e",
        "a w v b c d e ‹10› ‹11› ‹12›",
    ]


def test_who_has_no_vote_is_marked_but_changes_nothing() -> None:
    texts = ["a x b", "a x b", "a y b", "a y b", "a y b"]
    assert marks(*texts)[0] == "a ‹x› b"
    assert marks(*texts, voters="ab") == ["a x b", "a x b", "a ‹y› b", "a ‹y› b", "a ‹y› b"]
    loop = "no no no no no no"
    assert marks("a b", "a b", loop, voters="ab") == ["a b", "a b", "‹no› ‹no› ‹no› ‹no› ‹no› ‹no›"]
    assert marks("a b", loop, voters="") == ["a b", loop]
    # Nor may it decide how the others are aligned.
    assert marks("x q r s", "q r s", loop, loop, loop, voters="ab")[:2] == ["‹x› q r s", "[x] q r s"]


def test_what_nobody_who_votes_has_is_missing_nowhere() -> None:
    assert marks("a b", "a b", "a x b", voters="ab") == ["a b", "a b", "a ‹x› b"]


def noisy(draw: random.Random, words: list[str], rate: float) -> str:
    """A text with about `rate` words replaced, left out or added."""
    out = []
    for word in words:
        fate = draw.random() / rate
        out += [] if fate < 0.3 else [draw.choice(words)] if fate < 0.6 else [word]
        out += [draw.choice(words)] if 0.6 <= fate < 1 else []
    return " ".join(out)


@pytest.mark.parametrize("seed", range(20))
def test_two_that_agree_outvote_any_third(seed: int) -> None:
    draw = random.Random(seed)
    words = draw.choices([f"w{i}" for i in range(12)], k=60)
    right, wrong = " ".join(words), noisy(draw, words, 0.4)
    assert right != wrong
    found = mark({"a": right, "b": wrong, "c": right}).words
    assert not any(word.differs or word.missing for word in (*found["a"], *found["c"]))
    # What is unmarked must be in the right text, in order, and with what is missing and replaced make up all of it.
    rest = iter(words)
    unmarked = [word.text for word in found["b"] if word.text and not word.differs]
    assert all(word in rest for word in unmarked)
    missing = sum(len(word.missing.split()) for word in found["b"])
    differing = sum(word.differs for word in found["b"])
    assert len(unmarked) + missing <= len(words) <= len(unmarked) + missing + differing
    assert missing or differing


@pytest.mark.parametrize("seed", range(20))
def test_of_two_texts_the_unmarked_words_are_the_same(seed: int) -> None:
    draw = random.Random(seed)
    words = draw.choices([f"w{i}" for i in range(12)], k=60)
    found = mark({"a": noisy(draw, words, 0.5), "b": noisy(draw, words, 0.5)}).words
    a, b = ([word.text for word in text if word.text and not word.differs] for text in found.values())
    assert a == b
    assert 0 < len(a) < 60


@pytest.mark.parametrize("seed", range(20))
def test_no_word_is_lost_or_changed(seed: int) -> None:
    draw = random.Random(seed)
    pieces = ["cat", "well-known", "a/b", "—", "3,000", "今天。", "ที่นี่", "Mr.", "…", "(x)", "-", "か\u3099", "it’s"]
    texts = {name: " ".join(draw.choices(pieces, k=30)) for name in "abcd"}
    for name, words in mark(texts).words.items():
        assert "".join(" " * word.spaced + word.text for word in words).strip() == texts[name]


def test_long_texts_are_marked_in_a_moment() -> None:
    """Six transcripts of an hour: what takes some 0.5 s of processor time would take minutes if done word against
    word in Python."""
    draw = random.Random(1)
    vocabulary = [f"w{i}" for i in range(3000)]
    words = draw.choices(vocabulary, [1 / (i + 1) for i in range(3000)], k=10_000)
    texts = {f"b{i}": noisy(draw, words, 0.02 + 0.05 * i) for i in range(6)}
    began = time.process_time()
    found = mark(texts).words
    assert time.process_time() - began < 5
    shares = [sum(word.differs for word in text) / len(text) for text in found.values()]
    assert 0.005 < shares[0] < 0.02
    assert 0.12 < shares[-1] < 0.27


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t stop!", ["dont", "stop"]),
        ("U.S. – 5% of $1,000.50 at 12:30", ["us", "5%", "of", "$1000.50", "at", "12:30"]),
        ("twenty-five km/h", ["twenty", "five", "km", "h"]),
        ("Ｆｕｌｌ ½ Straße", ["full", "1⁄2", "strasse"]),
        ("कि 「今」日 ok今", ["कि", "今", "日", "ok", "今"]),
        ("♪ ... [?]", []),
        ("1,2 12,345,678 1,2345", ["1,2", "12345678", "1,2345"]),
    ],
)
def test_keys(text: str, expected: list[str]) -> None:
    assert keys(text) == expected


def test_a_number_is_not_its_digits() -> None:
    assert key("3.5") != key("35")
    assert key("5%") != key("5")


def test_missing_words_are_shown_without_punctuation_around_them() -> None:
    assert bare(split_words("(well-known), “it’s” 3.5.")) == "well-known it’s 3.5"
    assert bare(split_words("今天。")) == "今天"
    assert bare(split_words("well-known")[:1]) == "well"


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("on my Mac", "On the Mac.", "On ‹the|my› Mac."),
        ("a b c d", "a c d", "a ‹-b› c d"),
        ("a b c", "a b.", "a b. ‹-c›"),
        ("a b c", "", "‹-a b c›"),
        ("a b", "a x b", "a ‹+x› b"),
        ("one two three", "1, 2, 3", "1, 2, 3"),
        ("it cost $5.50", "it cost five dollars and fifty cents", "it cost five dollars and fifty cents"),
        ("今天天气好", "今天气好", "今‹-天›天气好"),
    ],
)
def test_differences_from_a_reference(reference: str, text: str, expected: str) -> None:
    found = differences(reference, text, "zh" if "今" in text else "en")
    assert "".join(piece for piece, _ in found) == expected


@pytest.mark.parametrize("seed", range(10))
def test_a_marked_text_holds_its_text_and_all_of_the_reference(seed: int) -> None:
    draw = random.Random(seed)
    words = draw.choices([f"{a}{b}a" for a in "bdfgk" for b in "aeiou"], k=80)
    text = noisy(draw, words, 0.4)
    found = differences(" ".join(words), text)
    assert "".join(piece for piece, kind in found if kind in ("same", "wrong", "extra")).split() == text.split()
    assert " ".join(piece for piece, kind in found if kind in ("same", "right", "missing")).split() == words


def test_agreement_is_the_share_that_the_majority_has_and_same_weights_vote_once() -> None:
    shares = mark({"a": "a b c d", "b": "a b c d", "c": "a x c d"}).shares
    assert (shares["a"], shares["b"], shares["c"]) == (1, 1, 0.75)
    shares = mark({"a": "1, 2, 3 dogs", "b": "one two three dogs", "c": "twenty five"}).shares
    assert shares["a"] == shares["b"] == 1 > (shares["c"] or 0)
    assert mark({"a": "a b", "b": ""}).shares == {"a": 0, "b": 0}
    assert mark({"a": "a b"}).shares == {"a": None}
    nano = {"a": "nano", "b": "nano", "c": "other", "d": "third"}
    found = mark({"a": "a x", "b": "a x", "c": "a y", "d": "a y"}, weights=nano)
    assert [shown(words) for words in found.words.values()] == ["a ‹x›", "a ‹x›", "a y", "a y"]
    assert list(found.shares.values()) == [0.5, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("mlx-community/whisper-tiny.en-mlx-4bit", "tiny.en"),
        ("openai/whisper-tiny.en", "tiny.en"),
        ("https://example.org/x/tiny.en.pt", "tiny.en"),
        ("mlx-community/whisper-large-v3-turbo-q4", "large-v3-turbo"),
        ("parakeet-nano/mlx", "parakeet-nano"),
        ("nano/hf", "nano"),
        ("mlx-community/parakeet-tdt-0.6b-v2", "parakeet-tdt-0.6b-v2"),
    ],
)
def test_weights_have_one_name_in_all_layouts(source: str, name: str) -> None:
    assert weights_name(source) == name
