"""What backends measure beside the time: from an event to the row, the document and the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backends.base import DeviceMemory, Segment, Transcription
from speedtest_tui.core import format as figures
from speedtest_tui.core.race.events import Transcribed, TurnKind, apply
from speedtest_tui.core.race.row import Row
from speedtest_tui.core.sessions.document import WORDS_KEPT, result_of
from speedtest_tui.ui.widgets.row_details import details

WORDS = (Segment(0.0, 0.4, "hello"), Segment(0.5, 0.9, "there"))


def ran(kind: TurnKind, **facts: Any) -> Transcribed:
    """A run that ended."""
    return Transcribed(kind, 0, 1.0, Transcription("hello there", words=WORDS, **facts), 1, DeviceMemory())


def after(*messages: Transcribed) -> Row:
    row = Row("toy", "nano")
    for message in messages:
        row = apply(row, message)
    return row


def test_the_median_of_the_timed_runs_counts() -> None:
    runs = [ran("run", figures=(("lag_s", lag), ("tokens", 7))) for lag in (1.0, 4.0, 2.0)]
    row = after(ran("warm-up", figures=(("lag_s", 99.0),)), *runs)
    assert row.figures == {"lag_s": 2.0, "tokens": 7.0}
    assert figures.measured(row.figures) == "lag 2.00 s, tokens 7"
    assert "lag 2.00 s, tokens 7" in details(row).plain


def test_none_are_shown_where_there_are_none() -> None:
    row = after(ran("run"))
    assert row.figures == {}
    assert figures.measured(row.figures) == ""


def test_what_is_no_number_is_left_out() -> None:
    row = after(ran("run", figures=(("lag_s", float("nan")), ("first_word_s", 1.5))))
    assert row.figures == {"first_word_s": 1.5}


def test_the_document_keeps_words_and_figures() -> None:
    row = after(ran("run", figures=(("lag_s", 1.0),)))
    assert row.transcription is not None
    assert row.transcription.words == WORDS
    kept = result_of(row)
    assert kept.words == WORDS
    assert kept.figures == {"lag_s": 1.0}
    many = replace(row.transcription, words=WORDS * WORDS_KEPT)
    assert result_of(replace(row, transcription=many)).words == ()
