"""The lines of the cache screen's tables, from one look at the caches. Pure: no widget in here."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.caches import wording
from speedtest_tui.core.caches.amounts import amount
from speedtest_tui.core.caches.inventory import CacheUse, Stored
from speedtest_tui.core.caches.repair.step import Note, Step, StepKind
from speedtest_tui.core.caches.states import CACHE_NAMES, CacheName, CacheState
from speedtest_tui.core.caches.stock import Stock

OF_CACHES: dict[StepKind, tuple[str, str, wording.Mood]] = {
    "clear-lock": ("○", "stale lock", "quiet"),
    "clear-partial": ("◐", "left over", "quiet"),
    "merge": ("≡", "duplicate", "quiet"),
    "copy": ("≡", "copy", "quiet"),
    "move": ("≡", "move", "quiet"),
    "trash": ("○", "unknown", "quiet"),
    "write-ref": ("⚯", "no ref", "needs-you"),
    "relink": ("⚯", "broken link", "bad"),
}
"""What a step mends where no model of ours is concerned."""


@dataclass(frozen=True)
class ProblemLine:
    """One problem: what it is, and the step that mends it; `step` is None where nothing does."""

    key: str
    glyph: str
    word: str
    mood: wording.Mood
    model: str
    cache: str
    fix: str
    details: tuple[str, ...]
    step: Step | None = None


def key_of(step: Step) -> str:
    """What stays the same when the caches are looked at again."""
    return f"{step.kind} {step.path} {step.target or ''}"


def problem_lines(stock: Stock) -> tuple[ProblemLine, ...]:
    """All problems, those that are mended by themselves first, then what is offered, then what nothing mends.

    That a model is nowhere at all is no problem: `d` offers those.
    """
    plan = stock.plan
    steps = [*plan.chosen, *plan.offered]
    return (*(_of_step(step, stock) for step in steps), *(_of_note(note, stock) for note in plan.notes if note.cache))


def _of_step(step: Step, stock: Stock) -> ProblemLine:
    state = _state(stock, step.model, step.cache)
    if state is not None and state.state not in ("complete", "missing", "not-applicable"):
        glyph, word, mood = wording.MARKS[state.state]
        why = state.detail
    else:
        glyph, word, mood = OF_CACHES.get(step.kind, ("◐", "incomplete", "needs-you"))
        why = ""
    gain = f"frees {amount(step.free_bytes)} once the trash is emptied" if step.free_bytes else ""
    details = tuple(filter(None, (f"{step.model}: {why}" if why else "", step.what, tilde(step.path), gain)))
    name = step.model.rpartition("/")[2]
    return ProblemLine(key_of(step), glyph, word, mood, name, CACHE_NAMES[step.cache], wording.fix(step), details, step)


def _of_note(note: Note, stock: Stock) -> ProblemLine:
    state = _state(stock, note.model, note.cache) if note.cache else None
    glyph, word, mood = wording.MARKS[state.state] if state else ("✗", "note", "needs-you")
    cache = CACHE_NAMES[note.cache] if note.cache else ""
    key = f"note {note.model} {note.cache} {note.sentence}"
    name = note.model.rpartition("/")[2]
    return ProblemLine(key, glyph, word, mood, name, cache, note.todo, (note.sentence, note.todo))


def tilde(path: Path) -> str:
    """A path with the user's home as ~."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _state(stock: Stock, model: str, cache: CacheName | None) -> CacheState | None:
    for report in stock.reports:
        for one in (report, report.fallback):
            if one is not None and one.spec is not None and one.spec.source == model and cache is not None:
                return one.state(cache)
    return None


@dataclass(frozen=True)
class StoredLine:
    """One thing that lies in a cache."""

    key: str
    name: str
    cache: str
    what: str
    files: str
    size: str
    when: str
    faults: tuple[str, ...]


def stored_lines(stock: Stock) -> tuple[StoredLine, ...]:
    """Everything in the caches, the largest first."""
    return tuple(_stored(row) for row in sorted(stock.stored, key=lambda row: -row.bytes))


def _stored(row: Stored) -> StoredLine:
    files = len(row.files) or len({file.place for snapshot in row.snapshots for file in snapshot.files})
    when = f"{datetime.datetime.fromtimestamp(row.modified):%Y-%m-%d}" if row.modified else ""
    what = row.kind if row.layout == "hub" and row.kind != "model" else row.layout
    faults = tuple(fault.detail for fault in row.faults)
    return StoredLine(
        str(row.path), row.name, CACHE_NAMES[row.cache], what, f"{files:,}", amount(row.bytes), when, faults
    )


def use_lines(uses: tuple[CacheUse, ...], trash_bytes: int) -> list[tuple[str, str, str, str]]:
    """Name, size, free space and place of each cache."""
    lines = []
    for use in uses:
        size = amount(use.bytes) if use.exists else "not there"
        free = f"{amount(use.free)} free" if use.free is not None else ""
        place = tilde(use.root)
        lines.append((CACHE_NAMES[use.cache], size, free, f"{place}  ✗ {use.problem}" if use.problem else place))
    if trash_bytes:
        lines.append(("trash", amount(trash_bytes), "", "t shows what is in it"))
    return lines


def summary(stock: Stock, lines: tuple[ProblemLine, ...]) -> str:
    """ "4 problems · 3.4 GB to fetch · 1.9 GB to gain"."""
    if not stock.done:
        return f"▶ looking, {len(stock.stored):,} found"
    problems = sum(line.step is None or not line.step.optional for line in lines)
    fetch = sum(step.fetch_bytes or 0 for step in stock.plan.chosen)
    gain = sum(duplicate.reclaimable for duplicate in stock.duplicates)
    parts = [f"{problems} problem{'' if problems == 1 else 's'}" if problems else "✓ no problems"]
    parts += [f"{amount(fetch)} to fetch"] if fetch else []
    parts += [f"{amount(gain)} twice"] if gain else []
    return " · ".join(parts)
