"""The folders that a scan looks at: where each cache lies, and which of them are the same folder under two names."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from speedtest_tui.core import locations
from speedtest_tui.core.models.layout import has_shared_store
from speedtest_tui.core.models.payloads import Bounds
from speedtest_tui.core.models.reading import Place
from speedtest_tui.core.models.status import CacheName

Roots = Sequence[tuple[CacheName, Path]]
Identity = tuple[int, int]

BELOW_LOCAL = "hub"
"""Where a library keeps repositories that was given the local cache as HF_HOME."""


def default_roots() -> Roots:
    """All caches of this machine, in the order in which a model is looked for."""
    local = locations.local_cache()
    return (
        ("hf", locations.hf_cache()),
        ("local", local),
        ("local", local / BELOW_LOCAL),
        ("whisper", locations.whisper_cache()),
    )


def identity(path: Path) -> Identity | None:
    """(st_dev, st_ino) of a folder behind all links, None for what is no folder or cannot be asked for."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def places(roots: Roots, cancelled: threading.Event) -> tuple[Place, ...]:
    """Each existing folder once, under the first of its names. A local cache brings its `hub` folder along."""
    wanted: list[tuple[CacheName, Path]] = []
    for name, root in roots:
        wanted += [(name, root), (name, root / BELOW_LOCAL)] if name == "local" else [(name, root)]
    folders: dict[Identity, tuple[CacheName, Path, set[CacheName]]] = {}
    for name, root in wanted:
        same = identity(root)
        if same is not None:
            folders.setdefault(same, (name, root.absolute(), set()))[2].add(name)
    real = {root: os.path.realpath(root) for _, root, _ in folders.values()}
    bounds = Bounds(tuple(real.values()))
    return tuple(
        Place(name, root, frozenset(names), real[root], has_shared_store(root), bounds, cancelled)
        for name, root, names in folders.values()
    )
