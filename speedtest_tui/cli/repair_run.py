"""What `speedtest-tui repair` does: look, plan, and where asked for carry the plan out and look again."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backends.base import BackendEntry
from backends.catalogue import SIZES
from backends.registry import entries
from speedtest_tui.cli import model_checks, repair_print
from speedtest_tui.cli.main import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, backend_names, complain
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.verify import loading
from speedtest_tui.core.models.duplicates import duplicates
from speedtest_tui.core.models.hashes import hash_files
from speedtest_tui.core.models.inventory import CacheUse, Duplicate, Stored
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.models.survey import survey
from speedtest_tui.core.race.plan import choose
from speedtest_tui.core.repair.apply import Application, Progress
from speedtest_tui.core.repair.copying import plan_copy
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.recheck import Aftercare
from speedtest_tui.core.repair.step import Plan, Step
from speedtest_tui.core.sessions.export import to_json


@dataclass(frozen=True)
class Scope:
    """What was asked about.

    whole: also rows of the caches that are no backend's model
    merge, symlinks, tidy: which of the steps that are only offered otherwise
    """

    chosen: tuple[BackendEntry, ...]
    sizes: tuple[str, ...]
    whole: bool
    merge: bool = False
    symlinks: bool = False
    tidy: bool = False


@dataclass(frozen=True)
class Findings:
    """One look at all of it."""

    plan: Plan
    reports: tuple[ModelReport, ...]
    stored: tuple[Stored, ...]
    uses: tuple[CacheUse, ...]


def repair(options: argparse.Namespace) -> int:
    """Print the plan, or carry it out. 0 where nothing is left to do, 1 where something is, 130 when cancelled."""
    for ended in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: the step in hand is ended cleanly, and what happened is said.
        signal.signal(ended, signal.default_int_handler)
    scope = _scope(options)
    if options.checksum:
        model_checks.checksum(tuple(survey(scope.chosen, scope.sizes)))
    found = look(scope)
    if options.copy or options.move:
        step = plan_copy(options.copy or options.move, options.to, found.stored, move=bool(options.move))
        found = replace(found, plan=Plan((step,)))
    steps = found.plan.chosen
    if not options.apply:
        _print(options, found, None)
        return EXIT_FAILED if steps else EXIT_OK
    progress = _apply(options, scope, found) if steps else Progress((), "done")
    _print(options, found, progress)
    if progress.state == "cancelled":
        complain("cancelled; the same command goes on where it stopped")
        return EXIT_CANCELLED
    whole = progress.state == "done" and all(check.ok for check in progress.checks)
    return EXIT_OK if whole else EXIT_FAILED


def _scope(options: argparse.Namespace) -> Scope:
    chosen = choose(backend_names(options.backends), entries())
    if not chosen:
        raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")
    sizes = (options.size,) if options.size else SIZES
    return Scope(
        chosen,
        sizes,
        options.all or bool(options.copy or options.move),
        options.merge_duplicates,
        options.symlinks,
        options.tidy,
    )


def look(scope: Scope) -> Findings:
    """Look at the models and at the caches; with --merge-duplicates files of equal size are hashed.

    Raises UserError for a size that no backend knows.
    """
    reports = tuple(survey(scope.chosen, scope.sizes))
    if scope.sizes[0] not in SIZES and not any(report.spec for report in reports):
        raise UserError(f"no backend has a model of size {scope.sizes[0]!r}", f"choose from {', '.join(SIZES)}")
    stored, uses = model_checks.scan_caches()
    rows = stored if scope.whole else tuple(row for row in stored if row.name in _names(reports))
    # Rows that are not asked about still have files that others can be mended with.
    found = plan(reports, rows, _duplicates(scope, stored), symlinks=scope.symlinks, sources=stored)
    steps = tuple(replace(step, optional=False) if _is_asked_for(step, scope) else step for step in found.steps)
    return Findings(replace(found, steps=steps), reports, stored, uses)


def _names(reports: Sequence[ModelReport]) -> set[str]:
    """What the rows of the models are called in a scan."""
    specs = [one.spec for report in reports for one in (report, report.fallback) if one and one.spec]
    return {spec.source if spec.kind != "openai" else spec.source.rpartition("/")[2] for spec in specs}


def _is_asked_for(step: Step, scope: Scope) -> bool:
    """Whether an option chooses a step that is otherwise only offered."""
    return (scope.merge and step.kind == "merge") or (scope.tidy and step.kind == "trash")


def _duplicates(scope: Scope, stored: Sequence[Stored]) -> tuple[Duplicate, ...]:
    if not scope.merge:
        return ()
    line = model_checks.Line()
    try:
        return duplicates(
            stored,
            hash_files,
            lambda done, total: line.show(f"comparing files: {done // 10**6} of {total // 10**6} MB"),
            threading.Event(),
        )
    finally:
        line.clear()


def _apply(options: argparse.Namespace, scope: Scope, found: Findings) -> Progress:
    again = replace(scope, merge=False)
    replan = None if options.copy or options.move else lambda: look(again).plan.chosen
    aftercare = Aftercare(found.reports, loading(scope.chosen, options.timeout) if options.verify else None)
    application = Application(found.plan.chosen, replan=replan, aftercare=aftercare)
    application.start()
    try:
        repair_print.watch(application)
    except KeyboardInterrupt:
        application.cancel()
        application.join()
    return application.snapshot


def _print(options: argparse.Namespace, found: Findings, progress: Progress | None) -> None:
    if options.json:
        sys.stdout.write(to_json(repair_print.document(found.plan, found.uses, progress)))
    elif progress is None:
        repair_print.print_plan(found.plan, found.uses)
    else:
        repair_print.print_outcome(found.plan, progress)
