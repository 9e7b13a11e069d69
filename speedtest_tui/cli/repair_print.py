"""A repair on a terminal: the plan with its bytes, each step while it runs, what came of it; and all of it as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speedtest_tui.core import disk, locations
from speedtest_tui.core import format as figures
from speedtest_tui.core.format import amount
from speedtest_tui.core.models.inventory import CacheUse
from speedtest_tui.core.models.status import CACHE_NAMES
from speedtest_tui.core.repair.apply import Application, Progress, StepRow, StepState
from speedtest_tui.core.repair.recheck import Check
from speedtest_tui.core.repair.step import DOWNLOADS, Note, Plan, Step, bytes_to_download

if TYPE_CHECKING:
    from rich.table import Table


REFRESH_HZ = 8
MANY = 3
MARKS: dict[StepState, tuple[str, str]] = {
    "waiting": ("·", ""),
    "running": ("▶", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
    "skipped": ("·", ""),
}


def print_plan(plan: Plan, uses: Sequence[CacheUse]) -> None:
    """Print what would be done, what is only offered and what no step repairs."""
    steps = plan.chosen
    for number, step in enumerate(steps, 1):
        print(f"{number:>3}  {_sentence(step)}")
    for step in plan.offered:
        print(f"  ?  {_sentence(step)}")
    _print_notes(plan.notes)
    if not steps:
        print(_nothing(plan))
    else:
        print(
            f"{_count(len(steps), 'step')}, {_to_download(steps)}; nothing is deleted: replaced files go to the trash."
        )
        print("`speedtest-tui repair --apply`, with the same options, does it.")
    if plan.offered:
        print("Steps with ? are optional: --tidy moves things to the trash, --merge-duplicates merges equal files.")
    for line in _space(steps, uses):
        print(line)


def _sentence(step: Step) -> str:
    return f"{CACHE_NAMES[step.cache]:<7}  {step.what[:1].upper()}{step.what[1:]}."


def _print_notes(notes: Sequence[Note]) -> None:
    """Each with what to do; many models that are not here at all are one line."""
    missing = [note for note in notes if note.cache is None]
    for note in notes:
        if note.cache is not None or len(missing) < MANY:
            print(f"  !  {CACHE_NAMES[note.cache] if note.cache else '':<7}  {note.advice}")
    if len(missing) >= MANY:
        print(f"  !           {len(missing)} models are not downloaded: run speedtest-tui download")


def _nothing(plan: Plan) -> str:
    """A model that is not here needs no repair; what a person has to see to does."""
    unrepaired = any(note.cache is not None for note in plan.notes)
    return "Nothing here can be repaired automatically." if unrepaired else "No problems found."


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _to_download(steps: Sequence[Step]) -> str:
    known, is_all = bytes_to_download(steps)
    if not known and is_all:
        return "nothing to download"
    return f"{amount(known)} to download" if is_all else f"{amount(known)} to download, and some of unknown size"


def _space(steps: Sequence[Step], uses: Sequence[CacheUse]) -> list[str]:
    """How much room there is where the steps need it, and whether it is enough."""
    lines = []
    for use in uses:
        here = [step for step in steps if step.cache == use.cache]
        if not here or use.free is None:
            continue
        needed = bytes_to_download(here)[0]
        short = f": {amount(needed - use.free)} too little" if needed > use.free else ""
        problem = f" ({use.problem})" if use.problem else ""
        lines.append(f"{use.root}{problem}: {amount(use.free)} free{short}")
    return lines


def watch(application: Application) -> None:
    """Show an application until it ends: live lines on a terminal, else a line for each download that begins."""
    if not sys.stderr.isatty():
        told: set[int] = set()
        while application.is_alive():
            application.join(1 / REFRESH_HZ)
            for index, row in enumerate(application.snapshot.rows):
                if row.state == "running" and row.step.kind in DOWNLOADS and index not in told:
                    told.add(index)
                    print(f"{row.step.what} ...", file=sys.stderr)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=REFRESH_HZ, transient=True) as live:
        while application.is_alive():
            live.update(_lines(application.snapshot))
            application.join(1 / REFRESH_HZ)


def _lines(progress: Progress) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=False)
    for row in progress.rows:
        glyph, style = MARKS[row.state]
        table.add_row(Text(glyph, style=style), Text(row.step.what), Text(_figures(row)))
    if progress.message:
        glyph = "◐◓◑◒"[int(time.monotonic() * 4) % 4]
        table.add_row(Text(glyph, style="cyan"), Text(progress.message), Text(""))
    return table


def _figures(row: StepRow) -> str:
    if row.state != "running":
        return row.message
    return figures.progress(row) or row.message


def _ended(row: StepRow) -> str:
    return f"{MARKS[row.state][0]} {row.step.what}" + (f": {row.message}" if row.message else "")


def print_outcome(plan: Plan, progress: Progress) -> None:
    """Print what came of each step, how the models stand now, and how to take it back."""
    for row in progress.rows:
        print(_ended(row))
    for check in progress.checks:
        print(_checked(check))
    _print_notes(plan.notes)
    if not progress.rows:
        print(_nothing(plan))
        return
    if progress.message:
        print(progress.message)
    failed = len(progress.failed)
    print(f"{_count(len(progress.rows) - failed, 'step')} done" + (f", {failed} not." if failed else "."))
    if progress.entry:
        print(f"What was replaced is kept; `speedtest-tui repair --undo {progress.entry}` brings it back.")


def _checked(check: Check) -> str:
    mark = MARKS["done" if check.ok else "failed"][0]
    said = f"{mark} {check.backend}: {check.model} is {check.state.state.replace('-', ' ')}"
    if check.state.state != "complete" and check.state.detail:
        said += f": {check.state.detail}"
    if check.verified is not None:
        said += f" and {check.verified.message}"
    return said


def document(plan: Plan, uses: Sequence[CacheUse], progress: Progress | None) -> dict[str, Any]:
    """All of it for programs."""
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
            {"cache": use.cache, "path": str(use.root), "free": use.free, "problem": use.problem} for use in uses
        ],
        "trash_free": disk.free(locations.trash_folder()),
        "applied": None if progress is None else _applied(progress),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "what": step.what,
        "model": step.model,
        "cache": step.cache,
        "path": str(step.path),
        "target": str(step.target) if step.target else None,
        "download_bytes": step.download_bytes,
        "free_bytes": step.free_bytes,
    }


def _applied(progress: Progress) -> dict[str, Any]:
    return {
        "state": progress.state,
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
            for check in progress.checks
        ],
    }
