"""A race as the JSON object that `run --json` prints and a session keeps: the one form that exports and lists read.

Seconds are floats, memory is in megabytes (10^6 bytes), `wer` is a share of 1. Whoever holds a `Document` may rely on
its types: what comes from a disk is validated by `core.codec` before anybody else sees it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from backends.base import Segment, Transcription
from backends.catalogue import family_of
from speedtest_tui import __version__
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.conditions import Conditions, held_back
from speedtest_tui.core.format import outcome
from speedtest_tui.core.host import Host
from speedtest_tui.core.models.own import is_size
from speedtest_tui.core.models.sizes import parts_of
from speedtest_tui.core.race.plan import Order, Plan, models_in_words, title_of
from speedtest_tui.core.race.row import RaceSnapshot, RaceState, RateName, Row, Status, Verdict, place_of
from speedtest_tui.core.race.statistics import Interval

SCHEMA = 2

WORDS_KEPT = 1000
"""Words whose times are kept, some six minutes of speech. An hour's would be a megabyte for each backend."""


@dataclass(frozen=True)
class ClipFacts:
    """What was transcribed; `sha256` is of the samples, in lower-case hex.

    language: the one by which all error rates count: given, or what most of those say that detected it
    """

    name: str
    seconds: float
    sha256: str | None = None
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    language: str | None = None

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"a clip of {self.seconds} s")


@dataclass(frozen=True)
class PlanFacts:
    """What was to be raced, and in which order it was; `options` are "backend.name=value"."""

    size: str
    backends: tuple[str, ...]
    runs: int
    warmup: int
    order: Order
    language: str | None = None
    timeout_s: float | None = None
    options: tuple[str, ...] = ()
    pulse: bool = False
    max_wer: float | None = None
    candidates: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[str, ...]:
        """What the models are called, each once."""
        return tuple(dict.fromkeys(parts_of(name, self.backends)[1] for name in self.candidates)) or (self.size,)

    @property
    def title(self) -> str:
        """What raced, in a few words."""
        return title_of(self.sizes, len(self.candidates))

    @property
    def models(self) -> str:
        """The same for a column that is called so."""
        return models_in_words(self.sizes)

    @property
    def order_words(self) -> str:
        """ "interleaved", "sequential, each run after a pulse"."""
        return f"{self.order}, each run after a pulse" if self.pulse else self.order


@dataclass(frozen=True)
class ModelFacts:
    """What was to run, as far as it is known; dtype, bits and parameters only where they were observed."""

    source: str
    revision: str | None = None
    path: str | None = None
    cache: str | None = None
    files: tuple[str, ...] = ()
    variant: str | None = None
    dtype: str | None = None
    bits: float | None = None
    parameters: int | None = None
    family: str | None = None


@dataclass(frozen=True)
class ErrorFacts:
    """Why a backend has no result: a kind for programs, what is wrong and what to do for people."""

    kind: str
    message: str
    hint: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Result:
    """One row of the race, with the fields of `race.row.Row` in units that people read; `candidate` is its key.

    size: None where the model is no size of a catalogue but a folder, file, repository or converted model
    wer, cer: as a person counts, that of which `rate` is; where `wer_published` is missing an older version kept it, by
        Whisper's normaliser
    energy_j: of one run, where it is measured; throttled: whether the machine was held back during the race
    detected: whether the model found `language` out
    """

    backend: str
    size: str | None
    status: Status
    error: ErrorFacts | None
    model: ModelFacts | None
    runs_s: tuple[float, ...]
    median_s: float | None
    ci95_s: tuple[float, float] | None
    rtfx: float | None
    rank: int | None
    wer: float | None
    text: str | None
    shared: bool = False
    tied: tuple[str, ...] = ()
    version: str | None = None
    device: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    import_s: float | None = None
    load_s: float | None = None
    first_s: float | None = None
    slower: Interval | None = None
    peak_rss_mb: float | None = None
    peak_footprint_mb: float | None = None
    peak_device_mb: float | None = None
    device_cache_mb: float | None = None
    device_limit_mb: float | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Segment, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    language: str | None = None
    detected: bool = False
    wer_published: float | None = None
    rate: RateName = "WER"
    agreement: float | None = None
    warnings: tuple[str, ...] = ()
    recommended: bool = False
    pareto: bool = False
    candidate: str = ""
    label: str = ""
    cer: float | None = None
    energy_j: float | None = None
    throttled: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidate", self.candidate or f"{self.backend}:{self.size}")
        object.__setattr__(self, "label", self.label or self.backend)
        if any(not run > 0 for run in self.runs_s):
            raise ValueError("a run that took no time")

    @property
    def errors(self) -> float | None:
        """The share that is wrong, of what `rate` says."""
        return self.cer if self.rate == "CER" else self.wer

    @property
    def reason(self) -> str:
        """ "failed: out of memory: use a smaller size"; "" for a result that is ok."""
        if self.status == "ok":
            return ""
        return outcome(self.status, self.error.sentence if self.error else "")

    @property
    def memory_mb(self) -> float | None:
        """As `Row.peak_memory`: the process's own peak or the accelerator's, whichever is larger."""
        own = self.peak_rss_mb if self.peak_footprint_mb is None else self.peak_footprint_mb
        return max((value for value in (own, self.peak_device_mb) if value is not None), default=None)


class Begun:
    """What was started at some time; `started` is UTC, ISO 8601."""

    started: str

    def __post_init__(self) -> None:
        try:
            if self.begun.year < 1970:
                raise ValueError
        except (ValueError, OverflowError):
            raise ValueError(f"{self.started[:40]!r} is no time of a start") from None

    @property
    def begun(self) -> datetime.datetime:
        """When, in local time."""
        return datetime.datetime.fromisoformat(self.started).astimezone()


