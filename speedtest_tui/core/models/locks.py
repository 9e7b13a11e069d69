"""The hub's own locks, `.locks/<repository>/<etag>.lock`: held while a blob is changed, by us as by huggingface_hub."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.layout import BLOBS, LOCKS, etag_of_partial

if TYPE_CHECKING:
    from filelock import BaseFileLock


WAIT_SECONDS = 10.0
"""Changes that are no downloads take milliseconds: whoever holds a lock for longer is downloading."""
LOOK_SECONDS = 0.1
MODE = 0o664
"""As huggingface_hub makes them: people who share a cache wait for each other."""


class Busy(UserError):
    """Another process works on the file."""


def lock_of(path: Path, root: Path) -> Path | None:
    """The lock of `<root>/<repository>/blobs/<etag>` and of its partial files; None for every other path."""
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        return None
    if len(parts) != 3 or parts[1] != BLOBS:
        return None
    return root / LOCKS / parts[0] / f"{etag_of_partial(parts[2]) or parts[2]}.lock"


def briefly(cancelled: threading.Event | None = None) -> Callable[[], bool]:
    """Waits WAIT_SECONDS at most, in steps: for `holding`."""
    until = time.monotonic() + WAIT_SECONDS
    wished = cancelled or threading.Event()
    return lambda: time.monotonic() < until and not wished.wait(LOOK_SECONDS)


@contextlib.contextmanager
def holding(lock: Path | None, wait: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock as huggingface_hub does; nothing happens where there is none to hold, or where links stand on the way
    to it: nothing may be made behind them.

    wait: called each time that another process has it: waits a little, and returns whether to try again
    Raises Busy where another process keeps it, OSError where there can be no lock.
    """
    if lock is None or any(part.is_symlink() for part in (lock, *lock.parents[:2])):
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = _acquire(lock, wait)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            held.release()


def _acquire(lock: Path, wait: Callable[[], bool]) -> BaseFileLock:
    from filelock import FileLock, SoftFileLock, Timeout

    held: BaseFileLock = FileLock(lock, mode=MODE)
    while True:
        try:
            held.acquire(timeout=0)
            return held
        except NotImplementedError:
            # As huggingface_hub: a file system without flock locks by the file's existence.
            if isinstance(held, SoftFileLock):
                raise
            held = SoftFileLock(lock, mode=MODE)
        except Timeout:
            if not wait():
                name = lock.parent.name.removeprefix("models--").replace("--", "/")
                todo = "try again when it is done, or end it"
                raise Busy(f"another program is downloading a file of {name}", todo) from None
