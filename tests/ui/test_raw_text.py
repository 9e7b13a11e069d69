"""What others wrote does not steer the terminal from any widget: the last filter before a line is written."""

from __future__ import annotations

from typing import Any

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from speedtest_tui.core.format import neutral
from speedtest_tui.ui.app import NEUTRAL


def filtered(text: str) -> str:
    (segment,) = NEUTRAL.apply([Segment(text, Style(bold=True))], Color(0, 0, 0))
    assert segment.style == Style(bold=True)
    return segment.text


@pytest.mark.parametrize(
    "text", ["a\x1b[31mb", "\x9b2J", "a\u202eb", "a\u200bb", "\x1b]52;c;aGk=\x07", "\udcff", "a\x08\rb"]
)
def test_unsafe_characters_take_no_part(text: str) -> None:
    assert neutral(filtered(text)) == filtered(text)


@pytest.mark.parametrize("text", ["naïve 音 😀", "✓ complete", "[@click=app.quit]x[/]", "👩\u200d👧"])
def test_all_others_stay(text: str) -> None:
    assert filtered(text) == text


def test_what_textual_sends_itself_stays() -> None:
    control = Segment("\x1b[2J", None, [(1,)])  # type: ignore[list-item]
    assert NEUTRAL.apply([control], Color(0, 0, 0)) == [control]


def test_the_dashboard_has_the_filter(still_app: Any) -> None:
    assert NEUTRAL in still_app().get_line_filters()
