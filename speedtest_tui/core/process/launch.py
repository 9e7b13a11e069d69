"""The one place that starts child processes: own group, all stdio piped, offline, nothing inherited by accident."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

CHILD_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONFAULTHANDLER": "1",  # a segfault leaves a reason on stderr
    "PYTHONIOENCODING": "utf-8",
}
OFFLINE_ENVIRONMENT = {**CHILD_ENVIRONMENT, "HF_HUB_OFFLINE": "1"}  # a benchmark can never start a download

KILL_AFTER_S = 0.5
"""How long a child may take to end after SIGTERM; ours has no handler, so this only matters to what it started."""

MEANINGS = {
    "SIGSEGV": "crashed (segmentation fault, SIGSEGV)",
    "SIGBUS": "crashed (bus error, SIGBUS)",
    "SIGABRT": "aborted (SIGABRT)",
    "SIGILL": "crashed (this processor lacks an instruction that the library uses, SIGILL)",
    "SIGKILL": "was killed (SIGKILL); the system does that when memory runs out",
}


def launch(module: str, *, pass_fds: Sequence[int] = (), online: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m module`, unbuffered pipes on all three standard streams.

    online: whether the child may use the network; what the user's own HF_HUB_OFFLINE forbids stays forbidden

    The child leads a process group of its own, so that a Ctrl-C at the terminal does not reach it and that what it
    starts can be ended with it. `-P` keeps the working folder off its import path. Raises OSError.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        pass_fds=pass_fds,
        env={**os.environ, **(CHILD_ENVIRONMENT if online else OFFLINE_ENVIRONMENT)},
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child and its whole group: ask, wait KILL_AFTER_S, kill. Returns when the child is reaped."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The group is signalled even where its leader has ended: what that started may live on.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_AFTER_S if number == signal.SIGTERM else None)


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
