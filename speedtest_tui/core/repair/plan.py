"""The plan of a repair: from what was found, the steps in the order in which they help each other. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from speedtest_tui.core.models import layout
from speedtest_tui.core.models.inspect import command, explained, options_of
from speedtest_tui.core.models.inventory import Duplicate, Stored
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.repair.plan_cache import Row, left_alone, merge, plan_row
from speedtest_tui.core.repair.plan_model import BrokenModel, plan_fix
from speedtest_tui.core.repair.step import DOWNLOADS, Note, Plan, Step, StepKind

ORDER: tuple[StepKind, ...] = (
    "relink", "adopt", "unpack", "write-ref", "resume", "download", "clear-partial", "clear-lock",
    "copy", "move", "merge", "trash",
)  # fmt: skip
"""What costs nothing first; partials are cleared after the downloads that may have continued them."""


def plan(
    reports: Sequence[ModelReport],
    stored: Sequence[Stored],
    duplicates: Sequence[Duplicate] = (),
    *,
    symlinks: bool = False,
    sources: Sequence[Stored] | None = None,
) -> Plan:
    """Say what would repair the models of `reports` and the rows of `stored`.

    stored: the rows to be repaired as well
    symlinks: offer links where equal files lie on different file systems
    sources: rows whose files may be used to repair others; those of `stored` where None
    A missing model is no fault: a note names the command that downloads it.
    """
    broken = list(_broken(reports))
    steps, notes = list[Step](), list[Note]()
    for model in broken:
        found = plan_fix(model, stored if sources is None else sources)
        steps += found.steps
        notes += found.notes
    steps = _united(steps)
    notes += _missing(reports)
    planned = {file.path for model in broken for file in model.state.files if file.fault}
    planned.update(path for step in steps for path in step.replaces)
    linked = {step.path for step in steps if step.kind in ("relink", "adopt")}
    for row in stored:
        specs = tuple({model.spec: None for model in _all(reports) if model.spec.source == row.name})
        downloaded = any(step.kind in DOWNLOADS and _is_in(step, row) for step in steps)
        found = plan_row(Row(row, specs, planned, linked, downloaded))
        steps += found.steps
        notes += found.notes
    notes += left_alone(stored)
    roots = {row.root: row.cache for row in (stored if sources is None else sources)}
    for duplicate in duplicates:
        steps += merge(duplicate, roots, symlinks)
    ordered = sorted(_united(steps), key=lambda step: (step.optional, ORDER.index(step.kind)))
    return Plan(tuple(ordered), tuple(dict.fromkeys(notes)))


def _broken(reports: Iterable[ModelReport]) -> Iterator[BrokenModel]:
    for model in _all(reports):
        if model.state.state not in ("complete", "missing", "not-applicable"):
            yield model


def _all(reports: Iterable[ModelReport]) -> Iterator[BrokenModel]:
    """Every model in every cache, fallbacks included."""
    for report in reports:
        download = command("download", options_of(report.backend, report.size))
        one: ModelReport | None = report
        while one is not None:
            if one.spec is not None:
                for cache, state in one.states:
                    ready = one.fallback is not None and one.fallback.usable
                    yield BrokenModel(one.spec, cache, state, download, ready)
            one = one.fallback


def _missing(reports: Iterable[ModelReport]) -> Iterator[Note]:
    for report in reports:
        states = {state.state for one in (report, report.fallback) if one for _, state in one.states}
        wanted = report.spec is not None and report.spec.kind in ("hub", "openai") and not report.spec.missing_reason
        if wanted and not report.usable and report.spec and states <= {"missing", "not-applicable"}:
            yield Note(
                report.spec.source, None, explained(report.spec, report.states, options_of(report.backend, report.size))
            )


def _is_in(step: Step, row: Stored) -> bool:
    """Whether a download goes into a row."""
    if step.request is None or row.layout != "hub":
        return step.path == row.path
    return row.path == layout.repository_folder(step.request.root, step.request.source)


def _united(steps: Sequence[Step]) -> list[Step]:
    """Each change once: two backends may want the same file, and two downloads of one model are one."""
    found: dict[tuple[str, Path, bool], list[Step]] = {}
    for step in steps:
        key: tuple[str, Path, bool] = (step.kind, step.path, step.optional)
        if step.request is not None:
            key = (step.request.source, step.request.root, step.optional)
        found.setdefault(key, []).append(step)
    return [_joined(group) for group in found.values()]


def _joined(group: Sequence[Step]) -> Step:
    """The downloads of one model into one cache as one, with the files that any of them needs."""
    requests = [step.request for step in group if step.request is not None]
    if len(group) == 1 or not requests:
        return group[0]
    spec = replace(
        requests[0].spec, files=tuple(dict.fromkeys(file for request in requests for file in request.spec.files))
    )
    again = tuple(dict.fromkeys(name for request in requests for name in request.again))
    sizes = [step.download_bytes for step in group]
    named = next((step for step in group if step.kind != "resume"), group[-1])
    return replace(
        named,
        part=f"{len(again)} files" if named.part and len(again) > 1 else named.part,
        replaces=tuple(dict.fromkeys(path for step in group for path in step.replaces)),
        download_bytes=None if None in sizes else max(size or 0 for size in sizes),
        request=replace(requests[0], spec=spec, again=again),
    )
