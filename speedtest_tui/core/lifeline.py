"""How a child process makes sure that neither it nor anything it starts outlives its parent."""

from __future__ import annotations

import os
import select
import signal

POLL_MS = 1000
"""How often the watchdog looks whether its own process is still there; the end of stdin it notices at once."""


def die_with_parent() -> None:
    """Leave a watchdog beside this process that kills its whole group once stdin, a pipe from the parent, has ended.

    A thread cannot do that while a library holds the interpreter lock, and Linux's own signal on a parent's death ends
    one process only, and already when the thread that started it returns. Call this first of all: the fork must
    happen before there are threads. A process that leads no group of its own was started by hand and is left alone.
    """
    guarded = os.getpid()
    if os.getpgrp() != guarded or os.fork() != 0:
        return
    try:
        # The watchdog must hold no pipe open whose end somebody waits for.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.closerange(3, 64)
        waiting = select.poll()
        waiting.register(0, 0)  # no event but the end, which is always reported: commands are not its business
        while os.getppid() == guarded:
            if waiting.poll(POLL_MS):
                os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(0)


def end_own_group() -> None:
    """End this process at once, and with it everything that it started, if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
