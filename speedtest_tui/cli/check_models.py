"""`speedtest-tui check-models`: which models are on this machine, whole, and working."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.base import Advice
from backends.catalogue import SIZES
from speedtest_tui.cli import arguments, console
from speedtest_tui.cli.arguments import Parser
from speedtest_tui.cli.console import Column
from speedtest_tui.cli.options import all_asked_for, asked_for
from speedtest_tui.core import format as figures
from speedtest_tui.core.format import amount
from speedtest_tui.core.jobs.checksum import Checksum, Sums
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.inspect import command, inspect_models
from speedtest_tui.core.models.inventory import CacheUse
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.models.status import CACHE_NAMES, CACHES, CacheState, ModelReport
from speedtest_tui.core.models.wording import Problem, can_run

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Check:
    """Everything that was found. `general` is what is wrong in the caches beyond the models asked about."""

    models: tuple[tuple[ModelReport, tuple[Problem, ...]], ...]
    general: tuple[Problem, ...] = ()
    uses: tuple[CacheUse, ...] = ()
    sums: Sums | None = None

    @property
    def ok(self) -> bool:
        """Whether all that was asked about can be used."""
        return not any(problem.counts for _, problems in self.models for problem in problems)


def add_arguments(parser: Parser) -> None:
    arguments.describe(
        parser,
        "Check the downloaded models: where they are, whether they are complete, and what to do where not. "
        "Exit code 1 while a model asked about cannot be used.",
        "check-models --size small",
        "check-models --all --checksum",
        "check-models --size tiny --backends mlx-whisper --verify",
    )
    sizes = parser.add_mutually_exclusive_group()
    arguments.add_size(sizes, default=SIZES[0])
    sizes.add_argument("--all", action="store_true", help="all sizes, and everything else in the caches")
    arguments.add_backends(parser)
    parser.add_argument("--checksum", action="store_true", help="compare files with their hashes, offline")
    parser.add_argument("--verify", action="store_true", help="load each model and transcribe a test tone, offline")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that --verify may go without progress")
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the table and the problems; exit code 1 while anything asked about cannot be used.

    Raises UserError for a size or backend that is none.
    """
    arguments.check_seconds("--timeout", options.timeout)
    asked = all_asked_for(options) if options.all else asked_for(options, (options.size or SIZES[0],))
    reports = tuple(inspect_models(asked))
    sums = None
    if options.checksum:
        sums = console.result_of(Checksum(reports))
        reports = tuple(inspect_models(asked))
    if options.verify:
        from speedtest_tui.core.jobs.verify import Verify

        for one in console.result_of(Verify(reports, tuple(one.entry for one in asked), options.timeout)):
            if one.advice:
                console.complain(str(one.advice))
        reports = tuple(inspect_models(asked))
    stored = console.counted("reading the caches", "model", scan()) if options.all or options.json else ()
    uses = use(stored) if options.all or options.json else ()
    named = options.backends is not None
    models = tuple((report, wording.of_report(report, named=named)) for report in reports)
    general = wording.of_caches(stored, uses, reports) if options.all else ()
    check = Check(models, general, uses, sums)
    if options.json:
        console.print_json(to_json(check))
    else:
        print_check(check)
    return console.EXIT_OK if check.ok else console.EXIT_FAILED


# For people.

COLUMNS = (
    Column("backend"),
    Column("model", rank=4),
    Column("size"),
    Column("HF"),
    Column("local"),
    Column("whisper"),
    Column("verified", rank=2),
    Column("on disk", right=True, rank=3),
)


def print_check(check: Check) -> None:
    """Print everything on standard output."""
    rows: list[tuple[Text | str, ...]] = []
    for report, _ in check.models:
        rows.append((report.backend, *_cells(report)))
        if report.fallback is not None and _is_begun(report.fallback):
            rows.append(("  or else", *_cells(report.fallback)))
    console.print_table(COLUMNS, rows)
    _print_problems(check)
    for cache in check.uses:
        free = f"{amount(cache.free)} free" if cache.free is not None else "free space unknown"
        holds = f"{figures.count(cache.rows, 'model')}, {amount(cache.bytes)}" if cache.exists else "not made yet"
        found = cache.problem.what if cache.problem and not cache.rows else f"{cache.root}: {holds}, {free}"
        console.say(f"{CACHE_NAMES[cache.cache]} cache: {found}")
    if check.sums is not None:
        console.say(_sums(check.sums))
    usable = sum(1 for report, _ in check.models if can_run(report))
    console.stdout().print(console.heading(f"{usable} of {figures.count(len(check.models), 'model')} can be used."))


