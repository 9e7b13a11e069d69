"""`speedtest-tui run`: races without a screen, with live progress on a terminal and results in any form."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speedtest_tui.cli import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.commands.progress import watch
from speedtest_tui.commands.request import plan_from, reference_text
from speedtest_tui.commands.table import print_results
from speedtest_tui.core import atomic
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.audio.demo import demo_clip
from speedtest_tui.core.bench.plan import Plan
from speedtest_tui.core.bench.supervisor import Race
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions import export
from speedtest_tui.core.sessions.keeper import Keeper

FORMS = {"json": export.to_json, "csv": export.to_csv, "markdown": export.to_markdown}


def run_races(options: argparse.Namespace) -> int:
    """One race for each clip. 0 where every backend of every race was ok, 1 where one was not, 130 when cancelled."""
    if options.demo == bool(options.audio):
        raise UserError("no clip to run on" if not options.demo else "both --demo and a file", "give one of the two")
    plan = plan_from(options)
    reference = reference_text(options.reference)
    outputs = {form: target for form in FORMS if (target := getattr(options, form))}
    if list(outputs.values()).count("-") > 1:
        raise UserError("two results for standard output", "give files to all forms but one")
    for target in outputs.values():
        if target != "-" and not Path(target).absolute().parent.is_dir():
            raise UserError(f"cannot write {target}", "its folder does not exist")
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
        if finished["state"] == "cancelled":
            break
    _write(outputs, documents)
    if documents[-1]["state"] == "cancelled":
        return EXIT_CANCELLED
    results = [result for finished in documents for result in finished["results"] if _asked(options, result)]
    return EXIT_OK if results and all(result["status"] == "ok" for result in results) else EXIT_FAILED


def _asked(options: argparse.Namespace, result: dict[str, Any]) -> bool:
    """Whether a row counts for the exit code: without --backends, what cannot run here was not asked for."""
    return options.backends is not None or result["status"] not in ("unavailable", "missing-model")


def _race(plan: Plan, clip: Clip, *, save: bool) -> dict[str, Any]:
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


def _write(outputs: dict[str, str], documents: list[dict[str, Any]]) -> None:
    """Write the asked-for forms; with several clips JSON becomes a list and the others follow one another."""
    for form, target in outputs.items():
        render: Any = FORMS[form]
        if form == "json" and len(documents) > 1:
            text = render(documents)
        else:
            text = "\n".join(render(finished) for finished in documents)
        if target == "-":
            sys.stdout.write(text)
            continue
        try:
            atomic.write_text(Path(target).absolute(), text)
        except OSError as error:
            complain(f"{target} could not be written ({error.strerror or error}): choose another file")
