"""The downloading child process: fetches one model and reports as JSON lines.

    python -m speedtest_tui.core.download.child      (a Request as one line on stdin; events on stdout)

Events:    state(state, file) · progress(bytes, total, fetched, file) · note(text) ·
           finished(path, revision) or failed(kind, what, todo)

Whatever ends it, what was fetched stays on disk and is continued by the next. When stdin ends the parent is gone and
so, at once, is this process. Nothing but this process imports huggingface_hub for downloads: it reads its settings when
it is imported, prints where it likes, and cannot be interrupted in the middle of a file.

What a downloading child tells its parent, not too often; and the counting of attempts.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from speedtest_tui.core.download.failures import Failure, explain
from speedtest_tui.core.download.request import Patience, Request, from_json
from speedtest_tui.core.process.child import EventPipe, die_with_parent, read_commands


def run(request: Request, pipe: EventPipe) -> None:
    """Fetch, and end with `finished` or `failed`."""
    progress = Progress(pipe.send)
    try:
        from speedtest_tui.core.download.hub import fetch_repository
        from speedtest_tui.core.download.openai import fetch_checkpoint

        fetched = (fetch_repository if request.kind == "hub" else fetch_checkpoint)(request, progress)
        progress.end(path=str(fetched.path), revision=fetched.revision)
    except ImportError as error:
        todo = "install it: pip install 'huggingface_hub>=2.4'"
        pipe.send("failed", kind="library", what=f"downloads need huggingface_hub ({error})", todo=todo)
    except Exception as error:
        failure = explain(error, request.source)
        pipe.send("failed", kind=failure.kind, what=failure.what, todo=failure.todo)


def main() -> None:
    die_with_parent()
    pipe = EventPipe()
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=read_commands, args=(commands,), name="commands", daemon=True).start()
    request = from_json(commands.get())
    logging.disable(logging.WARNING)  # what matters is told as an event
    run(request, pipe)


INTERVAL_S = 0.1


class Progress:
    """Counts bytes and passes them on. `send(event, **fields)` is given; see `child` for the events."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._due = 0.0
        self._total: int | None = None
        self.bytes = self.fetched = 0
        self._file = ""

    def begin(self, present: int, total: int | None) -> None:
        """Say what there is to do, in bytes."""
        self.bytes, self._total = present, total
        self._report()

    def grow(self, more: int) -> None:
        """The whole turned out to be larger, or smaller, than was said."""
        self._total = None if self._total is None else self._total + more

    def file(self, name: str) -> None:
        """Another file is in hand."""
        self._file = name

    def state(self, state: str) -> None:
        """ "resolving", "checking", "fetching" or "waiting"."""
        self._send("state", state=state, file=self._file)

    def note(self, text: str) -> None:
        """Something that people should see."""
        self._send("note", text=text)

    def received(self, count: int) -> None:
        """Bytes came over the network and are in the file."""
        self.bytes += count
        self.fetched += count
        self.tick()

    def counted(self, count: int) -> None:
        """Bytes that need not be fetched after all, or, below zero, that are lost."""
        self.bytes += count
        self.tick()

    def tick(self) -> None:
        """Report if it is time to."""
        if time.monotonic() >= self._due:
            self._report()

    def end(self, **fields: Any) -> None:
        """The last figures, then the end."""
        self._report()
        self._send("finished", **fields)

    def _report(self) -> None:
        self._due = time.monotonic() + INTERVAL_S
        self._send("progress", bytes=self.bytes, total=self._total, fetched=self.fetched, file=self._file)


class Attempts:
    """How often something has failed in a row, and how long to wait before the next time."""

    def __init__(self, patience: Patience, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patience, self._progress, self._sleep = patience, progress, sleep
        self._failed = 0

    def progressed(self) -> None:
        """A byte came: the server is there."""
        self._failed = 0

    def failed(self, failure: Failure) -> None:
        """Wait for the next attempt. Raises the failure where there is to be none."""
        self._failed += 1
        if not failure.transient or self._failed >= self._patience.attempts:
            raise failure
        wait = min(self._patience.first_wait_s * 2 ** (self._failed - 1), self._patience.longest_wait_s)
        if failure.wait_s is not None:
            wait = failure.wait_s
        self._progress.note(f"{failure.what}: trying again in {wait:.0f} s" if wait >= 1 else f"{failure.what}")
        self._sleep(wait)


if __name__ == "__main__":
    main()
