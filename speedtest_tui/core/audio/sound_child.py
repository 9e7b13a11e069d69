"""How a child process that talks to PortAudio begins, fails and ends; recording and playing are its two kinds."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import EventPipe, die_with_parent, read_commands


def run(work: Callable[[EventPipe, queue.SimpleQueue[dict[str, Any]]], object]) -> None:
    """Do the work and end the process: exit code 0, or 2 after a `failed` event for what a person can mend."""
    die_with_parent()
    pipe = EventPipe()
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=read_commands, args=(commands,), name="commands", daemon=True).start()
    code = 0
    try:
        work(pipe, commands)
    except UserError as error:
        pipe.send("failed", message=error.what, hint=error.todo)
        code = 2
    # Not through the interpreter's end: there PortAudio closes its streams, which hangs where a device is gone.
    sys.stderr.flush()
    os._exit(code)
