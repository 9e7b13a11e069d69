"""`speedtest-tui check-models`: which models are on this machine, whole, and working.

Imports nothing heavy by itself: the command line asks it for its options at every start.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backends.catalogue import SIZES

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.models.status import ModelReport


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command and its options to the command line."""
    parser = commands.add_parser("check-models", help="which models are on this machine, whole and working")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--size", metavar="SIZE", help=f"model size: {', '.join(SIZES)} (default {SIZES[0]})")
    sizes.add_argument("--all", action="store_true", help="all sizes, and whatever else lies in the caches")
    parser.add_argument("--backends", metavar="A,B", help="which implementations; all where left out")
    parser.add_argument("--checksum", action="store_true", help="compare files with their hashes, offline")
    parser.add_argument("--verify", action="store_true", help="load each model and transcribe a tone, offline")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that --verify may go without progress")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=check_models)


def check_models(options: argparse.Namespace) -> int:
    """Print the table and the problems; exit code 1 while anything asked about cannot be used."""
    from backends.registry import entries
    from speedtest_tui.cli import model_checks, model_table
    from speedtest_tui.cli import model_table as model_json
    from speedtest_tui.cli.main import EXIT_FAILED, EXIT_OK, backend_names
    from speedtest_tui.core.errors import UserError
    from speedtest_tui.core.models import problems
    from speedtest_tui.core.race.plan import choose
    from speedtest_tui.core.sessions.export import to_json

    names = backend_names(options.backends)
    chosen = choose(names, entries())
    if not chosen:
        raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")
    if options.timeout is not None and not options.timeout > 0:
        raise UserError(f"a time-out of {options.timeout:g} s", "choose more than 0")
    reports = _look_up(options, chosen)
    sums = None
    if options.checksum:
        sums = model_checks.checksum(reports)
        reports = _look_up(options, chosen)
    if options.verify:
        model_checks.verify(chosen, reports, options.timeout)
        reports = _look_up(options, chosen)
    stored, uses = model_checks.scan_caches() if options.all or options.json else ((), ())
    models = tuple((report, problems.of_report(report, named=names is not None)) for report in reports)
    general = problems.of_caches(stored, uses, reports) if options.all else ()
    check = model_checks.Check(models, general, uses, sums)
    if options.json:
        sys.stdout.write(to_json(model_json.to_json(check)))
    else:
        model_table.print_check(check)
    return EXIT_OK if check.ok else EXIT_FAILED


def _look_up(options: argparse.Namespace, chosen: Sequence[BackendEntry]) -> tuple[ModelReport, ...]:
    """How the models asked about stand now. Raises UserError for a size that no backend knows."""
    from speedtest_tui.core.errors import UserError
    from speedtest_tui.core.models.survey import survey

    sizes = SIZES if options.all else (options.size or SIZES[0],)
    reports = tuple(survey(chosen, sizes))
    if sizes[0] not in SIZES and not any(report.spec for report in reports):
        raise UserError(f"no backend has a model of size {sizes[0]!r}", f"choose from {', '.join(SIZES)}")
    return reports
