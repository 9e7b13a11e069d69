"""What `speedtest-tui download` does: find out what is missing, fetch it, say what came of it.

Downloads on standard error while they run: live lines on a terminal, else a line for whatever is worth one.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.catalogue import SIZES
from backends.registry import entries
from speedtest_tui.cli.main import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, backend_names, complain
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import (
    MARKS,
    DownloadRow,
    Patience,
    Request,
    headline,
    request_for,
    titled,
)
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import amount, moved, pace, share
from speedtest_tui.core.models.status import CACHES, ModelReport
from speedtest_tui.core.models.survey import survey
from speedtest_tui.core.race.plan import choose
from speedtest_tui.core.repair.again import with_damaged

if TYPE_CHECKING:
    from rich.console import Group

    from backends.base import BackendEntry


@dataclass(frozen=True)
class Asked:
    """A model that somebody wants: for which backends, and what fetches it, or why nothing needs to."""

    backends: tuple[str, ...]
    source: str
    request: Request | None
    reason: str = ""
    ok: bool = True


def download(options: argparse.Namespace) -> int:
    """Fetch. 0: everything asked for is there; 1: something failed; 130: cancelled, and what was fetched is kept."""
    for ended in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: the children are ended, what was fetched is kept, and what happened is said.
        signal.signal(ended, signal.default_int_handler)
    stall = options.timeout
    if stall is not None and not (math.isfinite(stall) and stall > 0):
        raise UserError(f"--timeout {stall:g}", "give a number of seconds above 0")
    names = backend_names(options.backends)
    asked = wanted(choose(names, entries()), options.size, options.to, named=names is not None)
    if not asked:
        raise UserError(f"no installed backend has a model of size {options.size!r}", f"choose from {', '.join(SIZES)}")
    if stall is not None:
        asked = [replace(one, request=_patient(one.request, stall)) for one in asked]
    downloads = Downloads()
    for one in asked:
        if one.request:
            downloads.add(one.request)
        else:
            print(f"{'✓' if one.ok else '✗'} {one.source}: {one.reason}", file=sys.stderr)
    try:
        watch(downloads)
    except KeyboardInterrupt:
        downloads.cancel_all()
        downloads.join()
    rows = downloads.rows
    if options.json:
        print(json.dumps(document(asked, rows), indent=2, ensure_ascii=False))
    else:
        for row in rows:
            print(titled(row) + (f" in {row.path}" if row.path else ""))
    if any(row.state == "cancelled" for row in rows):
        complain("cancelled; the same command continues where it was")
        return EXIT_CANCELLED
    return EXIT_OK if all(one.ok and (not one.request or _served(one.request, rows)) for one in asked) else EXIT_FAILED


def wanted(chosen: Sequence[BackendEntry], size: str, to: str | None, *, named: bool) -> list[Asked]:
    """What is to be fetched for some backends, each model once.

    named: they were named one by one, so that one that is not installed counts, too
    Raises UserError where a named backend has no model of that size.
    """
    found: dict[str, Asked] = {}
    for report in survey(chosen, (size,)):
        spec = report.spec
        if spec is None:
            if named:
                raise UserError(f"{report.backend} {report.unavailable}", "choose another size or backend")
            continue
        if report.unavailable and not named:
            continue
        one = _asked(report, to)
        earlier = found.get(spec.source)
        found[spec.source] = replace(one, backends=(*earlier.backends, *one.backends)) if earlier else one
    return list(found.values())


def _asked(report: ModelReport, to: str | None) -> Asked:
    spec = report.spec
    assert spec is not None
    backends = (report.backend,)
    if spec.missing_reason:
        return Asked(backends, spec.source, None, spec.missing_reason, ok=False)
    request = request_for(spec, "local" if to == "local" else "hf")
    if request is None:
        whose = "is a folder of yours" if spec.kind == "folder" else "comes with the program"
        return Asked(backends, spec.source, None, f"{whose}, there is nothing to fetch")
    # Without a wish for one cache, a model that is whole in any of them is there.
    for cache in (request.cache,) if to else CACHES:
        state = report.state(cache)
        if state.state == "complete":
            where = f"already complete in the {cache} cache ({amount(state.bytes)})"
            return Asked(backends, spec.source, None, where)
    return Asked(backends, spec.source, with_damaged(request, report.state(request.cache)))


def _patient(request: Request | None, stall_s: float) -> Request | None:
    if request is None:
        return None
    return replace(request, patience=Patience(stall_s=stall_s), fallback=_patient(request.fallback, stall_s))


def _served(request: Request, rows: Sequence[DownloadRow]) -> bool:
    """Whether a model, or the one that stands in for it, is there now."""
    row = next(row for row in rows if row.request.source == request.source)
    if row.state == "done" or request.fallback is None:
        return row.state == "done"
    return any(other.request.source == request.fallback.source and other.state == "done" for other in rows)


def document(asked: Sequence[Asked], rows: Sequence[DownloadRow]) -> dict[str, Any]:
    """What happened, for programs. Bytes and seconds throughout."""
    users = {one.request.source: list(one.backends) for one in asked if one.request}
    users |= {one.request.fallback.source: list(one.backends) for one in asked if one.request and one.request.fallback}
    skipped = [
        {"source": one.source, "backends": list(one.backends), "ok": one.ok, "reason": one.reason}
        for one in asked
        if one.request is None
    ]
    return {
        "schema": 1,
        "downloads": [{"backends": users.get(row.request.source, []), **_fields(row)} for row in rows],
        "skipped": skipped,
    }


def _fields(row: DownloadRow) -> dict[str, Any]:
    problem = row.problem
    return {
        "source": row.request.source,
        "cache": row.request.cache,
        "state": row.state,
        "bytes": row.bytes,
        "total": row.total,
        "fetched": row.fetched,
        "path": str(row.path) if row.path else None,
        "revision": row.revision,
        "instead_because": row.request.reason or None,
        "note": row.note,
        "error": {"kind": problem.kind, "message": problem.what, "hint": problem.todo} if problem else None,
    }


REFRESH_HZ = 8
BAR_CELLS = 20
TELL_SHARE = 0.25
"""Where there is no terminal, a long download says a word at every quarter."""


def watch(downloads: Downloads) -> None:
    """Show downloads until they have ended. Raises KeyboardInterrupt as it comes."""
    if not downloads.rows:
        return
    if not sys.stderr.isatty():
        told: dict[int, tuple[str, str, int]] = {}
        while True:
            ended = downloads.join(1 / REFRESH_HZ)
            for index, row in enumerate(downloads.rows):
                _tell(index, row, told)
            if ended:
                return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=REFRESH_HZ, transient=True) as live:
        while not downloads.join(1 / REFRESH_HZ):
            live.update(_lines(downloads.rows))


def _tell(index: int, row: DownloadRow, told: dict[int, tuple[str, str, int]]) -> None:
    """Print what has changed since the last time, if it is worth a line."""
    quarter = int((share(row) or 0) / TELL_SHARE) if row.state == "fetching" else 0
    state = "fetching" if row.state in ("resolving", "checking") else row.state
    old = told.get(index, ("waiting", "", 0))
    if row.note and row.note != old[1]:
        print(f"{row.request.name}: {row.note}", file=sys.stderr)
    if state != old[0] and not row.ended and state == "fetching":
        print(f"{row.request.name}: fetching into {row.request.root}", file=sys.stderr)
    elif quarter > old[2] and not row.ended:
        print(f"{row.request.name}: {moved(row)}, {pace(row)}".rstrip(", "), file=sys.stderr)
    told[index] = (state, row.note, max(quarter, old[2]))


def _lines(rows: tuple[DownloadRow, ...]) -> Group:
    """A line for each download, cut off at the terminal's edge, and one below it for what is being done."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for row in rows:
        glyph, style = MARKS[row.state]
        figures = () if row.ended else filter(None, (_bar(row), moved(row), pace(row)))
        words = (titled(row) if row.ended else row.request.name, *figures)
        lines.append(Text.assemble((glyph, style), "  ", "  ".join(words)))
        if not row.ended and row.state != "waiting":
            lines.append(Text(f"   {headline(row)}"))
        if not row.ended and row.note:
            lines.append(Text(f"   {row.note}"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _bar(row: DownloadRow) -> str:
    part = share(row)
    if part is None:
        return ""
    cells = int(part * BAR_CELLS)
    return "━" * cells + "╌" * (BAR_CELLS - cells)
