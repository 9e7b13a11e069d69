"""A child process's side of the conversation: commands come as JSON lines on stdin, events go out as JSON lines.

The library's own prints must not mix with the events: file descriptor 1 is duplicated for the events alone and then
made to point where stderr goes.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from typing import Any

from speedtest_tui.core.bench.protocol import LineSplitter
from speedtest_tui.core.lifeline import end_own_group


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
