"""Waiting until nobody computes, so that a child that is done does not slow the one that is timed next.

OpenMP's threads spin for up to 200 ms after their work (GOMP_SPINCOUNT, KMP_BLOCKTIME): a run that begins at once would
share its cores with them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from speedtest_tui.core.bench.child_handle import ChildHandle

WINDOW_S = 0.05
QUIET_SHARE = 0.2
"""Of one core, over a window. Linux counts in ticks of 10 ms: one tick in 50 ms is noise, two are work."""

QUIET_WINDOWS = 2
"""In a row. On a loaded machine a spinning thread may get no processor for a whole window and look idle."""

GIVE_UP_S = 3.0


def wait_until_quiet(
    children: Iterable[ChildHandle],
    cancelled: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Sequence[int]:
    """Return when no child computed for QUIET_WINDOWS windows, or after GIVE_UP_S with those that still do."""
    children = tuple(children)
    deadline = clock() + GIVE_UP_S
    before = {child.entrant: _cpu(child) for child in children}
    quiet = 0
    while not cancelled.wait(WINDOW_S):
        after = {child.entrant: _cpu(child) for child in children}
        # A hair above the share: a tick is not exactly 10 ms once it has been through floating point.
        limit = QUIET_SHARE * WINDOW_S + 0.001
        busy = [entrant for entrant, used in after.items() if used - before[entrant] > limit]
        quiet = 0 if busy else quiet + 1
        if quiet == QUIET_WINDOWS:
            return ()
        if clock() > deadline:
            return busy
        before = after
    return ()


def _cpu(child: ChildHandle) -> float:
    vitals = child.vitals()
    return vitals.cpu_s if vitals else 0.0
