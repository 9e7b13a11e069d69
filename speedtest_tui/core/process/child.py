"""A child process's side of the conversation: commands come as JSON lines on stdin, events go out as JSON lines.

The library's own prints must not mix with the events: file descriptor 1 is duplicated for the events alone and then
made to point where stderr goes.

How a child process makes sure that neither it nor anything it starts outlives its parent.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import threading
import time
from typing import Any

from speedtest_tui.core.process.lines import LineSplitter


class EventPipe:
    """Writes events to a descriptor that nothing else in the process knows."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), **fields}, ensure_ascii=False, default=str)
        data = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]


def read_commands(commands: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass on every line of stdin; when it ends, end the whole process group."""
    lines = LineSplitter()
    try:
        # Read without a buffer object: one that a daemon thread holds at exit is a fatal error.
        while data := os.read(0, 65536):
            for line in lines.feed(data):
                commands.put(json.loads(line))
    finally:
        end_own_group()


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
