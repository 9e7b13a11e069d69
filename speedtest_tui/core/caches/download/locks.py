"""The lock of one file, the one that huggingface_hub takes: whoever comes second waits and finds the file there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from speedtest_tui.core.caches.download.failures import Failure
from speedtest_tui.core.caches.download.progress import Progress
from speedtest_tui.core.caches.download.request import Patience

LOOK_S = 0.5
MODE = 0o664
"""As huggingface_hub makes them: people who share a cache wait for each other."""


@contextlib.contextmanager
def held(lock: Path, growing: Callable[[], int], name: str, patience: Patience, progress: Progress) -> Iterator[None]:
    """Hold a lock, waiting for another holder for as long as what it fetches grows.

    growing: bytes that the other has so far
    Raises Failure where it does not grow for `patience.lock_s`, OSError where there can be no lock.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    mine: filelock.BaseFileLock = filelock.FileLock(lock, mode=MODE)
    seen, since, told = -1, time.monotonic(), False
    while True:
        try:
            mine.acquire(timeout=LOOK_S if told else 0)
            break
        except filelock.Timeout:
            if not told:
                progress.state("waiting")
                progress.note(f"another program is fetching {name}: waiting for it")
                told = True
            if (now := growing()) != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > patience.lock_s:
                todo = "end that program, or try again later"
                raise Failure("locked", f"another program holds {name} and does not get on", todo) from None
        except NotImplementedError:
            # The file system knows no locks; huggingface_hub then takes a file's mere existence for one.
            mine = filelock.SoftFileLock(lock)
    try:
        if told:
            progress.state("fetching")
        yield
    finally:
        with contextlib.suppress(OSError):
            mine.release()
