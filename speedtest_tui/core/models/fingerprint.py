"""What a verification depends on, as one hash: a model's files, and the libraries that read them.

Names, sizes and times are enough to notice a change, and cost a few system calls where hashing would cost gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from backends.base import BackendEntry, Engine, Location, ModelSpec
from backends.registry import create

Libraries = Sequence[tuple[str, str]]
"""Names and versions."""

RUNTIMES: dict[Engine, tuple[str, ...]] = {"mlx": ("mlx",), "torch": ("torch", "transformers"), "cpu": ()}
"""What an engine's backends compute with, beside their own library."""

OWN = "speedtest-tui"
UNKNOWN = "unknown"


def libraries(entry: BackendEntry, spec: ModelSpec) -> Libraries:
    """The libraries that load a model, with the versions installed now. Imports none of them."""
    try:
        backend = create(entry.reference)
        engine, own = backend.engine, backend.availability().version
    except Exception as error:
        # The check itself will say what is wrong; here it only matters that mending it changes the answer.
        return ((entry.name, type(error).__name__),)
    names = [*RUNTIMES.get(engine, ())]
    if engine == "mlx" and any(name.endswith(".pt") for file in spec.files for name in file.names):
        names.append("torch")  # which unpickles the checkpoint
    if entry.provider != OWN:
        names.append(entry.provider)
    return ((entry.name, own), *((name, _version(name)) for name in names))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return UNKNOWN


def fingerprint(spec: ModelSpec, location: Location, libraries: Libraries) -> str:
    """A sha256 in hex that changes when a required file does, or a library's version. Never raises for what is missing.

    Of each file: its name, where the link that it is leads (in the hub's layout the blob's name is a hash of the
    content), size in bytes, and time of change in nanoseconds.
    """
    files = [_facts(name, path) for name, path in _files(spec, location)]
    text = json.dumps([sorted(files), sorted(map(list, libraries))])
    return hashlib.sha256(text.encode()).hexdigest()


def _files(spec: ModelSpec, location: Location) -> Iterable[tuple[str, Path]]:
    """The files that a model consists of, by name. None for a bundled one, which is a part of its library."""
    folder = location.path
    if folder is None:
        return
    if spec.kind == "embedded":
        try:
            yield from ((path.name, path) for path in folder.iterdir() if not path.name.startswith("."))
        except OSError:
            yield "", folder
    elif not folder.is_dir():
        yield folder.name, folder
    else:
        for file in spec.files:
            name = next((name for name in file.names if (folder / name).exists()), file.names[0])
            yield name, folder / name


def _facts(name: str, path: Path) -> list[str | int]:
    try:
        link = path.readlink().name if path.is_symlink() else ""
        status = path.stat()
    except OSError as error:
        return [name, "", type(error).__name__, 0, 0]
    kind = "file" if stat.S_ISREG(status.st_mode) else "other"
    return [name, link, kind, status.st_size, status.st_mtime_ns]
