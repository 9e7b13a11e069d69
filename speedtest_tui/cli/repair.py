"""`speedtest-tui repair`: print a plan, or carry it out and check the models again; undo it; the trash."""

from __future__ import annotations

import argparse
import datetime
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from speedtest_tui.cli import arguments, console
from speedtest_tui.cli.arguments import Parser
from speedtest_tui.cli.console import LiveRow
from speedtest_tui.cli.options import all_asked_for, asked_for
from speedtest_tui.core import disk, locations
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import amount, count
from speedtest_tui.core.jobs.checksum import Checksum
from speedtest_tui.core.jobs.job import JobRow
from speedtest_tui.core.jobs.repair import EmptyTrash, Repair, Repaired
from speedtest_tui.core.models.duplicates import duplicates
from speedtest_tui.core.models.hashes import hash_files
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.inventory import CacheUse, Duplicate, Stored
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.models.status import CACHE_NAMES, ModelReport
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.apply import Progress
from speedtest_tui.core.repair.copying import plan_copy
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.step import Note, Plan, Step, bytes_to_download
from speedtest_tui.core.repair.undo import find, undo

MANY = 3
"""Missing models from which on they are one line."""


@dataclass(frozen=True)
class Findings:
    """One look at all of it."""

    plan: Plan
    reports: tuple[ModelReport, ...]
    uses: tuple[CacheUse, ...]


def add_arguments(parser: Parser) -> None:
    arguments.describe(
        parser,
        "Repair damaged, partial and misplaced models. Without --apply the plan is printed and nothing changes; "
        "with it nothing is deleted: replaced files go to the trash, and --undo brings them back.",
        "repair --size small",
        "repair --all --checksum --apply",
        "repair --undo",
    )
    scope = parser.add_mutually_exclusive_group()
    arguments.add_size(scope, default="all")
    scope.add_argument("--all", action="store_true", help="also models that no backend uses")
    arguments.add_backends(parser)
    parser.add_argument("--checksum", action="store_true", help="first compare files with their hashes, offline")
    parser.add_argument("--apply", action="store_true", help="carry the plan out")
    parser.add_argument("--verify", action="store_true", help="with --apply: load the repaired models afterwards")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that --verify may go without progress")
    parser.add_argument("--merge-duplicates", action="store_true", help="store equal files once")
    parser.add_argument("--symlinks", action="store_true", help="with --merge-duplicates: across disks, by links")
    parser.add_argument(
        "--tidy", action="store_true", help="also move what downloads left and no model needs to the trash"
    )
    tasks = parser.add_mutually_exclusive_group()
    tasks.add_argument("--copy", metavar="SOURCE", help="copy a model to another cache: a repository or .pt file")
    tasks.add_argument("--move", metavar="SOURCE", help="move a model to another cache")
    tasks.add_argument("--undo", nargs="?", const="", metavar="ID", help="undo a repair (default: the last one)")
    tasks.add_argument("--trash", action="store_true", help="list what repairs have replaced, and its size")
    tasks.add_argument("--empty-trash", action="store_true", help="delete what repairs have replaced, for good")
    parser.add_argument("--to", choices=("local", "hf", "whisper"), help="the cache that --copy or --move goes to")
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan, or carry it out. 0 where nothing is left to do, 1 where something is, 130 when cancelled."""
    _refuse_contradictions(options)
    if options.trash or options.empty_trash or options.undo is not None:
        return _trash(options)
    asked = asked_for(options, (options.size,)) if options.size else all_asked_for(options)
    if options.checksum:
        console.result_of(Checksum(tuple(inspect_models(asked))))
    found = look(options, asked)
    steps = found.plan.chosen
    if not options.apply:
        if options.json:
            console.print_json(document(found, None))
        else:
            print_plan(found.plan, found.uses)
        return console.EXIT_FAILED if steps else console.EXIT_OK
    entries = tuple(dict.fromkeys(one.entry for one in asked))
    again = not (options.copy or options.move)
    job = Repair(steps, found.reports, entries, verify=options.verify, again=again, timeout=options.timeout)
    if steps:
        console.watch_job(job, steps=True)
    repaired = job.result or Repaired(Progress((), "done"))
    if options.json:
        console.print_json(document(found, repaired))
    else:
        print_outcome(found.plan, job.view.rows, repaired.progress)
    if repaired.cancelled:
        console.complain("cancelled: the same command resumes it")
        return console.EXIT_CANCELLED
    return console.EXIT_OK if repaired.ok else console.EXIT_FAILED


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Raises UserError for options that mean nothing together."""
    if bool(options.copy or options.move) != bool(options.to):
        raise UserError("--to and --copy or --move need each other", "give both, as in --copy NAME --to local")
    if options.verify and not options.apply:
        raise UserError("--verify needs --apply", "add it, or verify with `speedtest-tui check-models --verify`")
    if options.symlinks and not options.merge_duplicates:
        raise UserError("--symlinks needs --merge-duplicates", "add it")
    arguments.check_seconds("--timeout", options.timeout)


