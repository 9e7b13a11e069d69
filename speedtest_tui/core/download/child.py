"""The downloading child process: downloads one model and reports.

    python -m speedtest_tui.core.download.child      (a Request on stdin; the messages of `request` on stdout)

Whatever ends it, what was downloaded stays on disk and is resumed by the next. Nothing but this process imports
huggingface_hub for downloads: it reads its settings when it is imported, prints where it likes, and cannot be
interrupted in the middle of a file.
"""

from __future__ import annotations

import logging

from backends.base import Advice
from speedtest_tui.core.codec import typed
from speedtest_tui.core.download.failures import check_environment, explain
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.download.transfer import Progress
from speedtest_tui.core.process.child import Parent, serve
from speedtest_tui.core.process.lines import Failed


def work(parent: Parent) -> None:
    """Download what was ordered."""
    request = typed(Request, parent.order)
    logging.disable(logging.WARNING)  # what matters is told as a message
    progress = Progress(parent.send)
    try:
        check_environment()
        from speedtest_tui.core.download.hub import download_repository
        from speedtest_tui.core.download.openai import download_checkpoint

        placed = (download_repository if request.is_hub else download_checkpoint)(request, progress)
        progress.end(placed.path, placed.revision)
    except ImportError as error:
        todo = "install it: pip install 'huggingface_hub>=2.4'"
        parent.send(Failed(Advice(f"downloads need huggingface_hub ({error})", todo), "library"))
    except Exception as error:
        failure = explain(error, request.source)
        parent.send(Failed(failure.advice, failure.kind))


if __name__ == "__main__":
    serve(work)
