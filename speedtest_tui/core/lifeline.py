"""How a child process makes sure that it does not outlive its parent."""

from __future__ import annotations

import os
import signal
import sys


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, even while a library holds the interpreter lock.

    Elsewhere the end of stdin must do; it is noticed as soon as the interpreter may run again.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1  # <linux/prctl.h>
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def end_own_group() -> None:
    """End this process at once, and with it everything that it started, if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
