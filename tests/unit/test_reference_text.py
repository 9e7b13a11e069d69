"""References as people have them: what is said, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtest_tui.core.accuracy import reference
from speedtest_tui.core.accuracy.wer import word_error_rate
from speedtest_tui.core.errors import UserError

SAID = "The birch canoe slid on the smooth planks"
SRT = (
    "1\n00:00:00,000 --> 00:00:01,500\n<i>The birch canoe</i>\nslid\n\n"
    "2\n00:00:01,500 --> 00:00:03,000\n{\\an8}on the smooth planks\n"
)
VTT = (
    "WEBVTT - a talk\n\nSTYLE\n::cue { color: red }\n\nNOTE not said\n\nintro\n00:00.000 --> 00:01.500 align:start\n"
    "<v Ann>The birch canoe</v> slid\n\n00:00:01.500 --> 00:03.000\non <00:01.900><c>the smooth</c> planks\n"
)
ASS = (
    "[Script Info]\nTitle: x\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, "
    "Text\n"
    "Dialogue: 0,0:00:00.00,0:00:01.50,Default,,0,0,0,,The birch canoe\\Nslid\n"
    "Dialogue: 0,0:00:01.50,0:00:03.00,Default,,0,0,0,,{\\i1}on the smooth{\\i0} planks\n"
)
SCROLLING = (
    "WEBVTT\n\n00:00.000 --> 00:01.000\nThe birch canoe\n\n00:01.000 --> 00:02.000\nThe birch canoe\nslid on the\n\n"
    "00:02.000 --> 00:03.000\nslid on the\nsmooth planks\n"
)


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        f"  {SAID}\r\n",
        "The birch canoe\nslid on the\n\nsmooth planks",
        f"\ufeff{SAID}",
        "The bi\u00adrch ca\u200bnoe slid\u200e on \u202athe\u202c smooth \u2060planks\ufeff",
        SRT,
        SRT.replace("\n", "\r\n"),
        f"\ufeff{SRT}",
        VTT,
        ASS,
        SCROLLING,
    ],
    ids=lambda text: ascii(text[:24]),
)
@pytest.mark.parametrize("encoding", ["", "utf-8", "utf-8-sig", "utf-16"])
def test_the_words_that_are_said(tmp_path: Path, text: str, encoding: str) -> None:
    if not encoding:
        found = reference.from_text(text)
    else:
        (tmp_path / "said").write_text(text, encoding=encoding, newline="")
        found = reference.from_option(f"@{tmp_path / 'said'}")
    assert word_error_rate(SAID, found) == 0
    assert found.split() == SAID.split()


def test_signs_inside_words_of_other_scripts_stay() -> None:
    assert reference.from_text("می\u200cخواهم") == "می\u200cخواهم"


def test_digits_and_arrows_of_a_text_stay() -> None:
    assert reference.from_text("1\n2 --> 3\nat 10:30") == "1 2 --> 3 at 10:30"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the reference text is empty"),
        (b"\xef\xbb\xbf \n", "the reference text is empty"),
        (b"WEBVTT\n\nNOTE nothing\n", "the reference text is empty"),
        (b"RIFF\x10\0\0\0WAVE", "is no text file"),
        (b"\x89PNG\r\n\x1a\n", "is no UTF-8 text"),
        (b"caf\xe9", "is no UTF-8 text"),
        (b"\x1b[31mred", "is no text file"),
        (b"a" * (reference.LARGEST_BYTES + 1), "is too large for a text"),
        (None, "does not exist"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_is_no_reference_is_one_line(tmp_path: Path, content: bytes | None, line: str) -> None:
    path = tmp_path / "said"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=line):
        reference.from_option(f"@{path}")


def test_a_folder_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no file"):
        reference.from_option(f"@{tmp_path}")
