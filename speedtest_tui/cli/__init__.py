"""Everything that is typed: the table of commands, options, tables and live progress on a terminal."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from typing import Any

INSISTING = 5


def on_signals(handler: Callable[[int, Any], object] | None) -> None:
    """Have what ends a program handled, or by None no more; what was ignored from the start, as by nohup, stays so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler or signal.SIG_DFL)


def end_as_interrupted() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP end the work: children are ended, what was reached is kept and printed.

    A terminal that is closed sends two of them, one right behind the other: those that follow are ignored, so that they
    do not end the keeping. The fifth insists.
    """
    received = itertools.count(1)

    def interrupt(number: int, frame: object) -> None:
        if next(received) in (1, INSISTING):
            raise KeyboardInterrupt

    on_signals(interrupt)
