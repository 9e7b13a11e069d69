"""A run over a corpus on disk, line by line as it is measured, and what it comes to.

A run is a folder: `run.json` says what it is, `heard.jsonl` gets a line for each clip of each candidate at once, so
that nothing that was measured is lost, whatever ends the program. The next run of the same resumes it.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.base import Transcription
from speedtest_tui import __version__
from speedtest_tui.core import codec, disk
from speedtest_tui.core.accuracy.corpus import Corpus
from speedtest_tui.core.host import Host
from speedtest_tui.core.locations import data_folder
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import Row, Status, Verdict, rows_of
from speedtest_tui.core.race.statistics import Interval, median_interval
from speedtest_tui.core.race.verdict import NANO_NOTE, decide, nano, spoken_language

SCHEMA = 1

RESAMPLES = 1_000
"""Of the clips, for the interval of an error rate."""

WORST = 5
"""Clips that are shown with what is wrong in them."""

LARGEST_LINE = 4 << 20


@dataclass(frozen=True)
class Heard:
    """One clip by one candidate. seconds: of sound; took_s: None where there is no result, and `error` says why."""

    candidate: str
    clip: str
    seconds: float
    took_s: float | None
    text: str = ""
    language: str = ""
    detected: bool = False
    error: str = ""


@dataclass(frozen=True)
class Run:
    """What a run is. digest: the same for the same clips, texts, candidates, weights and language."""

    digest: str
    corpus: str
    clips: int
    candidates: tuple[str, ...]
    language: str | None
    host: Host
    created: str
    program: str = f"speedtest-tui {__version__}"
    schema: int = SCHEMA
    done: bool = False


def runs_folder() -> Path:
    """Runs over corpora."""
    return data_folder()[0] / "corpora"


def digest_of(plan: Plan, corpus: Corpus, weights: Sequence[str]) -> str:
    """weights: of each candidate, what tells them from other ones."""
    parts = hashlib.sha256(repr((SCHEMA, [one.name for one in plan.candidates], weights, plan.language)).encode())
    for one in corpus.utterances:
        try:
            status = one.path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
        except OSError:
            stamp = (0, 0)
        parts.update(repr((one.key, one.text, stamp)).encode("utf-8", "surrogatepass"))
    return parts.hexdigest()[:16]


class Store:
    """The folder of a run that goes on. Raises OSError where it cannot be written."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.heard = tuple(_lines(folder / "heard.jsonl"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(folder / "heard.jsonl", flags, 0o600)
        if not _ends_whole(folder / "heard.jsonl"):
            os.write(self._descriptor, b"\n")  # what a power cut left of a line stays one that is skipped

    def add(self, one: Heard) -> None:
        data = memoryview(codec.encode(one) + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self, *, done: bool) -> None:
        """Say whether all of it has been measured."""
        os.close(self._descriptor)
        if done:
            self.run = replace(self.run, done=True)
            _write(self.folder, self.run)


def opened(run: Run) -> Store:
    """The newest run like this that was not brought to its end, else a new one. Raises OSError."""
    base = runs_folder()
    base.mkdir(parents=True, exist_ok=True)
    disk.keep_private(base)
    for folder in sorted(base.iterdir(), reverse=True):
        found = _read(folder)
        if found is not None and found.digest == run.digest and not found.done:
            return Store(found, folder)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    name = re.sub(r"[^\w.-]+", "-", run.corpus)[:40].strip("-.") or "corpus"
    folder = base / f"{stamp}-{name}"
    number = 1
    while True:
        try:
            folder.mkdir(mode=0o700)
            break
        except FileExistsError:
            number += 1
            folder = base / f"{stamp}-{name}-{number}"
    _write(folder, run)
    return Store(run, folder)


def _write(folder: Path, run: Run) -> None:
    disk.write_bytes(folder / "run.json", codec.document(run).encode())


def _read(folder: Path) -> Run | None:
    try:
        data, _ = disk.read_plain(folder / "run.json", 1 << 20)
        return codec.decode(Run, data)
    except (OSError, ValueError):
        return None  # not ours, or damaged: it is left alone


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as read:
        size = read.seek(0, os.SEEK_END)
        read.seek(max(0, size - 1))
        return size == 0 or read.read(1) == b"\n"


def _lines(file: Path) -> Iterator[Heard]:
    """The lines that are whole; one that is not costs its own clip, which is run again."""
    try:
        with disk.opened_plain(file) as read:
            while line := read.readline(LARGEST_LINE):
                try:
                    yield codec.decode(Heard, line)
                except ValueError:
                    continue
    except OSError:
        return


# What it comes to.


@dataclass(frozen=True)
class Score:
    """A candidate over all its clips. row: as in a race, its runs the seconds of work for a second of speech of each.

    rtfx: all sound by all work (Open ASR Leaderboard); wer: all errors by all words, its interval by resampling clips
    rate: "WER", or "CER" where the corpus is in a language without spaces
    """

    row: Row
    clips: int
    failed: int
    audio_s: float
    took_s: float
    errors: int
    words: int
    wer: Interval | None

    @property
    def rtfx(self) -> float | None:
        return self.audio_s / self.took_s if self.took_s else None


