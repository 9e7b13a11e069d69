"""What is to be raced, and in which order: decided before the first child starts, and kept with the result."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backends.base import BackendEntry
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import about
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.settings import DEFAULT_RUNS, MAX_RUNS

if TYPE_CHECKING:
    from speedtest_tui.core.race.events import TurnKind
    from speedtest_tui.core.race.row import RaceSnapshot, Row

Order = Literal["interleaved", "sequential", "grouped"]
"""`grouped` is never wanted, but comes of too little memory."""

DEFAULT_WARMUP, DEFAULT_STALL_S = 1, 120.0
MAX_CANDIDATES = 50

PULSE = sys.platform == "darwin"
"""Whether races have pulses unless asked. macOS 26 un-wires GPU memory about 1 s after use (llama.cpp #17766): a run
would pay for it the more, the longer its candidate has waited for its turn and the larger its model is."""


@dataclass(frozen=True)
class Plan:
    """One race, a row for each candidate; one that was named twice races once.

    pulse: whether each timed run comes right after an untimed one in the same process, so that all begin alike
    stall_s: how long a backend may go without progress, in seconds
    max_wer: the share of wrong words up to which a text is good enough; None is near the best one's
    """

    candidates: tuple[Candidate, ...]
    runs: int = DEFAULT_RUNS
    warmup: int = DEFAULT_WARMUP
    order: Order = "interleaved"
    language: str | None = None
    stall_s: float = DEFAULT_STALL_S
    pulse: bool = PULSE
    max_wer: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= MAX_RUNS:
            raise UserError(f"{self.runs} runs", f"choose 1 to {MAX_RUNS}")
        if not 1 <= self.warmup <= MAX_RUNS:
            raise UserError(
                f"{self.warmup} warm-up transcriptions",
                "choose 1 or more; the first one compiles kernels and is always reported apart",
            )
        if not self.stall_s > 0:
            raise UserError(f"a time-out of {self.stall_s:g} s", "choose more than 0")
        if not self.candidates:
            raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")
        once = tuple({one.name: one for one in reversed(self.candidates)}.values())[::-1]
        if len(once) > MAX_CANDIDATES:
            raise UserError(f"{len(once)} candidates", f"race up to {MAX_CANDIDATES} at a time")
        object.__setattr__(self, "candidates", once)

    @property
    def backends(self) -> tuple[BackendEntry, ...]:
        """The backends that take part, each once."""
        return tuple(dict.fromkeys(one.entry for one in self.candidates))

    @property
    def sizes(self) -> tuple[str, ...]:
        """What the models are called, each once."""
        return tuple(dict.fromkeys(one.size for one in self.candidates))

    @property
    def size(self) -> str:
        """The same in words."""
        return ", ".join(self.sizes)

    @property
    def title(self) -> str:
        """What races, in a few words."""
        return title_of(self.sizes, len(self.candidates))

    @property
    def models(self) -> str:
        """The same where "size" is said already."""
        return models_in_words(self.sizes)

    @property
    def options(self) -> tuple[str, ...]:
        """What single backends are set to, as people type it: "parakeet-mlx.beam=4"."""
        texts = [f"{one.backend}.{name}={value}" for one in self.candidates for name, value in one.options]
        return tuple(dict.fromkeys(texts))


SHORT = 24
"""Characters of several sizes that are named rather than counted."""


def models_in_words(sizes: Sequence[str]) -> str:
    """ "small", "small, turbo", "7 models"."""
    words = ", ".join(sizes)
    return words if len(sizes) < 2 or len(words) <= SHORT else f"{len(sizes)} models"


def title_of(sizes: Sequence[str], count: int) -> str:
    """ "size small", "sizes small, turbo", "12 candidates"."""
    words = models_in_words(sizes)
    if words != ", ".join(sizes):
        return f"{count} candidates"
    return f"{'size' if len(sizes) < 2 else 'sizes'} {words}"


@dataclass(frozen=True)
class Turn:
    """One transcription: `row` is an index into the plan's backends, `index` counts from 0 within its kind."""

    row: int
    kind: TurnKind
    index: int


def interleaved(rows: Sequence[int], warmup: int, runs: int) -> tuple[Turn, ...]:
    """Rounds in which everybody transcribes once, the last of one round first in the next: A B C, C A B, B C A.

    Heat, clock drift and the position in a round then fall on all alike.
    """
    turns = [Turn(row, "warm-up", index) for index in range(warmup) for row in rows]
    for index in range(runs):
        shift = -index % len(rows) if rows else 0
        turns += [Turn(row, "run", index) for row in (*rows[shift:], *rows[:shift])]
    return tuple(turns)


BETWEEN_S = 0.1
"""Two runs are at least that far apart: see `watch.wait_until_quiet`."""


@dataclass(frozen=True)
class Progress:
    """How far a race is. Rows that ended without a result count with the runs that they have.

    step: what is done now, in a word or two; "" while runs are timed
    run: the round of `runs` that is run; done, total: timed runs of all rows
    left_s: seconds until the last run has ended; None while some row has not transcribed once
    """

    step: str
    run: int
    runs: int
    done: int
    total: int
    left_s: float | None = None

    @property
    def words(self) -> str:
        """ "run 2 of 5 · 11 of 30 · about 14 s left": its figures keep their places."""
        left = f"about {about(self.left_s)} left" if self.left_s is not None else ""
        several = self.total > self.runs and (self.done or not self.step)
        counted = f"{self.done:{len(str(self.total))}} of {self.total}" if several else ""
        return " · ".join(filter(None, (self.step or f"run {self.run} of {self.runs}", counted, left)))

    @property
    def short(self) -> str:
        """The same for where width is short."""
        left = about(self.left_s) if self.left_s is not None else ""
        return " · ".join(filter(None, (self.step or f"run {self.run}/{self.runs}", left)))


def _left(row: Row, plan: Plan) -> tuple[int, int]:
    """Runs and warm-ups that a row has before it; those of an anchor that warmed up for another group included."""
    if row.phase == "ended" and len(row.runs_s) >= plan.runs:
        return 0, 0
    laps = max(1, math.ceil(row.warmups_done / plan.warmup))
    return max(0, laps * plan.runs - len(row.runs_s)), max(0, laps * plan.warmup - row.warmups_done)


def progress(snapshot: RaceSnapshot, plan: Plan, clip_s: float, now: float) -> Progress:
    """How far a race of a clip of `clip_s` seconds is at `now`, on the monotonic clock.

    A row's runs are expected to take its median, before the first one what its first transcription took. What an anchor
    runs again in a later group takes time, but is not counted among its runs.
    """
    from speedtest_tui.core.race.events import PULSE_S

    rows = [row for row in snapshot.rows if not row.status]
    here = [row for row in rows if row.load_s is not None and len(row.runs_s) < plan.runs]
    left = {row.candidate: _left(row, plan) for row in rows}
    cold = [row for row in here if row.warmups_done < plan.warmup]
    begun = any(row.warmups_done or row.phase == "warming" for row in here)
    waiting = any(row.phase == "waiting" for row in rows) and (snapshot.order != "sequential" or not here)
    step = ""
    if snapshot.state == "preparing":
        step = "preparing"
    elif any(row.phase in ("starting", "importing", "loading") for row in rows) or (waiting and not begun):
        step = f"loading {min(1 + sum(row.load_s is not None for row in rows), len(rows))} of {len(rows)}"
    elif cold:
        step = f"warming up {1 + sum(row.warmups_done >= plan.warmup for row in rows)} of {len(rows)}"
    elif rows and not any(runs for runs, _ in left.values()):
        step = "comparing the texts"
    pulse = min(1.0, PULSE_S / clip_s) if plan.pulse else 0.0
    done = [min(len(row.runs_s), plan.runs) for row in snapshot.rows]
    left_s = 0.0
    for row in rows:
        one = row.median_s or row.first_s or math.inf
        runs, warmups = left[row.candidate]
        needed = runs * (one * (1 + pulse) + BETWEEN_S) + warmups * (one + BETWEEN_S) if runs else 0.0
        at_work = min(now - row.since, one * (1 + pulse)) if row.phase in ("running", "warming") else 0.0
        left_s += max(0.0, needed - at_work)
    return Progress(
        step,
        run=1 + min((len(row.runs_s) for row in here), default=plan.runs - 1),
        runs=plan.runs,
        done=sum(done),
        total=sum(one if row.status else plan.runs for row, one in zip(snapshot.rows, done, strict=True)),
        left_s=left_s if left_s and math.isfinite(left_s) else None,
    )
