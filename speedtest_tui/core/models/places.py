"""Where caches lie, and where a model may lie in each. Loading, checking, downloading and repairing all ask here."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.base import ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models.layout import is_safe_name, repository_folder
from speedtest_tui.core.models.own import folder_of
from speedtest_tui.core.models.reading import Root, root_at
from speedtest_tui.core.models.status import CacheName

Roots = Sequence[tuple[CacheName, Path]]
Identity = tuple[int, int]
PlaceLayout = Literal["hub", "plain", "converted", "checkpoint"]

BELOW_LOCAL = "hub"
"""Where a library keeps repositories that was given the local cache as HF_HOME."""


@dataclass(frozen=True)
class Place:
    """One place where a model may lie, whether or not anything is there.

    path: the repository's folder, the plain or converted folder, or the .pt file; absolute
    certain: False where only the model's last name is compared, which models of other owners may share
    """

    layout: PlaceLayout
    path: Path
    certain: bool = True


def root_of(cache: CacheName) -> Path:
    """The folder of a cache."""
    return {"hf": locations.hf_cache, "local": locations.local_cache, "whisper": locations.whisper_cache}[cache]()


def places(spec: ModelSpec, cache: CacheName) -> tuple[Place, ...]:
    """The places of a model in one cache, the preferred one first; none where it cannot be there."""
    root = root_of(cache)
    if spec.kind == "folder":
        folder = folder_of(spec.source)
        layout: PlaceLayout = "checkpoint" if folder is not None and folder.is_file() else "plain"
        return (Place(layout, folder),) if cache == "local" and folder else ()
    if spec.kind == "openai":
        names = [name for file in spec.files for name in file.names]
        return tuple(Place("checkpoint", root / name) for name in names if is_safe_name(name)) if cache != "hf" else ()
    if spec.kind != "hub" or cache == "whisper" or not is_safe_name(spec.source):
        return ()
    if cache == "hf":
        return (Place("hub", repository_folder(root, spec.source)),)
    owner, _, name = spec.source.rpartition("/")
    found = [Place("hub", repository_folder(folder, spec.source)) for folder in (root, root / BELOW_LOCAL)]
    if owner:
        found += [Place("plain", root / f"{owner}--{name}"), Place("plain", root / owner / name)]
    return (
        *found,
        Place("plain", root / name, certain=False),
        *(Place("converted", folder / name, certain=False) for folder in locations.converted_folders()),
    )


def root_around(path: Path, cache: CacheName) -> Root:
    """What is to be known before one repository, folder or file of a cache is read.

    People move caches and repositories to other disks and leave a link in their place: links may lead into all caches,
    and into the folder itself.
    """
    caches = (path, locations.hf_cache(), locations.local_cache(), locations.whisper_cache())
    return root_at(path.parent, cache, [os.path.realpath(folder) for folder in caches])


def default_roots() -> Roots:
    """All caches of this machine, in the order in which a model is looked for."""
    return (
        ("hf", locations.hf_cache()),
        ("local", locations.local_cache()),
        ("local", locations.local_cache() / BELOW_LOCAL),
        ("whisper", locations.whisper_cache()),
    )


def identity(path: Path) -> Identity | None:
    """(st_dev, st_ino) of a folder behind all links, None for what is no folder or cannot be asked for."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def roots_of(caches: Roots, cancelled: threading.Event) -> tuple[Root, ...]:
    """Each existing folder once, under the first of its names. A local cache brings its `hub` folder along."""
    wanted: list[tuple[CacheName, Path]] = []
    for name, path in caches:
        wanted += [(name, path), (name, path / BELOW_LOCAL)] if name == "local" else [(name, path)]
    folders: dict[Identity, tuple[CacheName, Path, set[CacheName]]] = {}
    for name, path in wanted:
        same = identity(path)
        if same is not None:
            folders.setdefault(same, (name, path.absolute(), set()))[2].add(name)
    inside = [os.path.realpath(path) for _, path, _ in folders.values()]
    return tuple(root_at(path, name, inside, frozenset(names), cancelled) for name, path, names in folders.values())
