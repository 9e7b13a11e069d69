"""What downloads leave behind, and when it is certain that nothing will use it."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from speedtest_tui.core.format import amount
from speedtest_tui.core.models.inventory import Partial
from speedtest_tui.core.models.layout import shown
from speedtest_tui.core.models.status import Fault


def orphans(partials: Iterable[Partial], there: Mapping[str, int], wanted: Mapping[str, int]) -> Iterator[Fault]:
    """The partial downloads that nothing can continue: their file is there, or more of it is in another partial.

    there: size in bytes of each blob on disk
    wanted: size in bytes that each blob should have, as far as known
    """
    largest: dict[str, Partial] = {}
    for partial in sorted(partials, key=lambda partial: partial.bytes):
        largest[partial.etag] = partial
    for partial in partials:
        have = there.get(partial.etag)
        # A blob of the wrong size will be fetched again, and the partial may be the better beginning.
        if have is not None and have == wanted.get(partial.etag, have):
            why = "its file is complete"
        elif partial is not largest[partial.etag]:
            why = "more of the same file is in another partial download"
        else:
            continue
        detail = f"{shown(partial.path.name)} ({amount(partial.bytes)}) is left of a download; {why}"
        yield Fault("orphaned-partial", partial.path, detail, bytes=partial.bytes)


def stale_locks(paths: Iterable[Path], blobs: Collection[str] | None) -> Iterator[Fault]:
    """The lock files that may be cleared, if nobody turns out to hold them.

    blobs: what the repository has, has parts of or is to have; None where the repository is gone

    An empty lock file of a finished download is no fault: filelock leaves it on purpose, and it blocks nobody.
    """
    for path in paths:
        name = path.name
        owner = _owner(path)
        if owner is not None and not _lives(owner):
            why = f"the process that made it ({owner}) has ended; others would wait for it"
        elif blobs is None:
            why = "its repository is gone"
        elif name.removesuffix(".lock") not in blobs:
            why = "no file of the repository has this name"
        else:
            continue
        yield Fault("stale-lock", path, f"lock {shown(name)} is left over: {why}")


def _owner(path: Path) -> int | None:
    """The process that a lock file names: only locks that work without the system's help do, by existing."""
    try:
        with path.open("rb") as opened:
            first, _, rest = opened.read(1_024).partition(b"\n")
    except OSError:
        return None
    # The processes of other machines and containers cannot be asked for, and a file server may hold their locks.
    here = rest.split(b"\n")[0].decode(errors="replace") in _names_of_this_machine()
    return int(first) if here and first.isdigit() else None


def _names_of_this_machine() -> tuple[str, ...]:
    """What filelock calls this machine; on Linux it adds the container."""
    name = platform.node()
    try:
        return name, f"{name}?pidns-{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return (name,)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
