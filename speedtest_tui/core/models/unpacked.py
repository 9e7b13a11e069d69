"""How an embedded model stands in the local cache: unpacked and whole, damaged, or not unpacked yet.

Cheap: sizes only. `materialise` compares every hash when the model is used, and unpacks it anew where one is wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backends.base import ModelSpec
from speedtest_tui.core.format import of
from speedtest_tui.core.models import builtin as materialise
from speedtest_tui.core.models import remembered, structure
from speedtest_tui.core.models.status import CacheState, Fault, FileState

ON_FIRST_USE = "built in, unpacked on first use"
AGAIN = "unpacked anew on the next use"


def examine(spec: ModelSpec, cache: Path) -> CacheState:
    """Look at the folder of an embedded model's layout ("<model>/<layout>"). Never raises for what is on disk."""
    try:
        folder = materialise.folder_of(spec.source, cache)
    except (ValueError, OSError):
        return CacheState("not-applicable", detail="this version has no such model")
    try:
        if not folder.is_dir():
            return CacheState("missing", detail=ON_FIRST_USE)
        noted = _noted(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        fault = Fault("corrupt", folder / materialise.MANIFEST, f"{materialise.MANIFEST} cannot be read")
        return CacheState("damaged", path=folder, detail=f"{fault.detail}; {AGAIN}", faults=(fault,))
    files = tuple(_file(folder, name, size, sha256) for name, (size, sha256) in noted.items())
    faults = tuple(file.fault for file in files if file.fault)
    return CacheState(
        "damaged" if faults else "complete",
        sum(file.bytes for file in files),
        sum(size for size, _ in noted.values()),
        folder,
        revision=folder.parent.name,
        detail=f"{faults[0].detail}; {AGAIN}" if faults else "",
        files=files,
        faults=faults,
    )


def _noted(folder: Path) -> dict[str, tuple[int, str]]:
    """Size in bytes and sha256 by name. Raises what damage raises."""
    content: dict[str, Any] = json.loads((folder / materialise.MANIFEST).read_bytes())
    noted = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in content["files"].items()}
    if not noted or any(Path(name).name != name for name in noted):
        raise ValueError("no list of files")
    return noted


def _file(folder: Path, name: str, size: int, sha256: str) -> FileState:
    path = folder / name
    try:
        there = path.stat().st_size
    except OSError:
        there = 0
    problem = structure.problem(path, name)
    if there and there != size:
        problem = "truncated", f"{name} has the wrong size: {of(there, size)}"
    if problem is None and remembered.verdict(path) == "corrupt":
        problem = "corrupt", f"{name} does not match its sha256"
    fault = Fault(problem[0], path, problem[1], name, there) if problem else None
    return FileState(name, path, there, size, sha256, fault=fault)
