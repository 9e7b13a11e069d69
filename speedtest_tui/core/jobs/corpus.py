"""Running candidates over a corpus: each loaded once, each clip transcribed once, resumed where it was ended.

Clips go in blocks, and within a block the candidates take turns, in another order each time: heat and drift fall on all
alike, as in a race, and nobody waits for quiet between two clips.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from itertools import islice
from typing import TypeVar

from backends.base import SAMPLE_RATE
from speedtest_tui.core import host
from speedtest_tui.core.accuracy.corpus import Corpus, Utterance
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import load_several
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.background import Background
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.race.events import CLOSE, ModelLoaded, Transcribe, Transcribed
from speedtest_tui.core.race.groups import Need, crowded
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.prepare import Children, Ready, assign, prepare
from speedtest_tui.core.race.row import Failure, Row, reason, rows_of
from speedtest_tui.core.race.watch import Interruptions, StallWatch, failure, received
from speedtest_tui.core.sessions.corpus import Heard, Run, Store, Tally, digest_of, opened, tally

TICK_S = 0.1
CLOSE_S = 5.0

BLOCK_CLIPS, BLOCK_BYTES = 32, 64 << 20
"""Clips of a block, and bytes of their files: what is decoded at once."""

GIVEN_UP = 3
"""Clips in a row that end a candidate's process before it is left out."""

