"""The one place that starts child processes: own group, all stdio piped, offline, nothing inherited by accident.

And the one that ends them, with what they have started in whatever group or session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speedtest_tui.core.process.lines import LIFELINE, MARK

if TYPE_CHECKING:
    import psutil

CHILD_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONFAULTHANDLER": "1",  # a segfault leaves a reason on stderr
    "PYTHONIOENCODING": "utf-8",
}
OFFLINE_ENVIRONMENT = {**CHILD_ENVIRONMENT, "HF_HUB_OFFLINE": "1"}  # a benchmark can never start a download

KIN_ROUNDS = 10
"""How often to look for what has been started while others were killed."""

KILL_AFTER_S = 0.5
"""How long a child may take to end after SIGTERM; ours has no handler, so this only matters to what it started."""

MEANINGS = {
    "SIGSEGV": "crashed (segmentation fault, SIGSEGV)",
    "SIGBUS": "crashed (bus error, SIGBUS)",
    "SIGABRT": "aborted (SIGABRT)",
    "SIGILL": "crashed (this processor lacks an instruction that the library uses, SIGILL)",
    "SIGKILL": "was killed (SIGKILL); the system does that when memory runs out",
}


_lifeline: list[int] = []
_lifeline_lock = threading.Lock()


def lifeline() -> int:
    """The reading end of a pipe into which nobody ever writes: it ends when this process does, however that comes.

    One for all children, and for nothing else: what commands come down meanwhile does not concern whoever waits here.
    """
    with _lifeline_lock:
        if not _lifeline:
            _lifeline.extend(os.pipe())
    return _lifeline[0]


class Started(subprocess.Popen[bytes]):
    """A child process; `mark` is in its environment and in that of all that it starts."""

    mark: str


def launch(module: str, *, pass_fds: Sequence[int] = (), online: bool = False) -> Started:
    """Start `python -m module`, unbuffered pipes on all three standard streams.

    online: whether the child may use the network; what the user's own HF_HUB_OFFLINE forbids stays forbidden

    The child leads a process group of its own, so that a Ctrl-C at the terminal does not reach it and that what it
    starts can be ended with it. `-P` keeps the working folder off its import path. Raises OSError.
    """
    mark, line = os.urandom(16).hex(), lifeline()
    process = Started(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        pass_fds=(*pass_fds, line),
        env={**os.environ, **(CHILD_ENVIRONMENT if online else OFFLINE_ENVIRONMENT), MARK: mark, LIFELINE: str(line)},
    )
    process.mark = mark
    return process


def end(process: Started) -> None:
    """End a child and all that it has started: ask, wait KILL_AFTER_S, kill. Returns when the child is reaped."""
    related = kin(process.pid, process.mark)  # its end cuts the tree
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The group is signalled even where its leader has ended: what that started may live on.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_AFTER_S if number == signal.SIGTERM else None)
    end_kin(process.pid, process.mark, related)


def kin(pid: int, mark: str) -> list[psutil.Process]:
    """What a child has started, whatever group, session and parent it is in by now: its descendants, and who carries
    its mark. Empty where the system shows no processes. One that has neither is found on Linux only, and only while the
    child lives, which has adopted it.
    """
    try:
        import psutil

        found: set[psutil.Process] = set()
        with contextlib.suppress(psutil.Error):
            found |= set(psutil.Process(pid).children(recursive=True))
        for number in psutil.pids():
            with contextlib.suppress(psutil.Error, OSError):
                if (process := psutil.Process(number)).environ().get(MARK) == mark:
                    found.add(process)
    except (ImportError, LookupError, OSError):
        return []
    return [process for process in found if process.pid not in (pid, os.getpid())]


def end_kin(pid: int, mark: str, found: Sequence[psutil.Process] | None = None) -> None:
    """Kill a child's kin: those `found` before, and then whoever is there until nobody new comes."""
    killed: set[psutil.Process] = set()
    for _ in range(KIN_ROUNDS):
        new = set(found or ()) | set(kin(pid, mark)) - killed
        for process in new:
            # Nobody else's: psutil compares the time of its start first.
            with contextlib.suppress(Exception):
                process.kill()
        if not new:
            return
        found, killed = None, killed | new


def describe_exit(code: int) -> str:
    """An exit status in words, empty for 0; negative numbers are signals, as in subprocess."""
    if code == 0:
        return ""
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return MEANINGS.get(name, f"was ended by {name}")
