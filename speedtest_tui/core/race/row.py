"""The state of a race at one moment, frozen: what crosses from the supervisor to whoever shows it; a row in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from backends.base import Advice, Loaded, Location, ModelSpec, Transcription
from speedtest_tui.core import format
from speedtest_tui.core.models.sizes import Candidate, labels
from speedtest_tui.core.race.statistics import Interval

if TYPE_CHECKING:
    from speedtest_tui.core.conditions import Conditions
    from speedtest_tui.core.race.plan import Order

Phase = Literal[
    "waiting", "preparing", "starting", "importing", "loading", "loaded", "warming", "running", "resting", "ended"
]
"""Where a backend is. `loaded` and `resting` wait for their turn, `ended` has a status."""

Status = Literal["", "ok", "failed", "timeout", "cancelled", "unavailable", "missing-model", "invalid"]

RateName = Literal["WER", "CER"]

ACTIVE_PHASES = frozenset({"preparing", "starting", "importing", "loading", "warming", "running"})
"""Phases in which the backend itself is at work, and a clock on screen should tick."""


@dataclass(frozen=True)
class RowError:
    """Why a row has no result: a kind for programs, what and what to do for people."""

    kind: str
    advice: Advice


@dataclass(frozen=True)
class Failure:
    """How a row ends without a result; `spec` is its model where that is known only by now."""

    status: Status
    error: RowError
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class Row:
    """One candidate in a race. Seconds everywhere; `since` is when its phase began, on the monotonic clock.

    candidate: its name, which is unique in its race and the key of this row; label: what people read there
    runs_s: steady runs only; first_s is the first transcription in the process and never among them
    run_figures: what the backend measured beside, for each of these runs
    groups: for each of them the number of the group in which it was, from 1; empty where all ran together, or each
        alone
    rank: 1 for the fastest; `shared` with those that cannot be told apart from the fastest of that rank
    tied: all rows that this one cannot be told apart from
    recommended: the fastest whose text is good enough, or one of several alike; pareto: nobody beats it in both
    peak_rss, rss: resident bytes; peak_footprint: bytes as macOS counts them, None elsewhere
    device_peak, device_cache: largest bytes in use on the accelerator, and kept there for later use
    device_held, device_limit: bytes in use and kept now, and how many all processes may have there together
    wer: share of words (where `rate` is "CER", of characters) that are wrong as a person counts; wer_published: by
        Whisper's normaliser
    agreement: without a reference, the share of words that the majority has as well; see `accuracy.agreement`
    memory_trace: bytes over time, of the footprint or else resident, one value every 0.1 s at most, the newest last
    """

    backend: str
    size: str
    phase: Phase = "waiting"
    since: float = 0.0
    status: Status = ""
    error: RowError | None = None
    spec: ModelSpec | None = None
    location: Location | None = None
    version: str = ""
    loaded: Loaded | None = None
    import_s: float | None = None
    load_s: float | None = None
    first_s: float | None = None
    warmups_done: int = 0
    runs_s: tuple[float, ...] = ()
    run_figures: tuple[tuple[tuple[str, float], ...], ...] = ()
    groups: tuple[int, ...] = ()
    rss: int = 0
    peak_rss: int = 0
    peak_footprint: int | None = None
    device_peak: int | None = None
    device_cache: int | None = None
    device_held: int | None = None
    device_limit: int | None = None
    memory_trace: tuple[int, ...] = ()
    transcription: Transcription | None = None
    warnings: tuple[str, ...] = ()
    wer: float | None = None
    wer_published: float | None = None
    rate: RateName = "WER"
    agreement: float | None = None
    median: Interval | None = None
    rtfx: float | None = None
    rank: int | None = None
    shared: bool = False
    tied: tuple[str, ...] = ()
    slower: Interval | None = None
    """How many times slower than the fastest: 1 for that one itself, None where no interval can be given."""
    recommended: bool = False
    pareto: bool = False
    candidate: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidate", self.candidate or f"{self.backend}:{self.size}")
        object.__setattr__(self, "label", self.label or self.backend)

    @property
    def peak_memory(self) -> int:
        """Bytes for the memory column: the process's own peak or the accelerator's, whichever is larger."""
        return max(self.peak_footprint or self.peak_rss, self.device_peak or 0)

    @property
    def errors(self) -> float | None:
        """The share that is wrong, of what `rate` says."""
        return self.wer

    @property
    def median_s(self) -> float | None:
        from statistics import median

        return median(self.runs_s) if self.runs_s else None

    def runs_in(self, group: int) -> tuple[float, ...]:
        """The runs in one group; all where there are none."""
        if not self.groups:
            return self.runs_s
        return tuple(run for run, number in zip(self.runs_s, self.groups, strict=True) if number == group)

    @property
    def figures(self) -> dict[str, float]:
        """The median of each of the backend's own figures over the runs that have it."""
        from statistics import median

        values: dict[str, list[float]] = {}
        for run in self.run_figures:
            for name, value in run:
                values.setdefault(name, []).append(value)
        return {name: median(found) for name, found in values.items()}


