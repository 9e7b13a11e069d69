"""Loops, marks and NaN are seen, and ordinary text is left alone."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import pytest

from backends.checks import non_english, not_a_number, repetition_loop

PROSE = (
    "The north wind and the sun were disputing which was the stronger, when a traveller came along wrapped in a warm "
    "cloak. They agreed that the one who first succeeded in making the traveller take his cloak off should be "
    "considered stronger than the other. Then the north wind blew as hard as he could, but the more he blew the more "
    "closely did the traveller fold his cloak around him; and at last the north wind gave up the attempt. Then the "
    "sun shone out warmly, and immediately the traveller took off his cloak. And so the north wind was obliged to "
    "confess that the sun was the stronger of the two. "
)
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.mark.parametrize("count", [1, 5, 20, 100, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_digits_read_aloud_are_no_loop(count: int, seed: int) -> None:
    dice = random.Random(seed)
    assert repetition_loop(" ".join(dice.choices(DIGITS, k=count))) == ""
    assert repetition_loop(" ".join(str(dice.randrange(10)) for _ in range(count))) == ""
    assert repetition_loop("".join(str(dice.randrange(10)) for _ in range(count))) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        PROSE,
        "no, no, no, no, that is wrong",
        "very very very good " + PROSE,
        "He said that he said that he said so.",
        "row row row your boat gently down the stream, merrily merrily merrily merrily life is but a dream",
        "北风跟太阳正在那儿争论谁的本事大，说着说着，来了一个过路的，身上穿了一件厚袍子。他们俩就商量好了。",
        " ".join(str(number) for number in range(1, 101)),
        "one two three four five six seven eight nine ten",
    ],
)
def test_ordinary_text_is_no_loop(text: str) -> None:
    assert repetition_loop(text) == ""


def test_an_hour_of_sentences_with_few_words_is_no_loop() -> None:
    dice = random.Random(1)
    sentences = [
        " ".join(words)
        for words in itertools.product(
            ["set", "move", "lay", "place"], ["red", "blue", "green"], ["at", "by", "in"], DIGITS, ["now", "please"]
        )
    ]
    assert repetition_loop(" ".join(dice.choices(sentences, k=2000))) == ""


@pytest.mark.parametrize(
    "text",
    [
        "you " * 8,
        "Thank you. " * 8,
        "thanks for watching! " * 10,
        "and so on and " * 9,
        PROSE + "I'm going to go. " * 12,
        PROSE * 2 + "this is the end of the story that I told you " * 10 + PROSE * 2,
        "我们的" * 200,
        "hahaha" * 60,
        "zero one two three four five six seven " * 12,
    ],
)
def test_loops_are_seen(text: str) -> None:
    sentence = repetition_loop(text)
    assert sentence.startswith("the text ")
    assert "\n" not in sentence


def test_not_a_number() -> None:
    assert not_a_number([]) == ""
    assert not_a_number(iter([-0.3, -1.2, float("-inf")])) == ""
    assert not_a_number(iter([-0.3, float("nan"), -1.2])).startswith("1 of 3 segments")


@pytest.mark.parametrize("text", ["", "1234", "plain English", "naïve café Łódź", "I said спасибо to him", "ＦＵＬＬ"])
def test_latin_text(text: str) -> None:
    assert non_english(text) == ""


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("спасибо за просмотр", "Cyrillic"),
        ("ご視聴ありがとう", "Hiragana"),
        ("谢谢观看 ok", "Cjk"),
        ("شكرا لكم", "Arabic"),
    ],
)
def test_other_scripts(text: str, script: str) -> None:
    assert script in non_english(text)


def test_imports_nothing_heavy() -> None:
    code = "import sys, backends.checks; assert not {'numpy', 'jiwer', 'regex'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
