"""Corpora: what is read of folders and manifests, and runs over them that lose nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from racing import entry, plan
from toys import faulty, well

from speedtest_tui.core.accuracy.corpus import Corpus, is_corpus, read
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.corpus import CorpusRun
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.sessions import corpus as kept
from speedtest_tui.core.sessions.corpus import Heard, tally, wer_interval

pytestmark = pytest.mark.usefixtures("toys")


def sound(path: Path, seconds: float = 0.5, text: str | None = None) -> Path:
    """A file of noise, with what is said in it beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(path.name)).normal(0, 3000, int(seconds * 16_000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    if text is not None:
        path.with_suffix(".txt").write_text(text)
    return path


def taken(corpus: Corpus) -> dict[str, str | None]:
    return {one.key: one.text for one in corpus.utterances}


# Reading.


def test_a_folder(tmp_path: Path) -> None:
    sound(tmp_path / "b.wav", text="second\n")
    sound(tmp_path / "a" / "x.flac")
    sound(tmp_path / ".hidden" / "y.wav")
    (tmp_path / "notes.md").write_text("no clip")
    (tmp_path / "a" / "x.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello there\n")
    sound(tmp_path / "c.wav")
    (tmp_path / "c.wav.txt").write_bytes("dritter".encode("utf-16"))
    assert is_corpus(tmp_path)
    corpus = read(tmp_path)
    assert taken(corpus) == {"b": "second", "a/x": "hello there", "c": "dritter"} and corpus.problems == ()


def test_librispeech(tmp_path: Path) -> None:
    for number in ("0000", "0001"):
        sound(tmp_path / "1089" / "134686" / f"1089-134686-{number}.flac")
    texts = "1089-134686-0000 HE HOPED THERE\n1089-134686-0001 STUFF IT\n"
    (tmp_path / "1089" / "134686" / "1089-134686.trans.txt").write_text(texts)
    assert list(taken(read(tmp_path)).values()) == ["HE HOPED THERE", "STUFF IT"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.jsonl", b'{"audio_filepath": "clips/a.wav", "text": "hello", "duration": 0.5}\n'),
        ("m.json", b'\xef\xbb\xbf{"audio_filepath": "clips/a.wav", "text": "hello"}\r\n\r\n'),
        ("m.json", b'[{"audio": {"path": "clips/a.wav"}, "sentence": "hello"}]'),
        ("m.csv", b'file,text\r\nclips/a.wav,"hello"\r\n'),
        ("m.csv", b"file;text\nclips/a.wav;hello\n"),
        ("m.tsv", b"client_id\tpath\tsentence\nx\ta.wav\thello\n"),
        ("m.csv", "file,text\nclips/a.wav,hello\n".encode("utf-16")),
    ],
)
def test_manifests(tmp_path: Path, name: str, content: bytes) -> None:
    sound(tmp_path / "clips" / "a.wav")
    (tmp_path / name).write_bytes(content)
    (one,) = read(tmp_path / name).utterances
    assert (one.path.resolve(), one.text) == (tmp_path / "clips" / "a.wav", "hello")


def test_what_is_wrong_with_an_entry_costs_that_entry(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    lines = [
        '{"audio": "a.wav", "text": "one", "id": "same"}',
        '{"audio": "a.wav", "text": "two", "id": "same"}',
        '{"audio": "gone\\u001b[31m.wav"}',
        "no json",
        "[1]",
        '{"text": "nowhere"}',
        '{"audio": "a.wav"}',
        '{"audio": "a\\u0000.wav"}',
        "[" * 100_000,
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    corpus = read(tmp_path / "m.jsonl")
    assert taken(corpus) == {"same": "one", "same (2)": "two", "a": None}
    assert [problem.partition(":")[0] for problem in corpus.problems] == [f"line {n}" for n in (3, 4, 5, 6, 8, 9)]
    assert "\x1b" not in "".join(corpus.problems)
    assert corpus.remarks[-1] == "and 1 entry more could not be taken"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty", None, "has no clip"),
        ("m.jsonl", b"", "has no clip"),
        ("m.jsonl", b'{"audio": "gone.wav"}', r"has no clip \(line 1: gone.wav does not exist\)"),
        ("m.csv", "größe".encode("latin-1"), r"is no UTF-8 text \(line 1\)"),
        ("m.json", b"[1, 2", "is no JSON"),
        ("gone.csv", None, "does not exist"),
    ],
)
def test_what_is_no_corpus(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif not path.suffix:
        path.mkdir()
    with pytest.raises(UserError, match=words):
        read(path)


def test_a_million_lines(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    with (tmp_path / "m.tsv").open("w") as file:
        file.write("path\tsentence\n" + "a.wav\thello\n" * 20_000)
    corpus = read(tmp_path / "m.tsv")
    assert len({one.key for one in corpus.utterances}) == 20_000


# Running.


def corpus_of(folder: Path, *texts: str, seconds: float = 0.5) -> Corpus:
    for number, text in enumerate(texts):
        sound(folder / f"{number:02}.wav", seconds, text)
    return read(folder)


def finished(job: CorpusRun) -> CorpusRun:
    job.start()
    job.join(100)
    assert not job.is_alive() and job.tally is not None
    return job


def test_errors_and_words_are_summed(tmp_path: Path, toys: Path) -> None:
    corpus = corpus_of(tmp_path / "c", well.TEXT, well.TEXT, "the same words every day", "")
    job = finished(CorpusRun(plan(well.Well, well.WellToo), corpus, save=False))
    assert job.tally
    for score in job.tally.scores:
        assert (score.clips, score.failed, score.errors, score.words) == (4, 0, 1, 15)
        assert score.audio_s == pytest.approx(2.0)
        assert score.rtfx == pytest.approx(2.0 / score.took_s)
        assert score.wer is not None and score.wer.low <= 1 / 15 <= score.wer.high
    assert [one.clip for one in job.tally.worst] == ["02", "02"]
    assert toys.read_text().count("begins") == 2 * (4 + 1)  # a warm-up each


def test_a_clip_that_cannot_be_read_or_ends_a_backend_costs_that_clip(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c", well.TEXT, well.TEXT)
    sound(tmp_path / "c" / "01.wav", 1.5)
    (tmp_path / "c" / "broken.wav").write_bytes(b"RIFF" + bytes(100))
    corpus = corpus_of(tmp_path / "c")
    job = finished(CorpusRun(plan(well.Well, faulty.ExitsOnLong), corpus, save=False))
    errors = {(one.candidate.partition(":")[0], one.clip): one.error for one in job.heard if one.took_s is None}
    assert set(errors) == {("Well", "broken"), ("ExitsOnLong", "broken"), ("ExitsOnLong", "01")}
    assert "ended" in errors["ExitsOnLong", "01"] or "7" in errors["ExitsOnLong", "01"]
    assert job.tally and {score.clips for score in job.tally.scores} == {1}
    assert "compared on the 1 of 3 clips that all candidates transcribed" in job.tally.remarks


def test_a_first_clip_that_ends_a_backend_costs_that_clip(tmp_path: Path) -> None:
    corpus_of(tmp_path / "c", *[well.TEXT] * 3)
    sound(tmp_path / "c" / "00.wav", 1.5, well.TEXT)
    job = finished(CorpusRun(plan(faulty.ExitsOnLong), read(tmp_path / "c"), save=False))
    assert {one.clip for one in job.heard if one.took_s is None} == {"00"}
    assert job.tally and job.tally.scores[0].clips == 2


def test_who_fails_on_everything_is_left_out(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c", *[well.TEXT] * 5)
    job = finished(CorpusRun(plan(well.Well, faulty.KillsItself, faulty.RaisesInLoad), corpus, save=False))
    assert job.tally
    ranks = {score.row.backend: (score.row.rank, score.row.status) for score in job.tally.scores}
    assert ranks["Well"] == (1, "ok")
    assert ranks["KillsItself"][0] is None and ranks["RaisesInLoad"] == (None, "failed")
    assert all(score.row.error for score in job.tally.scores if score.row.backend != "Well")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_what_was_measured_is_not_run_again(tmp_path: Path, toys: Path, data: Path) -> None:
    corpus = corpus_of(tmp_path / "c", *[well.TEXT] * 4)
    first = finished(CorpusRun(plan(well.Well), corpus))
    assert first.store
    lines = (first.store.folder / "heard.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    # As a power cut leaves it: two lines whole, one torn, and not said to be done.
    (first.store.folder / "heard.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])
    run = json.loads((first.store.folder / "run.json").read_text())
    (first.store.folder / "run.json").write_text(json.dumps({**run, "done": False}))
    toys.write_text("")
    second = finished(CorpusRun(plan(well.Well), corpus))
    assert second.view.resumed == 2
    assert toys.read_text().count("begins") == 2 + 1
    assert second.tally and second.tally.scores[0].clips == 4
    toys.write_text("")
    third = finished(CorpusRun(plan(well.Well), corpus))  # that one is done: this measures anew
    assert third.view.resumed == 0 and third.store and third.store.folder != first.store.folder
    sound(tmp_path / "c" / "00.wav", 0.7)
    assert kept.digest_of(plan(well.Well), corpus, [""]) != first.store.run.digest


def test_nothing_is_lost_by_a_kill(tmp_path: Path, toys: Path, data: Path) -> None:
    corpus_of(tmp_path / "c", *[well.TEXT] * 40)
    code = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
from racing import plan; from toys import well
from pathlib import Path
from speedtest_tui.core.accuracy.corpus import read
from speedtest_tui.core.jobs.corpus import CorpusRun
job = CorpusRun(plan(well.Slow), read(Path({str(tmp_path / "c")!r}))); job.start(); job.join()
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    files = data / "corpora"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        heard = next(files.glob("*/heard.jsonl"), None) if files.exists() else None
        if heard is not None and heard.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert heard is not None
    before = heard.read_bytes().count(b"\n")
    assert 3 <= before < 40
    job = finished(CorpusRun(plan(well.Slow), read(tmp_path / "c")))
    assert job.view.resumed == before
    assert job.tally and job.tally.scores[0].clips == 40


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"schema": "x"}'])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, data: Path, content: str) -> None:
    strange = data / "corpora" / "99991231-000000-mine"
    strange.mkdir(parents=True)
    (strange / "run.json").write_text(content)
    job = finished(CorpusRun(plan(well.Well), corpus_of(tmp_path / "c", "a")))
    assert job.store and job.store.folder != strange
    assert (strange / "run.json").read_text() == content and len(list(strange.iterdir())) == 1


def test_a_full_disk_costs_the_keeping_only(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.Store, "add", full)
    job = finished(CorpusRun(plan(well.Well), corpus_of(tmp_path / "c", well.TEXT, well.TEXT)))
    assert "No space left" in job.unkept
    assert job.tally and job.tally.scores[0].clips == 2


# What it comes to.


def test_the_interval_of_an_error_rate() -> None:
    found = wer_interval([0] * 90 + [2] * 10, [10] * 100)
    assert found is not None
    assert found.value == pytest.approx(0.02)
    assert 0.005 < found.low < 0.02 < found.high < 0.035
    assert wer_interval([1], [10]) is None and wer_interval([0, 0], [0, 0]) is None


def test_faster_is_by_clip_and_good_is_by_words(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c", *["one two three four five"] * 12)
    both = Plan(plan(well.Well, well.WellToo).candidates, runs=1)
    names = [one.name for one in both.candidates]
    heard = []
    for number, one in enumerate(corpus.utterances):
        heard.append(Heard(names[0], one.key, 0.5, 0.010 * (1 + number % 3), "one two three nine nine"))
        heard.append(Heard(names[1], one.key, 0.5, 0.013 * (1 + number % 3), "one two three four five"))
    found = tally(both, corpus, heard)
    assert [score.row.rank for score in found.scores] == [1, 2]
    assert found.verdict.significant and found.verdict.recommended == (names[1],)
    assert found.scores[0].row.wer == pytest.approx(0.4)
    assert entry(well.Well).name in found.verdict.answer