@dataclass(frozen=True)
class Worst:
    """A clip that a candidate got wrong, with its rate of errors."""

    clip: str
    candidate: str
    rate: float
    reference: str
    text: str


@dataclass(frozen=True)
class Tally:
    """scores: in order of rank; verdict: of candidates; remarks: on the run as a whole; worst: most wrong first"""

    scores: tuple[Score, ...]
    verdict: Verdict
    remarks: tuple[str, ...] = ()
    worst: tuple[Worst, ...] = ()
    language: str = ""


@dataclass
class _Counts:
    errors: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def tally(plan: Plan, corpus: Corpus, heard: Sequence[Heard], rows: Sequence[Row] = (), *, worst: int = WORST) -> Tally:
    """What was heard so far, of clips that every candidate with a result has: only so are they compared.

    rows: of the plan's candidates, with their models, and the errors of those that could not run
    """
    from speedtest_tui.core.accuracy.wer import compare, unspaced

    texts = {one.key: one for one in corpus.utterances}
    by_candidate: dict[str, dict[str, Heard]] = defaultdict(dict)
    for one in heard:
        if one.clip in texts:
            by_candidate[one.candidate][one.clip] = one
    able = [name for name, of in by_candidate.items() if any(one.took_s for one in of.values())]
    common = [key for key in texts if all(by_candidate[name].get(key) for name in able)] if able else []
    both = [key for key in common if all(by_candidate[name][key].took_s for name in able)]
    language = plan.language or _language([by_candidate[name][key] for name in able for key in both])
    judged: list[Worst] = []
    scores = []
    for row in rows or rows_of(plan.candidates):
        mine = by_candidate.get(row.candidate, {})
        counts = _Counts()
        for key in both if row.candidate in able else ():
            said = texts[key].text
            if not said:
                continue
            try:
                found = compare(said, mine[key].text, texts[key].language or language or None)
            except ValueError:
                continue  # a reference without a word
            counts.errors.append(found.errors)
            counts.words.append(found.length)
            if found.errors:
                judged.append(Worst(key, row.candidate, found.rate, said, mine[key].text))
        scores.append(_score(replace(row, rate="CER" if unspaced(language) else "WER"), mine, both, counts))
    rows, verdict = decide([score.row for score in scores], plan.max_wer)
    scores = [replace(score, row=row) for score, row in zip(scores, rows, strict=True)]
    scores.sort(key=lambda score: (score.row.rank is None, score.row.rank or 0, score.row.median_s or 0.0))
    left = len(corpus.utterances) - len(both)
    remarks = list(corpus.remarks)
    if left and both:
        remarks.append(f"compared on the {len(both)} of {len(corpus.utterances)} clips that all candidates transcribed")
    remarks += [NANO_NOTE] if nano(rows) else []
    judged.sort(key=lambda one: -one.rate)
    return Tally(tuple(scores), verdict, tuple(remarks), tuple(judged[:worst]), language)


def _language(heard: Collection[Heard]) -> str:
    """What most clips are in, as their candidates say."""
    rows = [
        Row("", "", transcription=Transcription(one.text, language=one.language, detected=one.detected))
        for one in heard
        if one.language
    ]
    return spoken_language(rows)


def _score(row: Row, mine: dict[str, Heard], both: Sequence[str], counts: _Counts) -> Score:
    done = [mine[key] for key in both if key in mine and mine[key].took_s]
    errors, words = sum(counts.errors), sum(counts.words)
    audio_s, took_s = sum(one.seconds for one in done), sum(one.took_s or 0.0 for one in done)
    status: Status = "ok" if done else row.status or "failed"
    row = replace(
        row,
        status=status,
        runs_s=tuple((one.took_s or 0.0) / one.seconds for one in done),
        rtfx=audio_s / took_s if took_s else None,
        wer=errors / words if words else None,
        median=median_interval([(one.took_s or 0.0) / one.seconds for one in done]),
    )
    broken = sum(not one.took_s for one in mine.values())
    return Score(row, len(done), broken, audio_s, took_s, errors, words, wer_interval(counts.errors, counts.words))


def wer_interval(errors: Sequence[int], words: Sequence[int]) -> Interval | None:
    """A corpus's error rate with its 95 % interval: percentiles over resampled clips (Bisani and Ney 2004).

    The seed is fixed, so that candidates on the same clips are resampled alike; None with fewer than two clips.
    """
    if len(errors) < 2 or not sum(words):
        return None
    import numpy as np

    draw = np.random.default_rng(0)
    wrong, of = np.asarray(errors), np.asarray(words)
    rates = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        drawn = draw.integers(0, len(wrong), len(wrong))
        rates[at] = wrong[drawn].sum() / max(1, of[drawn].sum())
    low, high = np.quantile(rates, (0.025, 0.975))
    return Interval(float(wrong.sum() / of.sum()), float(low), float(high))