@dataclass(frozen=True)
class Document(Begun):
    """A session: everything that is kept of a race. `conditions` are those before it and, where it ended, after it."""

    schema: int
    program: str
    started: str
    state: RaceState
    clip: ClipFacts
    host: Host
    plan: PlanFacts
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    verdict: Verdict
    conditions: tuple[Conditions, ...] = ()

    @property
    def ordered(self) -> tuple[Result, ...]:
        """The results, ranked ones first by rank, the others as they stood."""
        return tuple(sorted(self.results, key=place_of))


def from_1(document: Document) -> Document:
    """What schema 1 kept, in which each backend took part once and was its row's key."""
    key = {result.backend: result.candidate for result in document.results}

    def keys(backends: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(key.get(name, name) for name in backends)

    found = document.verdict

    def result(old: Result) -> Result:
        wer, cer = (None, old.wer) if old.rate == "CER" else (old.wer, None)
        size = old.size if old.size and is_size(old.size) else None
        return replace(old, tied=keys(old.tied), size=size, model=with_family(old), wer=wer, cer=cer)

    return replace(
        document,
        schema=SCHEMA,
        plan=replace(document.plan, candidates=tuple(key.values())),
        results=tuple(map(result, document.results)),
        verdict=replace(
            found,
            fastest=key.get(found.fastest, found.fastest),
            tied=keys(found.tied),
            good_enough=keys(found.good_enough),
            recommended=keys(found.recommended),
        ),
    )


def with_family(result: Result) -> ModelFacts | None:
    return result.model and replace(result.model, family=family_of(result.backend, result.model.source))


def build(snapshot: RaceSnapshot, plan: Plan, clip: Clip, host: Host, started: datetime.datetime) -> Document:
    """Describe an ended race."""
    return Document(
        schema=SCHEMA,
        program=f"speedtest-tui {__version__}",
        started=started.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        state=snapshot.state,
        clip=ClipFacts(
            clip.name, round(clip.seconds, 4), clip.sha256(), clip.reference, clip.warnings, snapshot.language or None
        ),
        host=host,
        plan=PlanFacts(
            size=plan.size,
            backends=tuple(entry.name for entry in plan.backends),
            runs=plan.runs,
            warmup=plan.warmup,
            order=snapshot.order,
            pulse=plan.pulse,
            language=plan.language,
            timeout_s=plan.stall_s,
            options=plan.options,
            max_wer=plan.max_wer,
            candidates=tuple(one.name for one in plan.candidates),
        ),
        notes=snapshot.notes,
        results=results_of(snapshot),
        verdict=snapshot.verdict,
        conditions=snapshot.conditions,
    )


def results_of(snapshot: RaceSnapshot) -> tuple[Result, ...]:
    """What is kept of the rows."""
    return tuple(result_of(row, held_back(snapshot.conditions)) for row in snapshot.rows)


def result_of(row: Row, throttled: bool | None = None) -> Result:
    """What is kept of a row."""
    transcription = row.transcription
    return Result(
        backend=row.backend,
        size=row.size if is_size(row.size) else None,
        status=row.status,
        error=ErrorFacts(row.error.kind, row.error.advice.what, row.error.advice.todo) if row.error else None,
        version=row.version or None,
        model=_model(row),
        device=row.loaded.device if row.loaded else None,
        options=dict(row.loaded.options) if row.loaded else {},
        import_s=row.import_s,
        load_s=row.load_s,
        first_s=row.first_s,
        runs_s=row.runs_s,
        median_s=row.median_s,
        ci95_s=(row.median.low, row.median.high) if row.median else None,
        rtfx=row.rtfx,
        rank=row.rank,
        shared=row.shared,
        tied=row.tied,
        slower=row.slower,
        peak_rss_mb=_megabytes(row.peak_rss or None),
        peak_footprint_mb=_megabytes(row.peak_footprint),
        peak_device_mb=_megabytes(row.device_peak),
        device_cache_mb=_megabytes(row.device_cache),
        device_limit_mb=_megabytes(row.device_limit),
        text=transcription.text if transcription else None,
        segments=tuple(transcription.segments) if transcription else (),
        words=_words(transcription) if transcription else (),
        figures=row.figures,
        groups=row.groups,
        language=transcription.language if transcription else None,
        detected=transcription.detected if transcription else False,
        wer=row.wer if row.rate == "WER" else None,
        cer=row.wer if row.rate == "CER" else None,
        throttled=throttled,
        wer_published=row.wer_published,
        rate=row.rate,
        agreement=row.agreement,
        warnings=row.warnings,
        recommended=row.recommended,
        pareto=row.pareto,
        candidate=row.candidate,
        label=row.label,
    )


def _words(transcription: Transcription) -> tuple[Segment, ...]:
    """The words with their times; none at all where there are too many to keep."""
    return tuple(transcription.words) if len(transcription.words) <= WORDS_KEPT else ()


def _model(row: Row) -> ModelFacts | None:
    if row.spec is None:
        return None
    loaded, location = row.loaded, row.location
    return ModelFacts(
        source=row.spec.source,
        revision=(loaded.revision if loaded else location.revision if location else "") or None,
        path=str(location.path) if location and location.path else None,
        cache=location.cache if location else None,
        files=tuple(loaded.files) if loaded else (),
        variant=row.spec.variant or None,
        dtype=loaded.dtype if loaded else None,
        bits=round(loaded.bits, 2) if loaded and loaded.bits else None,
        parameters=loaded.parameters if loaded else None,
        family=family_of(row.backend, row.spec.source),
    )


def _megabytes(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 1)
