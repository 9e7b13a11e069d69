"""How models and caches are put into words, the same in every table: their state, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from backends.base import Advice
from speedtest_tui.core import format as figures
from speedtest_tui.core.format import LOOKS, Mood
from speedtest_tui.core.models.inspect import command, explained, location_of, name_of, options_of, other_layout
from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.status import (
    CACHE_NAMES,
    CacheName,
    CacheState,
    Fault,
    FaultKind,
    ModelReport,
    StateName,
)

SHORT: dict[StateName, str] = {"evicted": "iCloud", "broken-link": "link", "wrong-layout": "layout"}
"""Words for narrow columns."""

ProblemKind = FaultKind | Literal["missing", "unavailable", "no-model", "does-not-load", "cache"]


# States.


def short(state: CacheState) -> tuple[str, Mood]:
    """A state in at most nine cells: "✓ 139 MB", "▒ 37 %", "✗ damaged", "–", "n/a"."""
    look = LOOKS[state.state]
    if state.state == "complete":
        return f"{look.glyph} {figures.megabytes(state.bytes / 1e6)}", look.mood
    if state.state == "partial":
        return f"{look.glyph} {figures.percent(_share(state)) if state.expected_bytes else look.word}", look.mood
    if state.state == "missing":
        return look.glyph, look.mood
    return f"{look.glyph} {SHORT.get(state.state, look.word)}".strip(), look.mood


def long(state: CacheState) -> tuple[str, Mood]:
    """Glyph and word, with the share of a partial one: "✓ complete", "▒ partial 37 %"."""
    look, known = LOOKS[state.state], _share(state)
    figure = f" {figures.percent(known)}" if state.state == "partial" and known is not None else ""
    return f"{look.glyph} {look.word}{figure}".strip(), look.mood


def _share(state: CacheState) -> float | None:
    """How much of a model is there, from 0 to 1, where that is known."""
    return min(1.0, state.bytes / state.expected_bytes) if state.expected_bytes else None


def loads(report: ModelReport) -> tuple[str, Mood]:
    """What came of loading it: "✓ 0.4 s", "✗ no", "? stale", "? stuck"; "·" where nobody has tried."""
    verified = report.verified
    if verified is None:
        return "·", "quiet"
    if verified.stale:
        return "? stale", "needs-you"
    if verified.ok:
        return f"✓ {verified.seconds:.1f} s", "good"
    # Given up for want of progress: that says little of the model.
    return ("? stuck", "needs-you") if verified.outcome == "gave-up" else ("✗ no", "bad")


def model_name(report: ModelReport) -> str:
    """The model in as few letters as identify it: the repository without its owner, the .pt file's name."""
    if report.spec is None:
        return f"no {report.size} model"
    source = report.spec.source
    return source.partition("/")[0] if report.spec.kind == "embedded" else source.rpartition("/")[2]


def nearest(report: ModelReport) -> CacheState:
    """The state worth showing where only one can be: the best one of all caches."""
    return best(*(state for _, state in report.states), CacheState("not-applicable"))


def best(*states: CacheState) -> CacheState:
    """The one that is nearest to complete; of equals the first."""
    order = get_args(StateName)
    return min(states, key=lambda state: order.index(state.state))