def rows_of(candidates: Sequence[Candidate], since: float = 0.0) -> tuple[Row, ...]:
    """The rows of a race that has not begun."""
    return tuple(
        Row(one.backend, one.size, since=since, candidate=one.name, label=label)
        for one, label in zip(candidates, labels(candidates), strict=True)
    )


@dataclass(frozen=True)
class Verdict:
    """Who won, whether the intervals allow saying so, the sentence for people, and who shares the first rank.

    All are names of candidates.
    good_enough: those whose text is, the fastest first; recommended: the fastest of them, several where they are alike
    answer: which one to use, or why none is recommended and what to do, in words
    """

    fastest: str = ""
    significant: bool = False
    sentence: str = ""
    tied: tuple[str, ...] = ()
    good_enough: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    answer: str = ""


RaceState = Literal["preparing", "racing", "done", "cancelled"]


@dataclass(frozen=True)
class RaceSnapshot:
    """All rows at one moment. `notes` are remarks on the race as a whole; conditions: before it, and after it.

    doubts: those notes that are about the texts
    language: of the clip, one for all rows, once the race has ended: given, or what most of those say that detect it
    """

    rows: tuple[Row, ...]
    state: RaceState
    order: Order = "interleaved"
    notes: tuple[str, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    conditions: tuple[Conditions, ...] = ()
    language: str = ""
    doubts: tuple[str, ...] = ()

    def ordered(self) -> tuple[Row, ...]:
        """The rows as a screen shows them: in the plan's order, and once the race has ended in order of rank."""
        return tuple(sorted(self.rows, key=place_of)) if self.ended else self.rows

    @property
    def ended(self) -> bool:
        return self.state in ("done", "cancelled")


WORDS = {
    "waiting": "waiting",
    "preparing": "finding its model",
    "starting": "starting",
    "importing": "importing its library",
    "loading": "loading its model",
    "loaded": "loaded, waiting for its turn",
    "warming": "warming up",
    "resting": "waiting for its turn",
    "ended": "finished",
}


def headline(row: Row, runs: int) -> str:
    """What a row is doing or how it ended: "run 3 of 5", "0.145 s ±0.003", "failed: ..."."""
    if row.status and row.status != "ok":
        return reason(row)
    if row.status == "ok" or (row.phase == "ended" and row.runs_s):
        spread = f" {format.half_width(row.median.low, row.median.high)}" if row.median else ""
        return format.seconds(row.median_s) + spread
    if not row.runs_s or row.phase in ("starting", "importing", "loading", "loaded"):
        return f"run 1 of {runs}" if row.phase == "running" else WORDS[row.phase]
    # A pulse warms up as well, for the run that comes at once.
    done = f"run {next_run(row, runs)}" if row.phase in ("running", "warming") else f"{runs_done(row, runs)}"
    return f"{format.seconds(row.median_s)}  {done} of {runs}"


def next_run(row: Row, runs: int) -> int:
    """Which run comes next, of `runs`: an anchor begins at 1 again in each group."""
    return len(row.runs_s) % runs + 1


def runs_done(row: Row, runs: int) -> int:
    """How many of `runs` a row has, an anchor in its last group."""
    return (len(row.runs_s) - 1) % runs + 1 if row.runs_s else 0


def reason(row: Row) -> str:
    """How a row ended without a result and what to do about it, as one sentence; empty where it has one."""
    return format.outcome(row.status, str(row.error.advice)) if row.error else ""


def look(row: Row) -> format.Look:
    """How its state is shown before it has a rank; of a model that is there but cannot be used, its own."""
    if row.status == "missing-model" and row.error and row.error.kind in format.LOOKS:
        return format.LOOKS[row.error.kind]
    return format.LOOKS[row.status or ("active" if row.phase in ACTIVE_PHASES else "waiting")]


class Placed(Protocol):
    """What has a place in a list of results: a row, or what is kept of one."""

    @property
    def rank(self) -> int | None: ...
    @property
    def shared(self) -> bool: ...
    @property
    def slower(self) -> Interval | None: ...
    @property
    def median_s(self) -> float | None: ...
    @property
    def groups(self) -> tuple[int, ...]: ...
    @property
    def recommended(self) -> bool: ...


def place_of(row: Placed) -> tuple[float, float, float]:
    """For sorting: by rank, within a rank by median, of groups by how much slower; others last and as they stood."""
    slower = (row.slower.value if row.slower else float("inf")) if row.groups else 0.0
    return (row.rank, slower, row.median_s or 0.0) if row.rank else (float("inf"), 0.0, 0.0)


def rank_mark(row: Placed) -> str:
    """ "1", or "1=" where others share the rank; "" without one."""
    return f"{row.rank}{'=' if row.shared else ''}" if row.rank else ""


def place_mark(row: Placed) -> str:
    """The same behind the mark of what is recommended, or behind its place: "★1=", " 2"."""
    return (format.LOOKS["recommended"].glyph if row.recommended else " ") + rank_mark(row) if row.rank else ""


def answer_line(verdict: Verdict) -> str:
    """The answer behind its mark; empty in sessions of earlier versions."""
    mark = format.LOOKS["recommended"].glyph if verdict.recommended else ""
    return f"{mark} {verdict.answer}".strip()


class Rated(Protocol):
    """What has an error rate or an agreement: a row, or what is kept of one."""

    @property
    def errors(self) -> float | None: ...
    @property
    def rate(self) -> RateName: ...
    @property
    def agreement(self) -> float | None: ...


def quality_title(rows: Iterable[Rated]) -> str:
    """What stands above the quality of texts: "WER", "CER", "agree" without a reference, "" where none is known."""
    found = {row.rate if row.errors is not None else "agree" if row.agreement is not None else "" for row in rows}
    return max(found, key=("", "agree", "WER", "CER").index, default="")


def errors_of(row: Rated, rows: Iterable[Rated]) -> float | None:
    """A share of wrong words: against the reference, else of those that the other rows do not agree upon."""
    if any(one.errors is not None for one in rows):
        return row.errors
    return None if row.agreement is None else 1 - row.agreement


REFERENCE, MAJORITY = "the reference", "the majority"


def against(rows: Iterable[Rated]) -> str:
    """From what the differences of these rows' texts are."""
    return MAJORITY if quality_title(rows) in ("", "agree") else REFERENCE


def quality(row: Rated) -> str:
    """The figure below that title."""
    return format.percent(row.agreement if row.errors is None else row.errors)


def quality_mood(row: Rated) -> format.Mood:
    """How it looks: an agreement as what it lacks to all words would."""
    if row.errors is None and row.agreement is not None:
        return format.error_mood(1 - row.agreement)
    return format.error_mood(row.errors)


def source_name(source: str) -> str:
    """Where a model comes from as people read it: of a URL its file alone."""
    return source.rpartition("/")[2] if "://" in source else source


def relative(row: Placed) -> str:
    """ "fastest", "1.4× (tied)" or "2.8× slower"."""
    if not row.rank:
        return ""
    if row.rank == 1:
        factor = row.slower.value if row.slower else 1.0
        return ("tied" if factor < 1.005 else f"{format.factor(factor)} (tied)") if row.shared else "fastest"
    return format.slower(row.slower.value) if row.slower else ""