def _cells(report: ModelReport) -> Iterable[Text | str]:
    yield wording.model_name(report)
    yield ", ".join(report.sizes)
    for cache in CACHES:
        state = report.state(cache)
        # What is missing of a built-in model is unpacked when it is used: nobody has to download it.
        built_in = report.spec and report.spec.kind == "embedded" and state.state == "missing"
        yield console.toned("✓ built in", "good") if built_in else console.toned(*wording.long(state))
    if report.unavailable:
        yield console.toned(
            "not installed" if report.unavailable.kind == "not-installed" else figures.DASH, "needs-you"
        )
    else:
        yield console.toned(*wording.loads(report))
    size = sum(state.bytes for _, state in report.states)
    yield amount(size) if size else figures.DASH


def _is_begun(report: ModelReport) -> bool:
    return any(state.state not in ("missing", "not-applicable") for _, state in report.states)


def _print_problems(check: Check) -> None:
    from rich.text import Text

    out = console.stdout()
    found = [*_folded(check), *check.general]
    out.print(console.heading("Problems" if found else "No problems found."))
    for problem in found:
        mark = console.toned("✗", "bad") if problem.counts else console.toned("!", "needs-you")
        # Not broken into lines: it ends with a command that can be copied.
        out.print(Text.assemble("  ", mark, f" {problem.advice}"), soft_wrap=True)
    if any(not problem.counts for problem in found):
        console.say("  (a problem with ! keeps no model from being used)")
    console.say()


def _folded(check: Check) -> Iterable[Problem]:
    """The models' problems; of a backend with several models that are not here, one line for all of them."""
    absent: dict[str, list[ModelReport]] = {}
    for report, found in check.models:
        if any(problem.kind == "missing" and problem.counts for problem in found):
            absent.setdefault(report.backend, []).append(report)
    named: set[object] = set()
    for report, found in check.models:
        several = absent.get(report.backend, [])
        for problem in found:
            if problem.kind == "cache":
                if problem.path not in named:
                    named.add(problem.path)
                    yield problem
            elif problem.kind != "missing" or not problem.counts or len(several) == 1:
                yield problem
            elif report.backend not in named:
                named.add(report.backend)
                sizes = ", ".join(missing.size for missing in several)
                detail = f"{report.backend}: {len(several)} models are not downloaded (sizes {sizes})"
                download = command("download", f"--size SIZE --backends {report.backend}")
                yield replace(problem, advice=Advice(detail, f"run {download}"))


def _sums(sums: Sums) -> str:
    wrong = f"{len(sums.wrong)} damaged" if sums.wrong else "all match"
    compared = f"{sums.compared} files compared with their hashes: {wrong}." if sums.compared else "No file to compare."
    unknown = f" {len(sums.unknown)} more have no known hash." if sums.unknown else ""
    return compared + unknown


# For programs.

SCHEMA = 1


def to_json(check: Check) -> dict[str, Any]:
    """The whole check. Bytes are integers, paths absolute."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "models": [_model(report, problems) for report, problems in check.models],
        "caches": [_use(use) for use in check.uses],
        "problems": [_problem(problem) for problem in check.general],
    }
    if check.sums is not None:
        document["checksums"] = {
            "compared": check.sums.compared,
            "wrong": [str(fault.path) for fault in check.sums.wrong],
            "without_hash": [str(file.path) for file in check.sums.unknown],
        }
    return document


def _model(report: ModelReport, problems: tuple[Problem, ...]) -> dict[str, Any]:
    location = report.location
    return {
        "backend": report.backend,
        "size": report.size,
        "sizes": list(report.sizes),
        "source": report.spec.source if report.spec else None,
        "caches": _caches(report),
        "usable": can_run(report),
        "unavailable": str(report.unavailable.advice) if report.unavailable else None,
        "location": location
        and {
            "path": location.path,
            "cache": location.cache,
            "revision": location.revision,
            "bytes": location.bytes,
        },
        "fallback": report.fallback
        and {
            "source": report.fallback.spec.source if report.fallback.spec else None,
            "caches": _caches(report.fallback),
            "usable": can_run(report.fallback),
        },
        "verified": {"ok": report.verified.ok, **asdict(report.verified)} if report.verified else None,
        "problems": [_problem(problem) for problem in problems],
    }


def _caches(report: ModelReport) -> dict[str, Any]:
    return {cache: _state(report.state(cache)) for cache in CACHES}


def _state(state: CacheState) -> dict[str, Any]:
    return {
        "state": state.state,
        "bytes": state.bytes,
        "expected_bytes": state.expected_bytes,
        "path": state.path or state.repository,
        "detail": state.detail,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "model": problem.model,
        "cache": problem.cache,
        "path": problem.path,
        "file": problem.file or None,
        "detail": problem.advice.what,
        "fix": problem.advice.todo,
        "counts": problem.counts,
    }


def _use(use: CacheUse) -> dict[str, Any]:
    return {
        "cache": use.cache, "path": use.root, "exists": use.exists, "bytes": use.bytes, "free_bytes": use.free,
        "rows": use.rows, "problem": use.problem and use.problem.what,
    }  # fmt: skip