SILENCE = bytes(4 * SAMPLE_RATE // 2)


M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Progress:
    """One candidate's part. doing: in words while no clip is done; took_s, audio_s: of clips with a result."""

    row: Row
    doing: str = ""
    done: int = 0
    failed: int = 0
    took_s: float = 0.0
    audio_s: float = 0.0

    @property
    def rtfx(self) -> float | None:
        return self.audio_s / self.took_s if self.took_s else None


@dataclass(frozen=True)
class View:
    """How far it is. left_s: seconds until the end, None while nobody can say."""

    rows: tuple[Progress, ...]
    total: int
    resumed: int = 0
    left_s: float | None = None


class Cancelled(Exception):
    """Raised inside the thread only."""


class CorpusRun(Background):
    """Start it, join it; `view` is always the newest state, `tally` what it has come to once it has ended.

    save: whether it is kept, and resumed by the next of the same
    """

    def __init__(self, plan: Plan, corpus: Corpus, *, save: bool = True) -> None:
        super().__init__("corpus")
        self.plan, self.corpus, self.save = plan, corpus, save
        self.rows = list(rows_of(plan.candidates))
        self.heard: list[Heard] = []
        self.store: Store | None = None
        self.unkept = ""
        """Why it is not kept, in words."""
        self.tally: Tally | None = None
        self.view = View(tuple(Progress(row) for row in self.rows), len(corpus.utterances))
        self._known: set[tuple[str, str]] = set()
        self._children = Children()
        self._broken = dict.fromkeys(range(len(self.rows)), 0)
        self._begun = time.monotonic()
        self._ready: Mapping[int, Ready] = {}
        self._file: FileIO | None = None

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def work(self) -> None:
        try:
            self._work()
        except Cancelled:
            pass
        finally:
            for index in self._children.rows():
                self._children.drop(index)
            whole = not self._cancelled.is_set()
            if self.store is not None:
                self.store.close(done=whole)
        self.tally = tally(self.plan, self.corpus, self.heard, self.rows)

    def _work(self) -> None:
        ready = dict(self._prepare())
        if not ready:
            return
        self._open(ready)
        needs = [Need.of(each) for each in ready.values()]
        together = self.plan.order != "sequential" and not crowded(needs, host.available_memory())
        for group in [list(ready)] if together else [[index] for index in ready]:
            self._run({index: ready[index] for index in group})

    def _prepare(self) -> Iterator[tuple[int, Ready]]:
        for index, candidate in enumerate(self.plan.candidates):
            self._check()
            self._tell(index, "finding its model")
            found = prepare(candidate, self.plan.language, self._cancelled)
            if isinstance(found, Ready):
                self.rows[index] = replace(self.rows[index], spec=found.spec, location=found.location)
                yield index, found
            else:
                self._give_up(index, found)

    def _open(self, ready: Mapping[int, Ready]) -> None:
        """Take up what was measured before."""
        weights = [
            f"{ready[index].spec.source}@{ready[index].location.revision} {ready[index].version}"
            if index in ready
            else ""
            for index in range(len(self.rows))
        ]
        run = Run(
            digest_of(self.plan, self.corpus, weights),
            self.corpus.name,
            len(self.corpus.utterances),
            tuple(row.candidate for row in self.rows),
            self.plan.language,
            host.describe(),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        if self.save:
            try:
                self.store = opened(run)
                self._take_over(self.store.heard)
            except OSError as error:
                self.unkept = f"the run cannot be kept ({error.strerror or error})"

    def _take_over(self, heard: Sequence[Heard]) -> None:
        for one in heard:
            self._add(one, kept=True)
        self.view = replace(self.view, resumed=len(heard))

    def _run(self, ready: Mapping[int, Ready]) -> None:
        self._ready = ready
        with tempfile.TemporaryFile(buffering=0) as file:
            assert isinstance(file, FileIO)
            self._file = file
            file.write(SILENCE)
            blocks = list(self._blocks(list(ready)))
            if not blocks:
                return
            for index in ready:
                self._start(index)
            for number, block in enumerate(blocks):
                if not self._children.rows():
                    return
                self._block(number, block)
            for index in self._children.rows():
                self._children[index].send(CLOSE)
            deadline = time.monotonic() + CLOSE_S
            while self._children.rows() and time.monotonic() < deadline:
                for index, report in self._children.reports(TICK_S):
                    if not isinstance(report, Message):
                        self._children.drop(index)

    def _blocks(self, group: Sequence[int]) -> Iterator[list[Utterance]]:
        """Clips that somebody of a group has still to hear."""
        names = [self.rows[index].candidate for index in group]
        waiting = (one for one in self.corpus.utterances if any((name, one.key) not in self._known for name in names))
        while block := list(islice(waiting, BLOCK_CLIPS)):
            while sum(_size(one) for one in block) > BLOCK_BYTES and len(block) > 1:
                half = len(block) // 2
                yield block[:half]
                block = block[half:]
            yield block

    def _block(self, number: int, block: Sequence[Utterance]) -> None:
        assert self._file is not None
        clips = load_several([one.path for one in block], self._file, self._cancelled)
        self._check()
        places, place = [], 0
        for clip in clips:
            size = 4 * len(clip.samples) if isinstance(clip, Clip) else 0
            places.append((place, size))
            place += size
        rows = self._children.rows()
        shift = -number % len(rows) if rows else 0
        for index in (*rows[shift:], *rows[:shift]):
            self._children.wait_until_quiet(self._cancelled, Interruptions())
            if not self.rows[index].warmups_done and (first := next((at for at in places if at[1]), None)):
                warmed = self._hear(index, Transcribe("warm-up", 0, clip=first))
                if isinstance(warmed, Failure):
                    self._start(index)  # that clip will say so when its turn comes
            for one, clip, at in zip(block, clips, places, strict=True):
                self._check()
                self._one(index, one, clip, at)

    def _one(self, index: int, one: Utterance, clip: Clip | UserError, at: tuple[int, int]) -> None:
        name = self.rows[index].candidate
        if (name, one.key) in self._known or self._children.get(index) is None:
            return
        if isinstance(clip, UserError):
            self._add(Heard(name, one.key, 0.0, None, error=str(clip)))
            return
        found = self._hear(index, Transcribe("run", len(self.heard), clip=at))
        if isinstance(found, Failure):
            self._add(Heard(name, one.key, clip.seconds, None, error=str(found.error.advice)))
            self._broken[index] += 1
            if self._broken[index] >= GIVEN_UP:
                self._give_up(index, found)
            else:
                self._start(index)
            return
        self._broken[index] = 0
        spoken = found.transcription
        self._add(
            Heard(
                name,
                one.key,
                clip.seconds,
                found.seconds,
                spoken.text,
                spoken.language,
                spoken.detected,
                spoken.invalid,
            )
        )

    # Children.

    def _start(self, index: int) -> None:
        assert self._file is not None
        ready = self._ready[index]
        self._tell(index, "loading its model")
        self.rows[index] = replace(self.rows[index], warmups_done=0)
        chosen = self.plan.candidates[index].options
        self._children.start(
            index,
            assign(ready.reference, ready.spec, ready.location, self._file.fileno(), self.plan.language, chosen=chosen),
        )
        found = self._await(index, ModelLoaded)
        if isinstance(found, Failure):
            self._give_up(index, found)
        else:
            self.rows[index] = replace(self.rows[index], loaded=found.facts, load_s=found.seconds)
            self._tell(index, "loaded")

    def _hear(self, index: int, command: Transcribe) -> Transcribed | Failure:
        self._children[index].send(command)
        found = self._await(index, Transcribed)
        if isinstance(found, Failure):
            self._children.drop(index)
        else:
            self.rows[index] = replace(
                self.rows[index], warmups_done=1, peak_rss=max(self.rows[index].peak_rss, found.peak_rss)
            )
        return found

    def _await(self, index: int, kind: type[M]) -> M | Failure:
        """Wait for a message of one child; what others say meanwhile is only that they have ended."""
        watch = StallWatch(self.plan.stall_s, time.monotonic())
        doing = "while it loaded its model" if kind is ModelLoaded else "while it transcribed"
        while True:
            self._check()
            for at, report in self._children.reports(TICK_S):
                found = received(self.rows[at], report, doing) if not isinstance(report, Transcribed) else None
                if isinstance(found, Failure):
                    self._children.drop(at)
                    if at == index:
                        return found
                    self._give_up(at, found)
                elif at == index:
                    watch.progressed(time.monotonic())
                    if isinstance(report, kind):
                        return report
            child = self._children.get(index)
            if why := watch.stalled(child.vitals() if child else None):
                self._children.drop(index)
                return failure("timeout", f"{why} {doing}", "give it more with --timeout", status="timeout")

    def _give_up(self, index: int, found: Failure) -> None:
        self._children.drop(index)
        self.rows[index] = replace(self.rows[index], status=found.status, error=found.error, phase="ended")
        self._tell(index, reason(self.rows[index]))

    # What is told.

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _add(self, one: Heard, *, kept: bool = False) -> None:
        if (one.candidate, one.clip) in self._known:
            return
        self._known.add((one.candidate, one.clip))
        self.heard.append(one)
        if self.store is not None and not kept:
            try:
                self.store.add(one)
            except OSError as error:
                self.store.close(done=False)
                self.store, self.unkept = None, f"the run can be kept no further ({error.strerror or error})"
        index = next(at for at, row in enumerate(self.rows) if row.candidate == one.candidate)
        before = self.view.rows[index]
        self._show(
            index,
            replace(
                before,
                doing="",
                done=before.done + 1,
                failed=before.failed + (one.took_s is None),
                took_s=before.took_s + (one.took_s or 0.0),
                audio_s=before.audio_s + (one.seconds if one.took_s else 0.0),
            ),
        )

    def _tell(self, index: int, doing: str) -> None:
        self._show(index, replace(self.view.rows[index], doing=doing))

    def _show(self, index: int, progress: Progress) -> None:
        rows = (*self.view.rows[:index], replace(progress, row=self.rows[index]), *self.view.rows[index + 1 :])
        done = sum(row.done for row in rows)
        left = sum(self.view.total - row.done for row in rows if not row.row.status)
        fresh = done - self.view.resumed
        elapsed = time.monotonic() - self._begun
        left_s = left * elapsed / fresh if fresh > 0 else None
        self.view = replace(self.view, rows=rows, left_s=left_s)


def _size(one: Utterance) -> int:
    try:
        return one.path.stat().st_size
    except OSError:
        return 0
