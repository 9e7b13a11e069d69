"""All caches at once: what is stored in them, how each model stands, and what would repair them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backends.base import BackendEntry
from speedtest_tui.core.models.duplicates import duplicates
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.inventory import CacheUse, Duplicate, Stored
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.models.sizes import Option, every
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.step import Plan

NOTHING_TO_DO = Plan()

BATCH_S = 0.2
"""A growing overview is handed out this often."""


@dataclass(frozen=True)
class CacheOverview:
    """What all caches hold. It grows while they are inspected; `done` when nothing is left to be found.

    plan: what would repair everything, and what nothing repairs
    duplicates: those that inodes and blob names give away, without hashing
    """

    stored: tuple[Stored, ...] = ()
    uses: tuple[CacheUse, ...] = ()
    reports: tuple[ModelReport, ...] = ()
    plan: Plan = NOTHING_TO_DO
    duplicates: tuple[Duplicate, ...] = ()
    done: bool = False


def inspect_caches(
    entries: Sequence[BackendEntry], cancelled: threading.Event, options: Sequence[Option] = ()
) -> Iterator[CacheOverview]:
    """Inspect all caches, and the models of all sizes and what else of the catalogue lies there; yields every BATCH_S
    and at the end. Loads and hashes nothing.

    options: what single backends are set to
    """
    stored: list[Stored] = []
    shown = time.monotonic()
    for row in scan(cancelled=cancelled):
        stored.append(row)
        if time.monotonic() - shown > BATCH_S:
            yield CacheOverview(tuple(stored))
            shown = time.monotonic()
    overview = CacheOverview(tuple(stored), use(stored))
    yield overview
    reports: list[ModelReport] = []
    for report in inspect_models(every(entries, options), cancelled):
        reports.append(report)
        if time.monotonic() - shown > BATCH_S:
            yield replace(overview, reports=tuple(reports))
            shown = time.monotonic()
    if cancelled.is_set():
        return
    same = duplicates(stored, lambda *_: {}, lambda *_: None, cancelled)
    yield replace(overview, reports=tuple(reports), duplicates=same, plan=plan(reports, stored, same), done=True)
