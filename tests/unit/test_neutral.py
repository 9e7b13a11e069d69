"""What may be shown: every character of Unicode is judged by its category, whatever Python's version knows."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from speedtest_tui.core import codec
from speedtest_tui.core.format import neutral, one_line

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ALL = [chr(number) for number in range(sys.maxunicode + 1)]
BLANK = {
    *map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810))),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def test_all_of_the_unsafe_categories_go() -> None:
    unsafe = "".join(c for c in ALL if unicodedata.category(c) in UNSAFE)
    left = neutral(unsafe, "")
    assert {c for c in left if unicodedata.category(c) != "Cn"} == {"\t", "\n"}
    assert all("\U0001f000" <= c <= "\U0001faff" for c in left[2:])  # emoji that Python does not know yet
    assert one_line(left[:2], "") == ""


def test_all_others_stay() -> None:
    safe = "".join(c for c in ALL if unicodedata.category(c) not in UNSAFE and c not in BLANK)
    assert neutral(safe) == safe == one_line(safe)
    assert neutral("".join(BLANK), "") == ""


@pytest.mark.parametrize(
    "fine",
    [
        "a\tb\nc", "naïve 音 😀", "👩\u200d👧", "❤\ufe0f\u200d🔥", "👩🏽\u200d💻", "می\u200cخواهم", "क्\u200dष",
        "ന്\u200d x", "שלום", "10\u00a0000", "全角\u3000空白", "🫩 🪾", "☕\ufe0f",
    ],
)  # fmt: skip
def test_what_people_write(fine: str) -> None:
    assert neutral(fine) == fine


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
@pytest.mark.parametrize("around", ["a{}b", "{}", "{}م", "1{}2", "م{0}{0}م", "👧{}a", "a{}👧"])
def test_joiners_where_nothing_is_to_be_joined(around: str, joiner: str) -> None:
    assert neutral(around.format(joiner)).count("�") == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("größe 音 'x'.wav", "größe 音 'x'.wav"), ("a\nb\u202ec\x1b\t", r"a\nb\u202ec\x1b\t"), ("b\udcff", r"b\xff"),
        ("\ud800\U000e0041\u2028", r"\ud800\U000e0041\u2028"),
    ],
)  # fmt: skip
def test_names_are_spelled_on_one_line(name: str, shown: str) -> None:
    assert one_line(name) == shown
    assert len(one_line(name, "?")) == len(name)


def test_json_escapes_them_all_and_stays_what_it_was() -> None:
    everything = "".join(c for c in ALL if not "\ud800" <= c <= "\udfff") + "م\u200cم 👩\u200d👧 \ud800 \udcff"
    written = codec.document({"a": everything})
    assert written.isascii() is False
    written.encode()
    assert json.loads(written)["a"] == everything
    assert neutral(written) == written
    assert not {"\u200c", "\u200d"} & set(written)
