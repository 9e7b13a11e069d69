"""Fetching what is damaged together with what is missing, without losing what it replaces."""

from __future__ import annotations

from dataclasses import replace

from speedtest_tui.core.download.request import Request
from speedtest_tui.core.models.status import CacheState, FaultKind
from speedtest_tui.core.repair.changes import Changes

REPLACED: tuple[FaultKind, ...] = ("truncated", "corrupt", "empty", "lfs-pointer")
"""Faults of files that are there: a download would take them for fetched."""


def with_damaged(request: Request, state: CacheState) -> Request:
    """The request with the damaged files of that cache as well; what they are replaced in goes to the trash.

    Raises OSError where no trash can be had beside the cache.
    """
    damaged = tuple(file.name for file in state.files if file.fault and file.fault.kind in REPLACED)
    if not damaged or state.path is None:
        return request
    kept = Changes(f"download of {request.name}").scratch(state.path, request.root)
    return replace(request, again=damaged, trash=kept)
