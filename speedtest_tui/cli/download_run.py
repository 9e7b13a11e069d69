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
from typing import TYPE_CHECKING, Any

from backends.catalogue import SIZES
from backends.registry import entries
from speedtest_tui.cli.main import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, backend_names, complain
from speedtest_tui.cli.model_table import STYLES
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import (
    DownloadRow,
    Patience,
    headline,
    titled,
)
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import LOOKS, moved, pace, share
from speedtest_tui.core.jobs.download import Downloaded, Wanted, wanted, with_damaged
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.models.survey import survey
from speedtest_tui.core.race.plan import choose

if TYPE_CHECKING:
    from rich.console import Group

    from backends.base import BackendEntry


def download(options: argparse.Namespace) -> int:
    """Fetch. 0: everything asked for is there; 1: something failed; 130: cancelled, and what was fetched is kept."""
    for ended in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: the children are ended, what was fetched is kept, and what happened is said.
        signal.signal(ended, signal.default_int_handler)
    stall = options.timeout
    if stall is not None and not (math.isfinite(stall) and stall > 0):
        raise UserError(f"--timeout {stall:g}", "give a number of seconds above 0")
    names = backend_names(options.backends)
    reports = _reports(choose(names, entries()), options.size, named=names is not None)
    asked = wanted(reports, options.to, None if stall is None else Patience(stall_s=stall))
    if not asked:
        raise UserError(f"no installed backend has a model of size {options.size!r}", f"choose from {', '.join(SIZES)}")
    downloads = Downloads()
    for one in asked:
        if one.request:
            downloads.add(with_damaged(one))
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
    return EXIT_OK if Downloaded(asked, rows).ok else EXIT_FAILED


def _reports(chosen: Sequence[BackendEntry], size: str, *, named: bool) -> list[ModelReport]:
    """How the models of a size stand for some backends.

    named: they were named one by one, so that one that is not installed counts, too
    Raises UserError where a named backend has no model of that size.
    """
    found = []
    for report in survey(chosen, (size,)):
        if report.spec is None and named:
            raise UserError(f"{report.backend} {report.unavailable}", "choose another size or backend")
        if report.spec is not None and (named or not report.unavailable):
            found.append(report)
    return found


def document(asked: Sequence[Wanted], rows: Sequence[DownloadRow]) -> dict[str, Any]:
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
    return {
        "source": row.request.source,
        "cache": row.request.cache,
        "state": row.state,
        "bytes": row.bytes,
        "total": row.total,
        "received": row.received,
        "path": str(row.path) if row.path else None,
        "revision": row.revision,
        "instead_because": row.request.reason or None,
        "note": row.note,
        "error": {"kind": row.failure, "message": row.advice.what, "hint": row.advice.todo} if row.advice else None,
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
    quarter = int((share(row) or 0) / TELL_SHARE) if row.state == "downloading" else 0
    state = "downloading" if row.state in ("contacting", "checking") else row.state
    old = told.get(index, ("waiting", "", 0))
    if row.note and row.note != old[1]:
        print(f"{row.request.name}: {row.note}", file=sys.stderr)
    if state != old[0] and not row.ended and state == "downloading":
        print(f"{row.request.name}: downloading into {row.request.root}", file=sys.stderr)
    elif quarter > old[2] and not row.ended:
        print(f"{row.request.name}: {moved(row)}, {pace(row)}".rstrip(", "), file=sys.stderr)
    told[index] = (state, row.note, max(quarter, old[2]))


def _lines(rows: tuple[DownloadRow, ...]) -> Group:
    """A line for each download, cut off at the terminal's edge, and one below it for what is being done."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for row in rows:
        glyph, _, mood = LOOKS[row.state]
        figures = () if row.ended else filter(None, (_bar(row), moved(row), pace(row)))
        words = (titled(row) if row.ended else row.request.name, *figures)
        lines.append(Text.assemble((glyph, STYLES[mood]), "  ", "  ".join(words)))
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
