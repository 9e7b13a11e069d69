"""The downloading child process: downloads one model and reports as JSON lines.

    python -m speedtest_tui.core.download.child      (a Request as one line on stdin; events on stdout)

Events:    state(state, file) · progress(bytes, total, received, file) · note(text) ·
           finished(path, revision) or failed(kind, what, todo)

Whatever ends it, what was downloaded stays on disk and is resumed by the next. When stdin ends the parent is gone and
so, at once, is this process. Nothing but this process imports huggingface_hub for downloads: it reads its settings when
it is imported, prints where it likes, and cannot be interrupted in the middle of a file.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from speedtest_tui.core import codec
from speedtest_tui.core.download.failures import explain
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.download.transfer import Progress
from speedtest_tui.core.process.child import EventPipe, die_with_parent, read_commands


def run(request: Request, pipe: EventPipe) -> None:
    """Download, and end with `finished` or `failed`."""
    progress = Progress(pipe.send)
    try:
        from speedtest_tui.core.download.hub import download_repository
        from speedtest_tui.core.download.openai import download_checkpoint

        placed = (download_repository if request.is_hub else download_checkpoint)(request, progress)
        progress.end(path=str(placed.path), revision=placed.revision)
    except ImportError as error:
        todo = "install it: pip install 'huggingface_hub>=2.4'"
        pipe.send("failed", kind="library", what=f"downloads need huggingface_hub ({error})", todo=todo)
    except Exception as error:
        failure = explain(error, request.source)
        pipe.send("failed", kind=failure.kind, what=failure.advice.what, todo=failure.advice.todo)


def main() -> None:
    die_with_parent()
    pipe = EventPipe()
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=read_commands, args=(commands,), name="commands", daemon=True).start()
    request = codec.typed(Request, commands.get())
    logging.disable(logging.WARNING)  # what matters is told as an event
    run(request, pipe)


if __name__ == "__main__":
    main()
