"""What `check-models --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from speedtest_tui.commands.model_checks import Check
from speedtest_tui.core.caches.inventory import CacheUse
from speedtest_tui.core.caches.problems import Problem, can_run
from speedtest_tui.core.caches.states import CACHES, CacheState, ModelReport

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
