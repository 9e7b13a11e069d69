"""Where a model may lie in each cache. Loading, checking, downloading and repairing all ask here."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.base import ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models.layout import is_safe_name, repository_folder
from speedtest_tui.core.models.sizes import folder_of
from speedtest_tui.core.models.status import CacheName

PlaceLayout = Literal["hub", "plain", "converted", "checkpoint"]


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
        return (Place("plain", folder),) if cache == "local" and folder else ()
    if spec.kind == "openai":
        names = [name for file in spec.files for name in file.names]
        return tuple(Place("checkpoint", root / name) for name in names if is_safe_name(name)) if cache != "hf" else ()
    if spec.kind != "hub" or cache == "whisper" or not is_safe_name(spec.source):
        return ()
    if cache == "hf":
        return (Place("hub", repository_folder(root, spec.source)),)
    owner, _, name = spec.source.rpartition("/")
    # `hub/` below the local cache: what a library leaves there when it is given the folder as HF_HOME.
    found = [Place("hub", repository_folder(folder, spec.source)) for folder in (root, root / "hub")]
    if owner:
        found += [Place("plain", root / f"{owner}--{name}"), Place("plain", root / owner / name)]
    return (
        *found,
        Place("plain", root / name, certain=False),
        Place("converted", locations.converted_folder() / name, certain=False),
    )


def is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises PermissionError where that may not be known: hidden is not missing."""
    return _is(path, stat.S_ISDIR, follow=True)


def exists(path: Path) -> bool:
    """Whether something is there, behind all links. Raises PermissionError where that may not be known."""
    return _is(path, lambda _mode: True, follow=True)


def is_link(path: Path) -> bool:
    """Whether a path is a symlink itself. Raises PermissionError where that may not be known."""
    return _is(path, stat.S_ISLNK, follow=False)


def _is(path: Path, test: Callable[[int], bool], *, follow: bool) -> bool:
    try:
        return test(path.stat(follow_symlinks=follow).st_mode)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False


def names_in(folder: Path) -> list[str]:
    """The names directly inside a folder; none where it is not there. Raises OSError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def inner_roots(folder: Path) -> tuple[Path, ...]:
    """Where the payload of a file in `folder` may really lie: below it, or in any cache.

    People move caches and repositories to other disks and leave a link in their place, so all are followed first.
    """
    roots = (folder, locations.hf_cache(), locations.local_cache(), locations.whisper_cache())
    return tuple(dict.fromkeys(Path(os.path.realpath(root)) for root in roots))