# Problems.


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, and what to do about it.

    kind: of the fault on disk; or why there is none to name
    model: what it is about: a backend and size, or a row of the scan
    counts: whether what was asked about cannot be used because of it
    """

    kind: ProblemKind
    model: str
    advice: Advice
    counts: bool
    cache: CacheName | None = None
    path: Path | None = None
    file: str = ""


def refuted(report: ModelReport) -> bool:
    """Whether loading was tried and failed, with the files and libraries that are here now."""
    return report.verified is not None and not report.verified.stale and not report.verified.ok


def can_run(report: ModelReport) -> bool:
    """Whether a race can run this: installed, files whole, and not known to fail."""
    return report.usable and not report.unavailable and not refuted(report)


def of_report(report: ModelReport, *, named: bool) -> tuple[Problem, ...]:
    """What is to be said of one model; nothing where it is whole wherever it is.

    named: whether its backend was asked for by name: what is not installed is else no fault of what was asked
    """
    model = f"{report.backend} {report.size}"
    if (why := report.unavailable) is not None:
        advice = Advice(why.sentence(report.backend), why.advice.todo)
        kind: ProblemKind = "no-model" if why.kind == "no-model" else "unavailable"
        return (Problem(kind, model, advice, named or why.kind == "broken"),)
    if report.spec is None:
        return ()
    if report.spec.missing_reason:
        why_not = explained(report.spec, report.states)
        return (Problem("no-model", model, Advice(f"{model}: {why_not.what}", why_not.todo), named),)
    return tuple(_of_files(report, model))


def _of_files(report: ModelReport, model: str) -> Iterator[Problem]:
    spec = report.spec
    assert spec is not None
    options = options_of(report.backend, report.size)
    if location_of(spec, report.states) is None and not (spec.kind == "embedded" and report.location):
        yield _unusable(report, explained(spec, report.states, options), model)
    else:
        yield from _copies(report, model, options)
    if refuted(report) and report.verified is not None:
        # Giving up says little of the files; a failure may be theirs.
        if report.verified.outcome == "gave-up":
            todo = f"try again: {command('check-models --verify', options)}"
        else:
            todo = f"compare its files with their hashes: {command('check-models --checksum', options)}"
        path = Path(report.verified.path) if report.verified.path else None
        yield Problem("does-not-load", model, Advice(f"{model}: {report.verified.message}", todo), True, path=path)


def _unusable(report: ModelReport, why: Advice, model: str) -> Problem:
    """The one problem of a model that is whole nowhere; it counts unless the fallback is."""
    what = f"{model}: {why.what}"
    counts = report.location is None
    if not counts and report.fallback is not None and report.fallback.spec is not None:
        what += f"; {report.fallback.spec.source} runs in its place"
    advice = Advice(what, why.todo)
    begun = [(cache, state) for cache, state in report.states if state.state not in ("missing", "not-applicable")]
    if not begun:
        return Problem("missing", model, advice, counts)
    cache, state = begun[0]
    if (blocked := state.obstacle) and blocked.detail == why.what:
        # The same for all models that may lie behind it.
        return Problem("cache", model, why, counts, cache, blocked.path)
    if not state.faults:
        return Problem("missing-file", model, advice, counts, cache, state.path or state.repository)
    first = state.faults[0]
    return Problem(first.kind, model, advice, counts, cache, first.path, first.name)


def _copies(report: ModelReport, model: str, options: str) -> Iterator[Problem]:
    """What is wrong with the other copies of a model that can be used."""
    assert report.spec is not None
    repair = "it is unpacked again" if report.spec.kind == "embedded" else command("repair", options)
    for cache, state in report.states:
        other = other_layout(report.spec, state, options)
        todo = other.todo if other else repair
        if blocked := state.obstacle:
            yield Problem("cache", model, Advice(blocked.detail, blocked.todo), False, cache, blocked.path)
            continue
        for fault in state.faults:
            what = f"{model}: {name_of(report.spec)} in the {CACHE_NAMES[cache]} cache: {fault.detail}"
            yield Problem(fault.kind, model, Advice(what, todo), False, cache, fault.path, fault.name)


def faults_of(report: ModelReport) -> Iterator[tuple[CacheName, Fault]]:
    """Every fault of a model's files, those of its fallback included."""
    for cache, state in report.states:
        for fault in state.faults:
            yield cache, fault
    if report.fallback is not None:
        yield from faults_of(report.fallback)


def of_caches(
    stored: Sequence[Stored], uses: Sequence[CacheUse], reports: Sequence[ModelReport]
) -> tuple[Problem, ...]:
    """What is wrong in the caches beyond what has been said of models."""
    faults = [fault for report in reports for _, fault in faults_of(report)]
    known, said = {fault.path for fault in faults}, {fault.detail for fault in faults}
    found = [
        Problem("cache", str(use.root), use.problem, False, use.cache, use.root)
        for use in uses
        if use.problem and use.problem.what not in said
    ]
    for row in stored:
        for fault in row.faults:
            if fault.path not in known:
                what = f"{row.name} in the {CACHE_NAMES[row.cache]} cache: {fault.detail}"
                todo = "left alone: move it away yourself" if fault.kind == "foreign" else command("repair", "--all")
                advice = Advice(what, fault.todo or todo)
                found.append(Problem(fault.kind, row.name, advice, False, row.cache, fault.path, fault.name))
    return tuple(found)