def look(options: argparse.Namespace, asked: Sequence[Candidate]) -> Findings:
    """Inspect the models and the caches, and plan; with --merge-duplicates files of equal size are hashed."""
    reports = tuple(inspect_models(asked))
    stored = console.counted("reading the caches", "model", scan())
    uses = use(stored)
    if source := options.copy or options.move:
        return Findings(Plan((plan_copy(source, options.to, stored, move=bool(options.move)),)), reports, uses)
    rows = stored if options.all else tuple(row for row in stored if row.name in _names(reports))
    same = _duplicates(stored) if options.merge_duplicates else ()
    # Rows that are not asked about may still have files that repair others.
    found = plan(reports, rows, same, symlinks=options.symlinks, sources=stored)
    wanted = {kind for kind, option in (("merge", options.merge_duplicates), ("trash", options.tidy)) if option}
    steps = tuple(replace(step, optional=False) if step.kind in wanted else step for step in found.steps)
    return Findings(replace(found, steps=steps), reports, uses)


def _names(reports: Sequence[ModelReport]) -> set[str]:
    """What the rows of the models are called in a scan."""
    specs = [one.spec for report in reports for one in (report, report.fallback) if one and one.spec]
    return {spec.source if spec.kind != "openai" else spec.source.rpartition("/")[2] for spec in specs}


def _duplicates(stored: Sequence[Stored]) -> tuple[Duplicate, ...]:
    with console.live_view() as view:

        def show(done: int, total: int) -> None:
            share = done / total if total else None
            view.show([LiveRow("running", "comparing files", figures.of(done, total), share)])

        return duplicates(stored, hash_files, show, threading.Event())


def print_plan(plan: Plan, uses: Sequence[CacheUse]) -> None:
    """Print what would be done, what is only offered and what no step repairs."""
    steps = plan.chosen
    for number, step in enumerate(steps, 1):
        console.say(f"{number:>3}  {_sentence(step)}")
    for step in plan.offered:
        console.say(f"  ?  {_sentence(step)}")
    _print_notes(plan.notes)
    if not steps:
        console.say(_nothing(plan))
    else:
        console.say(
            f"{count(len(steps), 'step')}, {_to_download(steps)}; nothing is deleted: replaced files go to the trash."
        )
        console.say("`speedtest-tui repair --apply`, with the same options, does it.")
    if plan.offered:
        console.say(
            "Steps with ? are optional: --tidy moves remains to the trash, --merge-duplicates merges equal files."
        )
    for room in _space(steps, uses):
        console.say(room)


def _sentence(step: Step) -> str:
    return f"{CACHE_NAMES[step.cache]:<7}  {step.what[:1].upper()}{step.what[1:]}."


def _print_notes(notes: Sequence[Note]) -> None:
    """Each with what to do; many models that are not here at all are one line."""
    missing = [note for note in notes if note.cache is None]
    for note in notes:
        if note.cache is not None or len(missing) < MANY:
            console.say(
                f"  {' ' if note.harmless else '!'}  {CACHE_NAMES[note.cache] if note.cache else '':<7}  {note.advice}"
            )
    if len(missing) >= MANY:
        console.say(f"  !           {len(missing)} models are not downloaded: run `speedtest-tui download`")


def _nothing(plan: Plan) -> str:
    """A model that is not here needs no repair; what a person has to see to does."""
    unrepaired = any(note.cache is not None and not note.harmless for note in plan.notes)
    return "Nothing here can be repaired automatically." if unrepaired else "No problems found."


def _to_download(steps: Sequence[Step]) -> str:
    known, is_all = bytes_to_download(steps)
    if not known and is_all:
        return "nothing to download"
    return f"{amount(known)} to download" if is_all else f"{amount(known)} to download, and some of unknown size"


def _space(steps: Sequence[Step], uses: Sequence[CacheUse]) -> list[str]:
    """How much room there is where the steps need it, and whether it is enough."""
    lines = []
    for cache in uses:
        here = [step for step in steps if step.cache == cache.cache]
        if not here or cache.free is None:
            continue
        needed = bytes_to_download(here)[0]
        short = f": {amount(needed - cache.free)} too little" if needed > cache.free else ""
        where = cache.problem.what if cache.problem else cache.root
        lines.append(f"{where}: {amount(cache.free)} free{short}")
    return lines


