"""The hub's own locks, `.locks/<repository>/<etag>.lock`: held while a blob is changed, so that a download waits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.layout import etag_of_partial

if TYPE_CHECKING:
    from filelock import BaseFileLock


LOCKS = ".locks"
WAIT_SECONDS = 10.0
"""A repair's own changes take milliseconds: whoever holds a lock for longer is downloading."""
LOOK_SECONDS = 0.1


class Busy(UserError):
    """Another process works on the file."""


def lock_of(path: Path, root: Path) -> Path | None:
    """The lock of `<root>/<repository>/blobs/<etag>` and of its partial files; None for every other path."""
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        return None
    if len(parts) != 3 or parts[1] != "blobs":
        return None
    return root / LOCKS / parts[0] / f"{etag_of_partial(parts[2]) or parts[2]}.lock"


@contextlib.contextmanager
def holding(
    lock: Path | None, cancelled: threading.Event | None = None, seconds: float = WAIT_SECONDS
) -> Iterator[None]:
    """Hold a lock as huggingface_hub does. Raises Busy where another process keeps it, OSError where none can be made.

    seconds: to wait for it; 0 to try once
    """
    if lock is None:
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = _acquire(lock, cancelled or threading.Event(), seconds)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            held.release()


def _acquire(lock: Path, cancelled: threading.Event, seconds: float) -> BaseFileLock:
    from filelock import FileLock, SoftFileLock, Timeout

    held: BaseFileLock = FileLock(lock, mode=0o664)
    until = time.monotonic() + seconds
    while True:
        try:
            held.acquire(timeout=0)
            return held
        except NotImplementedError:
            # As huggingface_hub: a file system without flock locks by the file's existence.
            if isinstance(held, SoftFileLock):
                raise
            held = SoftFileLock(lock, mode=0o664)
        except Timeout:
            if time.monotonic() >= until or cancelled.wait(LOOK_SECONDS):
                name = lock.parent.name.removeprefix("models--").replace("--", "/")
                raise Busy(
                    f"another program is downloading a file of {name}", "try again when it is done, or end it"
                ) from None
