"""Sessions on disk: what is saved is read back, what is damaged is named, what is asked for is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from documents import as_json, build, clip
from racing import TESTS

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions.index import Summary, summaries
from speedtest_tui.core.sessions.store import DamagedSession, Session, find, read, save

pytestmark = pytest.mark.usefixtures("places")


def test_what_is_saved_is_read_back() -> None:
    document = build()
    folder = save(document, clip())
    assert folder.name == "20261120T123015"
    found = read(folder)
    assert isinstance(found, Session)
    assert found.document == document
    samples, rate = soundfile.read(folder / "clip.flac", dtype="float32")
    assert rate == 16_000
    assert abs(samples - clip().samples).max() < 2**-23


def test_nothing_else_is_left_in_the_folder(places: Path) -> None:
    folder = save(build(), clip())
    assert sorted(path.name for path in folder.iterdir()) == ["clip.flac", "session.json"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_two_in_the_same_second() -> None:
    names = [save(build(), clip()).name for _ in range(3)]
    assert names == ["20261120T123015", "20261120T123015-2", "20261120T123015-3"]


def test_processes_that_save_in_the_same_second(places: Path) -> None:
    code = (
        "from documents import build, clip; from speedtest_tui.core.sessions.store import save; save(build(), clip())"
    )
    command = [sys.executable, "-c", code]
    savers = [subprocess.Popen(command, cwd=TESTS, stderr=subprocess.PIPE) for _ in range(4)]
    assert [(saver.communicate()[1], saver.returncode) for saver in savers] == [(b"", 0)] * 4
    assert len(list(summaries())) == 4


def test_a_place_that_cannot_be_written(places: Path) -> None:
    (places / "data").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="data"):
        save(build(), clip())


def test_strange_texts_survive() -> None:
    text = 'a "quoted" | piped\nline, naïve 音 😀 \x00'
    from documents import good_row

    found = read(save(build(good_row("a", (0.1, 0.2), text)), clip()))
    assert isinstance(found, Session)
    assert found.document.results[0].text == text


def damage(content: bytes | str | None) -> str:
    """Save a session, replace its file, and return why it cannot be read."""
    folder = save(build(), clip())
    file = folder / "session.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read(folder)
    assert isinstance(found, DamagedSession), found
    return found.reason


def without(*path: Any) -> str:
    document = as_json(build())
    place = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return json.dumps(document)


STRANGE_TIMES = ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-20:00", "12:30", "\udcff", "2026-02-31T00:00:00")
STRANGE_RESULTS: tuple[dict[str, Any], ...] = (
    {"rtfx": 10**400},  # too large for any float
    {"wer": "0.1"},
    {"peak_rss_mb": [1]},
    {"runs_s": [0.0]},
    {"runs_s": [-1.0]},
    {"runs_s": [True]},
    {"rank": 1.5},
    {"status": "fine"},
    {"ci95_s": [1.0]},
    {"slower": 2.0},
    {"options": {"beam": 4}},
    {"error": "it broke"},
    {"warnings": "loud"},
)


def with_result(**facts: Any) -> str:
    document = as_json(build())
    document["results"][0] |= facts
    return json.dumps(document)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "session.json is missing"),
        ("", "is not JSON"),
        (json.dumps(as_json(build()))[:500], "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        ("[]", "does not fit"),
        ("null", "does not fit"),
        ("{}", "missing required field `schema`"),
        (json.dumps({**as_json(build()), "schema": 3}), "schema 3, this version reads 2"),
        (json.dumps({**as_json(build()), "results": 5}), "does not fit"),
        (json.dumps({**as_json(build()), "results": [None]}), "does not fit"),
        (json.dumps({**as_json(build()), "started": "yesterday"}), "does not fit"),
        (json.dumps({**as_json(build()), "started": None}), "does not fit"),
        (json.dumps({**as_json(build()), "clip": "clip.wav"}), "does not fit"),
        *((json.dumps(as_json(build()) | {"started": when}), "is no time of a start") for when in STRANGE_TIMES),
        *((with_result(**facts), "session.json ") for facts in STRANGE_RESULTS),
        (without("verdict"), "missing required field `verdict`"),
        (without("host", "chip"), "missing required field `chip` - at `$.host`"),
        (without("results", 0, "median_s"), "missing required field `median_s` - at `$.results[0]`"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_damaged_ones_are_named(content: bytes | str | None, reason: str) -> None:
    assert reason in damage(content)


def test_the_list_is_newest_first_and_includes_damaged_ones(places: Path) -> None:
    import datetime

    first = save(build(started=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)), clip())
    newest = save(build(), clip())
    (first / "session.json").write_text("{")
    # Neither a folder in the making nor a stray file is a session.
    (newest.parent / ".20261120T123015.x.partial").mkdir()
    (newest.parent / "notes.txt").touch()
    assert [(type(session), session.name) for session in summaries()] == [
        (Summary, newest.name),
        (DamagedSession, first.name),
    ]


def test_no_sessions_yet() -> None:
    assert list(summaries()) == []
    with pytest.raises(UserError, match="there is no session yet"):
        find("last")


def test_finding() -> None:
    import datetime

    older = save(build(started=datetime.datetime(2026, 11, 19, tzinfo=datetime.UTC)), clip())
    newer, twin = save(build(), clip()), save(build(), clip())
    assert find("last").name == twin.name
    assert find("20261119").name == older.name
    # A whole name counts even where another begins with it.
    assert find(newer.name).name == newer.name
    with pytest.raises(UserError, match="3 sessions begin with '2026'"):
        find("2026")
    with pytest.raises(UserError, match="no session is called 'x'"):
        find("x")
    (twin / "session.json").unlink()
    assert find("last").name == newer.name
    with pytest.raises(UserError, match=r"is damaged: session\.json is missing"):
        find(twin.name)