def print_outcome(plan: Plan, rows: Sequence[JobRow], progress: Progress) -> None:
    """Print what came of each step, how the models stand now, and how to undo it."""
    for row in rows:
        console.say(console.line(row))
    _print_notes(plan.notes)
    if not progress.rows:
        console.say(_nothing(plan))
        return
    if progress.message:
        console.say(progress.message)
    failed = len(progress.failed)
    console.say(f"{count(len(progress.rows) - failed, 'step')} done" + (f", {failed} not." if failed else "."))
    if progress.entry:
        console.say(f"What was replaced is kept: `speedtest-tui repair --undo {progress.entry}` brings it back.")


def document(found: Findings, repaired: Repaired | None) -> dict[str, Any]:
    """All of it for programs."""
    plan = found.plan
    known, is_all = bytes_to_download(plan.chosen)
    return {
        "schema": 2,
        "plan": [_step(step) for step in plan.chosen],
        "offered": [_step(step) for step in plan.offered],
        "notes": [
            {"model": n.model, "cache": n.cache, "what": n.advice.what, "todo": n.advice.todo} for n in plan.notes
        ],
        "download_bytes": known if is_all else None,
        "caches": [
            {"cache": use.cache, "path": use.root, "free": use.free, "problem": use.problem and use.problem.what}
            for use in found.uses
        ],
        "trash_free": disk.free(locations.trash_folder()),
        "applied": None if repaired is None else _applied(repaired),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "what": step.what,
        "model": step.model,
        "cache": step.cache,
        "path": step.path,
        "target": step.target,
        "download_bytes": step.download_bytes,
        "free_bytes": step.free_bytes,
    }


def _applied(repaired: Repaired) -> dict[str, Any]:
    progress = repaired.progress
    return {
        "state": "cancelled" if repaired.cancelled else progress.state,
        "undo": progress.entry or None,
        "message": progress.message,
        "steps": [{**_step(row.step), "state": row.state, "message": row.message} for row in progress.rows],
        "models": [
            {
                "backend": check.backend,
                "size": check.size,
                "source": check.model,
                "cache": check.cache,
                "state": check.state.state,
                "detail": check.state.detail,
                "loads": check.verified.ok if check.verified else None,
                "message": check.verified.message if check.verified else "",
            }
            for check in repaired.checks
        ],
    }


# What repairs have replaced.


def _trash(options: argparse.Namespace) -> int:
    """--undo, --trash or --empty-trash. 1 where something could not be put back or deleted."""
    disk.check(locations.trash_folder())
    if options.undo is not None:
        return _undo(options.undo, options.json)
    return _empty(options.json) if options.empty_trash else _list(options.json)


def _undo(name: str, json: bool) -> int:
    entry = find(name)
    done = undo(entry)
    if json:
        facts = {"undo": done.id or None, "reverted": done.reverted, "left": done.left, "complete": done.complete}
        console.print_json({"schema": 1, "entry": entry.id, **facts})
    else:
        console.say(f"{entry.what}: {count(len(done.reverted), 'change')} undone")
        if done.id:
            console.say(f"`speedtest-tui repair --undo {done.id}` redoes it.")
    for sentence in done.left:
        console.complain(sentence)
    return console.EXIT_OK if done.complete else console.EXIT_FAILED


def _list(json: bool) -> int:
    entries = trash.entries()
    if json:
        lines = [
            {
                "id": entry.id,
                "what": entry.what,
                "started": entry.started,
                "undone": entry.undone,
                "foreign": entry.foreign,
                "bytes": entry.bytes,
                "folders": entry.folders,
                "changes": [{"path": change.path, "kept": change.kept or None} for _, change in entry.changes],
            }
            for entry in entries
        ]
        console.print_json({"schema": 1, "entries": lines, "unreadable": trash.unreadable()})
        return console.EXIT_OK
    for entry in entries:
        started = datetime.datetime.fromisoformat(entry.started).astimezone()
        state = ", undone" if entry.undone else ""
        state += ", came with the cache: left alone" if entry.foreign else ""
        console.say(f"{entry.id}  {started:%Y-%m-%d %H:%M}  {amount(entry.bytes):>9}  {entry.what}{state}")
    for folder in trash.unreadable():
        console.complain(f"{folder} has no journal that can be read: it is left as it is")
    if not entries:
        console.say("The trash is empty: no repair has replaced anything.")
        return console.EXIT_OK
    free = disk.free(locations.trash_folder())
    room = "" if free is None else f", {amount(free)} free"
    console.say(f"{amount(sum(entry.bytes for entry in entries))} in all{room}.")
    console.say("`speedtest-tui repair --empty-trash` deletes it for good.")
    return console.EXIT_OK


def _empty(json: bool) -> int:
    job = EmptyTrash()
    emptied = console.result_of(job)
    if json:
        console.print_json({"schema": 1, "freed": emptied.freed, "left": [entry.id for entry in emptied.left]})
    else:
        console.say(f"{amount(emptied.freed)} freed.")
    if advice := job.view.rows[0].advice:
        console.complain(str(advice))
    return console.EXIT_FAILED if emptied.left else console.EXIT_OK
