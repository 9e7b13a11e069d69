"""What `check-models` prints for people: the table, then what is to be mended and how.

What `check-models --json` prints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from speedtest_tui.cli.model_checks import Check
from speedtest_tui.core import format as figures
from speedtest_tui.core.format import amount
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.inventory import CacheUse
from speedtest_tui.core.models.locate import command
from speedtest_tui.core.models.problems import Problem, can_run
from speedtest_tui.core.models.status import CACHE_NAMES, CACHES, CacheState, ModelReport

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


COLUMNS = ("backend", "model", "size", "HF", "local", "whisper", "verified", "on disk")

STYLES = {"good": "green", "now": "cyan", "needs-you": "yellow", "bad": "red", "quiet": ""}
"""How a `wording.Mood` is drawn; glyph and word say the same."""


def print_check(check: Check) -> None:
    """Print everything on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from speedtest_tui.cli.console import PLAIN_WIDTH

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in COLUMNS:
        table.add_column(title, justify="right" if title == "on disk" else "left", no_wrap=title != "size")
    for report, _ in check.models:
        table.add_row(Text(report.backend), *_cells(report))
        if report.fallback is not None and _is_begun(report.fallback):
            table.add_row(Text("  or else"), *_cells(report.fallback))
    console.print(table)
    _print_problems(check, console)
    for use in check.uses:
        free = f"{amount(use.free)} free" if use.free is not None else "free space unknown"
        holds = f"{use.rows} entries, {amount(use.bytes)}" if use.exists else "not made yet"
        console.print(Text(f"{CACHE_NAMES[use.cache]} cache: {use.root}: {holds}, {free}"), soft_wrap=True)
    if check.sums is not None:
        console.print(Text(_sums(check)))
    usable = sum(1 for report, _ in check.models if can_run(report))
    console.print(Text(f"{usable} of {len(check.models)} models can be used.", style="bold"))


def _cells(report: ModelReport) -> Iterable[Text]:
    from rich.text import Text

    yield Text(wording.model_name(report))
    yield Text(", ".join(report.sizes))
    for cache in CACHES:
        state = report.state(cache)
        # What is missing of a built-in model is unpacked when it is used: nobody has to fetch it.
        built_in = report.spec and report.spec.kind == "embedded" and state.state == "missing"
        text, mood = ("✓ built in", "good") if built_in else wording.long(state)
        yield Text(text, style=STYLES[mood])
    if report.unavailable:
        yield Text("not installed" if report.unavailable.startswith("not installed") else "–", style="yellow")
    else:
        text, mood = wording.loads(report)
        yield Text(text, style=STYLES[mood])
    size = sum(state.bytes for _, state in report.states)
    yield Text(amount(size) if size else figures.DASH)


def _is_begun(report: ModelReport) -> bool:
    return any(state.state not in ("missing", "not-applicable") for _, state in report.states)


def _print_problems(check: Check, console: Console) -> None:
    from rich.text import Text

    problems = [*_folded(check), *check.general]
    console.print(Text("To mend" if problems else "Nothing to mend.", style="bold"))
    for problem in problems:
        glyph, style = ("✗", "red") if problem.counts else ("!", "yellow")
        console.print(Text.assemble("  ", (glyph, style), f" {problem.detail}: {problem.todo}"), soft_wrap=True)
    if any(not problem.counts for problem in problems):
        console.print(Text("  (! keeps nothing that was asked about from being used)"))
    console.print()


def _folded(check: Check) -> Iterable[Problem]:
    """The models' problems; of a backend with several models that are not here, one line for all of them."""
    absent: dict[str, list[ModelReport]] = {}
    for report, found in check.models:
        if any(problem.kind == "missing" and problem.counts for problem in found):
            absent.setdefault(report.backend, []).append(report)
    told: set[str] = set()
    for report, found in check.models:
        several = absent.get(report.backend, [])
        for problem in found:
            if problem.kind != "missing" or not problem.counts or len(several) == 1:
                yield problem
            elif report.backend not in told:
                told.add(report.backend)
                sizes = ", ".join(size for missing in several for size in missing.sizes)
                detail = f"{report.backend}: {len(several)} models are not on this machine (sizes {sizes})"
                fetch = command("download", f"--size SIZE --backends {report.backend}")
                yield replace(problem, detail=detail, todo=f"fetch those you want: {fetch}")


def _sums(check: Check) -> str:
    sums = check.sums
    assert sums is not None
    wrong = f"{len(sums.wrong)} of them are not what they should be" if sums.wrong else "all are what they should be"
    compared = f"{sums.compared} files compared with their hashes: {wrong}." if sums.compared else "No file to compare."
    unknown = f" Of {len(sums.unknown)} more nothing here says what they should be." if sums.unknown else ""
    return compared + unknown


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
        "unavailable": report.unavailable or None,
        "location": location
        and {
            "path": _text(location.path),
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
        "verified": asdict(report.verified) if report.verified else None,
        "problems": [_problem(problem) for problem in problems],
    }


def _caches(report: ModelReport) -> dict[str, Any]:
    return {cache: _state(report.state(cache)) for cache in CACHES}


def _state(state: CacheState) -> dict[str, Any]:
    return {
        "state": state.state,
        "bytes": state.bytes,
        "expected_bytes": state.expected_bytes,
        "path": _text(state.path or state.repository),
        "detail": state.detail,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "model": problem.model,
        "cache": problem.cache,
        "path": _text(problem.path),
        "file": problem.file or None,
        "detail": problem.detail,
        "fix": problem.todo,
        "counts": problem.counts,
    }


def _use(use: CacheUse) -> dict[str, Any]:
    return {
        "cache": use.cache, "path": _text(use.root), "exists": use.exists, "bytes": use.bytes, "free_bytes": use.free,
        "rows": use.rows, "problem": use.problem or None,
    }  # fmt: skip


def _text(path: object) -> str | None:
    """A path as text that can be encoded: bytes that are no UTF-8 are spelled out."""
    return None if path is None else str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
