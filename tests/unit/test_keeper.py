"""A race that has ended is shown, whatever becomes of its session."""

from __future__ import annotations

import datetime
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from documents import clip, ended, failed_row, good_row, plan_of
from racing import TESTS

from backends.base import Advice
from speedtest_tui.core.accuracy import wer
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.jobs.race import Keeper, headline_since, judged_again, marks_of
from speedtest_tui.core.race.row import RaceSnapshot, Row, RowError
from speedtest_tui.core.sessions import store
from speedtest_tui.ui.widgets.row_details import details

ROWS = (good_row("a", (0.2, 0.25, 0.3)), good_row("b", (0.1, 0.1, 0.12)))


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        soundfile.LibsndfileError(2),
        UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
        MemoryError(),
        RuntimeError("two\nlines"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_session_that_cannot_be_saved_leaves_its_result(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Path:
        raise error

    monkeypatch.setattr(store, "save", refuse)
    kept = Keeper(plan_of(*ROWS), clip())(ended(*ROWS))
    assert [result.rank for result in kept.document.ordered] == [1, 2]
    assert kept.folder is None and kept.advice
    assert kept.advice.what.startswith("the session could not be saved (") and "\n" not in kept.advice.what


def test_a_folder_whose_name_is_no_unicode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path / "a\udce9"))
    kept = Keeper(plan_of(*ROWS), clip())(ended(*ROWS))
    assert kept.folder or kept.advice
    assert kept.document.results


@pytest.mark.parametrize("files", [(), ("weights",)])
def test_a_backend_may_report_no_files(files: tuple[str, ...]) -> None:
    """The details of a row are drawn whatever was reported."""
    row = ROWS[0]
    assert row.loaded is not None and row.location is not None
    for location in (None, row.location, replace(row.location, path=None)):
        assert "a" in details(replace(row, loaded=replace(row.loaded, files=files), location=location)).plain


SLOW = """
import sys, time
from speedtest_tui import cli
cli.end_as_interrupted()
try:
    print("ready", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    print("cancelled", flush=True)
time.sleep(0.6)  # the keeping
print("kept", flush=True)
"""


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGINT,),
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGHUP, signal.SIGTERM),
    ],
    ids=lambda numbers: " ".join(number.name for number in numbers),
)
def test_signals_behind_the_first_do_not_end_the_keeping(signals: tuple[signal.Signals, ...]) -> None:
    child = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True, cwd=TESTS)
    assert child.stdout and child.stdout.readline() == "ready\n"
    for number in signals:
        os.kill(child.pid, number)
        time.sleep(0.04)
    assert child.communicate(timeout=20)[0] == "cancelled\nkept\n"
    assert child.returncode == 0


def test_the_fifth_signal_insists() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TESTS
    )
    assert child.stdout and child.stdout.readline() == "ready\n"
    for _ in range(5):
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.04)
    assert "kept" not in child.communicate(timeout=20)[0]


def test_what_was_ignored_from_the_start_stays_so() -> None:
    """As nohup has it for SIGHUP."""
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SLOW
    child = subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE, text=True, cwd=TESTS)
    assert child.stdout and child.stdout.readline() == "ready\n"
    os.kill(child.pid, signal.SIGHUP)
    time.sleep(0.04)
    assert child.poll() is None
    os.kill(child.pid, signal.SIGTERM)
    assert child.communicate(timeout=20)[0] == "cancelled\nkept\n"


def test_a_race_is_kept_once_a_single_run_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path))
    begun = replace(ROWS[0], runs_s=(), status="cancelled", error=RowError("cancelled", Advice("after 0 of 5 runs")))
    for rows, kept in (((begun,), False), ((failed_row("b"),), False), ((begun, replace(begun, runs_s=(0.1,))), True)):
        snapshot = RaceSnapshot(rows, "cancelled")
        found = Keeper(plan_of(ROWS[0]), clip())(snapshot)
        assert (found.folder is not None) is kept and found.advice is None and found.document.state == "cancelled"


def test_since_is_about_the_same_clip_and_the_same_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path))
    slow, same, other = good_row("a", (0.4, 0.5, 0.6)), good_row("b", (0.1, 0.1, 0.12)), good_row("c", (0.1, 0.1, 0.1))
    assert same.loaded and other.spec
    turned = replace(good_row("c", (0.9, 0.9, 0.9)), spec=replace(other.spec, source="org/another"))

    def race(*rows: Row, on: Clip | None = None) -> str:
        keeper = Keeper(plan_of(*rows), on or clip())
        keeper._started += datetime.timedelta(hours=race_number.__next__())
        return headline_since(keeper(ended(*rows, of=on)))

    race_number = itertools.count()
    assert race(ROWS[0], same, other) == ""
    elsewhere = replace(clip(), samples=clip().samples / 2)
    assert race(slow, same, other, on=elsewhere) == ""
    found = race(slow, same, turned)
    assert re.fullmatch(r"since \d+ \w+ \d\d:\d\d: a 2\.0× slower, 1 unchanged", found), found
    assert race(other) == ""


def test_a_text_entered_after_the_race_judges_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path))
    rows = (ROWS[0], good_row("b", (0.1, 0.1, 0.12), "hello bear"))
    unknown = replace(clip(), reference=None)
    snapshot = ended(*rows, of=unknown)
    kept = Keeper(plan_of(*rows), unknown)(snapshot)
    assert kept.document.verdict.answer.startswith("No recommendation: enter the correct text")
    judged, again = judged_again(kept, snapshot, clip())
    assert [row.wer for row in judged.rows] == [0.0, 0.5]
    assert judged.verdict.recommended == ("a:tiny",) and again.folder == kept.folder and again.advice is None
    session = store.read(kept.folder or tmp_path)
    assert isinstance(session, store.Session) and session.document == again.document
    assert session.document.clip.reference == "hello there"
    without = judged_again(again, judged, unknown)[0]
    assert without.verdict == judged_again(kept, snapshot, unknown)[0].verdict
    assert [(row.wer, row.agreement) for row in without.rows] == [(None, 0.5)] * 2
    # Long texts take seconds: each is compared once, for its rate and for its marks.
    wer.compare.cache_clear()
    marks_of(judged_again(kept, snapshot, replace(clip(), reference="hello their"))[1].document)
    assert wer.compare.cache_info().misses == 2


def test_remarks_on_the_texts_follow_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path))
    snapshot = replace(ended(*ROWS), notes=("throttled",))
    kept = Keeper(plan_of(*ROWS), clip())(snapshot)
    for reference, remark in (("das ist ganz anders", "above 90 %"), ("♪", "has no word"), ("hello there", "")):
        snapshot, kept = judged_again(kept, snapshot, replace(clip(), reference=reference))
        assert snapshot.notes == kept.document.notes and snapshot.notes[0] == "throttled"
        assert len(snapshot.notes) == 1 + bool(remark) and remark in snapshot.notes[-1]


def test_what_cannot_be_kept_again_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path))
    snapshot = ended(*ROWS)
    kept = Keeper(plan_of(*ROWS), clip())(snapshot)
    gone = replace(kept, folder=tmp_path / "gone")
    assert judged_again(gone, snapshot, clip())[1].advice
    (tmp_path / "link").symlink_to(kept.folder or tmp_path)
    assert judged_again(replace(kept, folder=tmp_path / "link"), snapshot, clip())[1].advice
