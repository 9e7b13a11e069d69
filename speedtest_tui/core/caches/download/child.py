"""The downloading child process: fetches one model and reports as JSON lines.

    python -m speedtest_tui.core.caches.download.child      (a Request as one line on stdin; events on stdout)

Events:    state(state, file) · progress(bytes, total, fetched, file) · note(text) ·
           finished(path, revision) or failed(kind, what, todo)

Whatever ends it, what was fetched stays on disk and is continued by the next. When stdin ends the parent is gone and
so, at once, is this process. Nothing but this process imports huggingface_hub for downloads: it reads its settings when
it is imported, prints where it likes, and cannot be interrupted in the middle of a file.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from speedtest_tui.core.caches.download.failures import explain
from speedtest_tui.core.caches.download.progress import Progress
from speedtest_tui.core.caches.download.request import Request, from_json
from speedtest_tui.core.event_pipe import EventPipe, read_commands
from speedtest_tui.core.lifeline import die_with_parent


def run(request: Request, pipe: EventPipe) -> None:
    """Fetch, and end with `finished` or `failed`."""
    progress = Progress(pipe.send)
    try:
        from speedtest_tui.core.caches.download.hub import fetch_repository
        from speedtest_tui.core.caches.download.openai import fetch_checkpoint

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


if __name__ == "__main__":
    main()
