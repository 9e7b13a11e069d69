"""What backends measure beside the time: from an event to the row, the document and the screen."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from backends.base import DeviceMemory, Segment, Transcription
from speedtest_tui.core import format as figures
from speedtest_tui.core.process.lines import Event
from speedtest_tui.core.race.events import apply
from speedtest_tui.core.race.row import Row
from speedtest_tui.core.sessions.document import WORDS_KEPT, result_of
from speedtest_tui.ui.widgets.details_pane import details

WORDS = (Segment(0.0, 0.4, "hello"), Segment(0.5, 0.9, "there"))


def ran(kind: str, **facts: Any) -> Event:
    """A run that ended, as its event arrives: through JSON."""
    transcription = asdict(Transcription("hello there", words=WORDS, **facts))
    fields = {"kind": kind, "index": 0, "seconds": 1.0, "transcription": transcription, "peak_rss": 1}
    fields["device_memory"] = asdict(DeviceMemory())
    return Event("run_finished", 5.0, json.loads(json.dumps(fields)))


def after(*events: Event) -> Row:
    row = Row("toy", "nano")
    for event in events:
        row = apply(row, event)
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


@pytest.mark.parametrize("wrong", [3, [["lag_s"]], [["lag_s", "long"]], [3]])
def test_figures_of_the_wrong_form(wrong: object) -> None:
    event = ran("run")
    event.fields["transcription"]["figures"] = wrong
    with pytest.raises((TypeError, ValueError)):
        after(event)


def test_the_document_keeps_words_and_figures() -> None:
    row = after(ran("run", figures=(("lag_s", 1.0),)))
    assert row.transcription is not None
    assert row.transcription.words == WORDS
    kept = result_of(row)
    assert kept.words == WORDS
    assert kept.figures == {"lag_s": 1.0}
    many = replace(row.transcription, words=WORDS * WORDS_KEPT)
    assert result_of(replace(row, transcription=many)).words == ()
