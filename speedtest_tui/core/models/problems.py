"""What is to be said of models and caches: what is wrong, what to do, and whether it keeps a race from running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.locate import NotFound, command, explained, location_of, name_of
from speedtest_tui.core.models.status import CACHE_NAMES, CacheName, Fault, FaultKind, ModelReport

ProblemKind = FaultKind | Literal["missing", "unavailable", "no-model", "does-not-load", "cache"]

GENERAL = "--all"
"""What makes a command look at everything."""


@dataclass(frozen=True)
class Problem:
    """One sentence, and what to do.

    kind: of the fault on disk; or why there is none to name
    model: what it is about: a backend and size, or a row of the scan
    counts: whether what was asked about cannot be used because of it
    """

    kind: ProblemKind
    model: str
    detail: str
    todo: str
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
    if report.spec is None or report.unavailable:
        return (_unavailable(report, model, named=named),)
    if report.spec.missing_reason:
        missing = explained(report.spec, report.states)
        return (Problem("no-model", model, f"{model}: {missing.reason}", missing.hint, named),)
    return tuple(_of_files(report, model))


def _unavailable(report: ModelReport, model: str, *, named: bool) -> Problem:
    if report.unavailable.startswith("its code failed"):
        todo = "report it to those who provide it, or leave this backend out"
        return Problem("unavailable", model, f"{report.backend}: {report.unavailable}", todo, True)
    reason, _, fix = report.unavailable.partition(": ")
    if fix:
        return Problem("unavailable", model, f"{report.backend} is {reason}", fix, named)
    todo = "choose another size, or leave this backend out"
    return Problem("no-model", model, f"{report.backend} {reason}", todo, named)


def _of_files(report: ModelReport, model: str) -> Iterator[Problem]:
    spec = report.spec
    assert spec is not None
    options = f"--size {report.size} --backends {report.backend}"
    if location_of(spec, report.states) is None and spec.kind != "embedded":
        yield _unusable(report, explained(spec, report.states, options), model)
    else:
        yield from _copies(report, model, options)
    if refuted(report) and report.verified is not None:
        # Giving up says little of the files; a failure may be theirs.
        gave_up = report.verified.outcome == "gave-up"
        check = "check-models --verify" if gave_up else "check-models --checksum"
        todo = f"{'try again' if gave_up else 'compare its files with their hashes'}: {command(check, options)}"
        path = Path(report.verified.path) if report.verified.path else None
        yield Problem("does-not-load", model, f"{model}: {report.verified.message}", todo, True, path=path)


def _unusable(report: ModelReport, why: NotFound, model: str) -> Problem:
    """The one problem of a model that is whole nowhere; it counts unless the fallback is."""
    detail = f"{model}: {why.reason}"
    counts = report.location is None
    if not counts and report.fallback is not None and report.fallback.spec is not None:
        detail += f"; {report.fallback.spec.source} runs in its place"
    begun = [(cache, state) for cache, state in report.states if state.state not in ("missing", "not-applicable")]
    if not begun:
        return Problem("missing", model, detail, why.hint, counts)
    cache, state = begun[0]
    if not state.faults:
        return Problem("missing-file", model, detail, why.hint, counts, cache, state.path or state.repository)
    first = state.faults[0]
    return Problem(first.kind, model, detail, why.hint, counts, cache, first.path, first.name)


def _copies(report: ModelReport, model: str, options: str) -> Iterator[Problem]:
    """What is wrong with the other copies of a model that can be used."""
    for cache, state in report.states:
        for fault in state.faults:
            detail = f"{model}: {_name(report)} in the {CACHE_NAMES[cache]} cache: {fault.detail}"
            todo = (
                "it is unpacked anew" if report.spec and report.spec.kind == "embedded" else command("repair", options)
            )
            yield Problem(fault.kind, model, detail, todo, False, cache, fault.path, fault.name)


def _name(report: ModelReport) -> str:
    return name_of(report.spec) if report.spec else report.backend


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
    said = {fault.path for report in reports for _, fault in faults_of(report)}
    found = [
        Problem(
            "cache",
            str(use.root),
            f"{use.root}: {use.problem}",
            "change its permissions or choose another",
            False,
            use.cache,
            use.root,
        )
        for use in uses
        if use.problem
    ]
    for row in stored:
        for fault in row.faults:
            if fault.path not in said:
                detail = f"{row.name} in the {CACHE_NAMES[row.cache]} cache: {fault.detail}"
                todo = command("repair", GENERAL)
                found.append(Problem(fault.kind, row.name, detail, todo, False, row.cache, fault.path, fault.name))
    return tuple(found)
