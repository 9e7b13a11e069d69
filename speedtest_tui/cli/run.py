"""`speedtest-tui run`: races without a screen, with live progress on a terminal and results in any form."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from dataclasses import replace

from speedtest_tui.cli.console import print_results, requested, watch, write
from speedtest_tui.cli.main import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.cli.options import plan_from, reference_text
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import demo_clip, load_clip
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.race import Keeper
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.supervisor import Race
from speedtest_tui.core.sessions.document import Document, Result


def run_races(options: argparse.Namespace) -> int:
    """One race for each clip. 0 where every backend was ok and all was written, 1 where not, 130 when cancelled."""
    if options.demo == bool(options.audio):
        raise UserError("no clip to run on" if not options.demo else "both --demo and a file", "give one of the two")
    plan = plan_from(options)
    reference = reference_text(options.reference)
    outputs = requested(options)
    if options.demo:
        demo = demo_clip()
        clips: Sequence[Clip] = [replace(demo, reference=reference or demo.reference)]
    else:
        clips = [load_clip(path, reference=reference) for path in options.audio]
    for ended in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: children are ended and what was measured is kept.
        signal.signal(ended, signal.default_int_handler)
    documents = []
    for clip in clips:
        finished = _race(plan, clip, save=not options.no_save)
        documents.append(finished)
        if "-" not in outputs.values():
            print_results(finished)
        if finished.state == "cancelled":
            break
    written = write(outputs, documents)
    if documents[-1].state == "cancelled":
        return EXIT_CANCELLED
    results = [result for finished in documents for result in finished.results if _asked(options, result)]
    return EXIT_OK if written and results and all(result.status == "ok" for result in results) else EXIT_FAILED


def _asked(options: argparse.Namespace, result: Result) -> bool:
    """Whether a row counts for the exit code: without --backends, what cannot run here was not asked for."""
    return options.backends is not None or result.status not in ("unavailable", "missing-model")


def _race(plan: Plan, clip: Clip, *, save: bool) -> Document:
    """Run one race to its end, or to Ctrl-C, and keep it."""
    keep = Keeper(plan, clip, save=save)
    race = Race(plan, clip)
    race.start()
    try:
        watch(race)
    except KeyboardInterrupt:
        race.cancel()
    race.join()
    kept = keep(race.snapshot)
    if kept.problem:
        complain(f"{kept.problem}: use --json to keep the result")
    return kept.document
