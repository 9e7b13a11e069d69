"""`speedtest-tui download`: the models of a size that are missing, resumed where earlier downloads stopped."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from speedtest_tui.cli import arguments, console
from speedtest_tui.cli.arguments import Parser
from speedtest_tui.cli.options import asked_for
from speedtest_tui.core.download.request import DownloadRow, Patience
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.download import Download, Downloaded
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.models.status import ModelReport

DEFAULT_SIZE = "small"
"""The smallest size whose transcripts are worth reading; nano comes with the program."""


def add_arguments(parser: Parser) -> None:
    arguments.describe(
        parser,
        "Download the models of a size. What was interrupted is resumed; what is complete is left alone.",
        "download",
        "download --size turbo --backends mlx-whisper,whisper-mps",
    )
    arguments.add_size(parser, default=DEFAULT_SIZE)
    arguments.add_backends(parser)
    parser.add_argument(
        "--to",
        choices=("hf", "local"),
        help="hf: the Hugging Face cache, ~/.cache/whisper for .pt files; local: this program's own cache "
        "(default: where a partial download is, else hf)",
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds without data before a retry (default: 60)")
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Download. 0: everything asked for is there; 1: something failed; 130: cancelled, and what has arrived is kept."""
    arguments.check_seconds("--timeout", options.timeout)
    size = options.size or DEFAULT_SIZE
    reports = _reports(asked_for(options, (size,)), named=options.backends is not None)
    patience = None if options.timeout is None else Patience(stall_s=options.timeout)
    job = Download(reports, options.to, patience)
    if not job.wanted:
        raise UserError(f"no installed backend has a model of size {size!r}", "see `speedtest-tui doctor`")
    console.watch_job(job, steps=True)
    if job.result is None:
        console.complain(job.view.summary)
        return console.EXIT_FAILED
    if options.json:
        console.print_json(document(job.result))
    else:
        paths = {row.request.source: row.path for row in job.result.rows if row.path}
        for row in job.view.rows:
            console.say(console.line(row, f" in {paths[row.key]}" if row.key in paths else ""))
    if job.result.cancelled:
        console.complain("cancelled: the same command resumes it")
        return console.EXIT_CANCELLED
    return console.EXIT_OK if job.result.ok else console.EXIT_FAILED


def _reports(asked: Sequence[Candidate], *, named: bool) -> list[ModelReport]:
    """How the models stand that were asked for.

    named: they were named one by one, so that one that is not installed counts, too
    Raises UserError where a named backend has no model of that size.
    """
    found = []
    for report in inspect_models(asked):
        if report.spec is None and report.unavailable and named:
            raise UserError(report.unavailable.sentence(report.backend), report.unavailable.advice.todo)
        if report.spec is not None and (named or not report.unavailable):
            found.append(report)
    return found


def document(result: Downloaded) -> dict[str, Any]:
    """What happened, for programs. Bytes and seconds throughout."""
    asked = [(request, list(one.backends)) for one in result.wanted if (request := one.request)]
    users = {one.source: names for request, names in asked for one in (request, request.fallback) if one}
    skipped = [
        {"source": one.source, "backends": list(one.backends), "ok": one.ok, "reason": one.reason}
        for one in result.wanted
        if one.request is None
    ]
    return {
        "schema": 1,
        "downloads": [{"backends": users.get(row.request.source, []), **_fields(row)} for row in result.rows],
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
        "path": row.path,
        "revision": row.revision,
        "instead_because": row.request.reason or None,
        "note": row.note,
        "error": {"kind": row.failure, "message": row.advice.what, "hint": row.advice.todo} if row.advice else None,
    }
