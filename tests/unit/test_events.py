"""What a message changes in a row, and that lines of the wrong form are refused by an error that the race expects."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from backends.base import DeviceMemory, Loaded, Segment, Transcription
from speedtest_tui.core.process.lines import Message, ProtocolError
from speedtest_tui.core.process.parent import read_message
from speedtest_tui.core.race.events import MESSAGES, apply
from speedtest_tui.core.race.row import Row

REFUSED = (ProtocolError, ValueError)
LOADED = Loaded("cpu", "float16", 16.0, 1000, "org/name", "abc", ("/a",), (("chunk", "20 s"),), ("odd",))
MEMORY: dict[str, Any] = {"peak_rss": 1000, "device_memory": asdict(DeviceMemory(1, 2))}


@dataclass
class Line:
    """A message on its way."""

    event: str
    fields: dict[str, Any]

    def read(self) -> Message:
        """As it arrives: through JSON."""
        return read_message(json.dumps({"event": self.event, "at": 5.0, **self.fields}).encode(), MESSAGES)


def entered(phase: str) -> Line:
    return Line("Entered", {"phase": phase})


def loaded(**change: Any) -> Line:
    return Line("ModelLoaded", {"seconds": 0.5, "facts": {**asdict(LOADED), **change}, **MEMORY})


def ran(kind: str, seconds: float, text: str = "hello", **facts: Any) -> Line:
    transcription = asdict(Transcription(text, (Segment(0.0, 1.0, text),), **facts))
    return Line("Transcribed", {"kind": kind, "index": 0, "seconds": seconds, "transcription": transcription, **MEMORY})


def after(*lines: Line) -> Row:
    row = Row("toy", "nano")
    for line in lines:
        row = apply(row, line.read())
    return row


@pytest.mark.parametrize("phase", ["starting", "importing", "loading", "warming", "running", "ended"])
def test_phases(phase: str) -> None:
    row = after(entered(phase))
    assert (row.phase, row.since) == (phase, 5.0)


def test_import_and_load() -> None:
    row = after(Line("Imported", {"seconds": 1.5}), loaded())
    assert (row.import_s, row.load_s, row.phase) == (1.5, 0.5, "loaded")
    assert row.loaded == LOADED
    assert row.warnings == ("odd",)
    assert (row.peak_rss, row.device_peak) == (1000, 2)


def test_first_and_steady_runs_are_kept_apart() -> None:
    row = after(ran("warm-up", 9.0), ran("warm-up", 2.0), ran("run", 1.0), ran("run", 1.5))
    assert (row.first_s, row.warmups_done, row.runs_s) == (9.0, 2, (1.0, 1.5))
    assert row.transcription == Transcription("hello", (Segment(0.0, 1.0, "hello"),))


def test_text_that_changes_is_said_once() -> None:
    row = after(ran("run", 1.0, "a"), ran("run", 1.0, "b"), ran("run", 1.0, "c"))
    assert row.warnings == ("its text differed between runs",)
    assert after(ran("run", 1.0, "a"), ran("run", 1.0, "a")).warnings == ()


def test_one_invalid_run_discredits_all() -> None:
    row = after(ran("warm-up", 1.0, invalid="NaN"), ran("run", 1.0))
    assert row.transcription is not None
    assert row.transcription.invalid == "NaN"


def test_warnings_are_not_repeated() -> None:
    row = after(ran("run", 1.0, warnings=("odd",)), ran("run", 1.0, warnings=("odd", "new")))
    assert row.warnings == ("odd", "new")


def test_peaks_never_fall() -> None:
    small = ran("run", 1.0)
    small.fields.update(peak_rss=10, device_memory={"peak": None})
    row = after(ran("run", 1.0), small)
    assert (row.peak_rss, row.device_peak) == (1000, 2)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf"), 10**400, "soon", None, [1]])
def test_times_that_are_none(seconds: Any) -> None:
    line = ran("run", 1.0)
    line.fields["seconds"] = seconds
    with pytest.raises(REFUSED):
        after(line)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("transcription",), None),
        (("transcription",), "text"),
        (("transcription", "text"), None),
        (("transcription", "text"), 5),
        (("transcription", "segments"), 3),
        (("transcription", "segments"), [{"start": 1}]),
        (("transcription", "figures"), [["lag_s", "long"]]),
        (("transcription", "figures"), [3]),
        (("device_memory",), []),
        (("device_memory", "peak"), "much"),
        (("peak_rss",), float("inf")),
        (("peak_rss",), None),
    ],
)
def test_run_finished_of_the_wrong_form(path: tuple[str, ...], value: Any) -> None:
    line = ran("run", 1.0)
    place: Any = line.fields
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(REFUSED):
        after(line)


@pytest.mark.parametrize(
    "change", [{"bits": "four"}, {"parameters": []}, {"files": None}, {"options": [1]}, {"options": [[1]]}]
)
def test_loaded_of_the_wrong_form(change: dict[str, Any]) -> None:
    with pytest.raises(REFUSED):
        after(loaded(**change))


def test_any_field_may_be_any_json() -> None:
    """Whatever a child puts in whichever place, it is either taken or refused by an error that the race expects."""
    dice = random.Random(9)
    junk = [None, True, -1, 1e308, float("nan"), 10**400, "", "x" * 99, [], [[]], {}, {"a": {}}, ["a", 1], "\ud800"]
    refused = 0
    for _ in range(3000):
        line = dice.choice((ran("run", 1.0), loaded(), Line("Imported", {"seconds": 1})))
        place: Any = line.fields
        while True:
            key = dice.choice(list(place))
            if isinstance(place[key], dict) and place[key] and dice.random() < 0.7:
                place = place[key]
                continue
            place[key] = dice.choice(junk)
            break
        try:
            after(line)
        except REFUSED:
            refused += 1
    assert 500 < refused < 3000


def test_the_memory_that_is_shown_is_the_largest_that_counts() -> None:
    def peak(rss: int, footprint: int | None, device: int | None) -> int:
        line = loaded()
        line.fields.update(peak_rss=rss, peak_footprint=footprint, device_memory={"peak": device})
        return after(line).peak_memory

    assert [peak(100, None, None), peak(100, None, 300), peak(100, None, 50)] == [100, 300, 100]
    # Where the system counts a footprint, what is resident is another kind of memory: it is not shown.
    assert [peak(900, 200, 50), peak(100, 200, 300), peak(10, 200, None)] == [200, 300, 200]
