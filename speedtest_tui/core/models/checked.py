"""Which files have been hashed and what came of it, kept across starts: hashing gigabytes again would tell nothing new.

Kept by the payload's real path, so that all links to it share one result, and believed only while its size and time of
change are those of the file that was hashed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from speedtest_tui.core import disk as atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import checksums_file

SCHEMA = 1

Verdict = Literal["ok", "corrupt"]


@dataclass(frozen=True)
class Checked:
    """One file that was hashed. `size` in bytes and `mtime_ns` are those from before it was read."""

    path: Path
    size: int
    mtime_ns: int
    digest: str
    ok: bool


def verdict(path: Path) -> Verdict | None:
    """What hashing said of a file; None where it never was, or where it has changed since. Never raises."""
    found = _known().get(os.path.realpath(path))
    if found is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if (status.st_size, status.st_mtime_ns) != (found.size, found.mtime_ns):
        return None
    return "ok" if found.ok else "corrupt"


def remember(checks: Iterable[Checked]) -> None:
    """Keep results in the place of earlier ones of the same files; what other processes have written meanwhile stays.

    Raises UserError where the file cannot be written.
    """
    file = checksums_file()
    new = {os.path.realpath(check.path): check for check in checks}
    if not new:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic.locked(file):
            known = {path: check for path, check in _read(file).items() if not _is_gone(path)} | new
            atomic.write_text(file, json.dumps({"schema": SCHEMA, "files": _to_json(known)}, indent=1) + "\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{file}: what the checksums said cannot be kept ({reason})", "make its folder writable, then check again"
        ) from error


def _is_gone(path: str) -> bool:
    """Whether a file was removed. Where its folder is missing too, its disk may only be unplugged."""
    return Path(path).parent.is_dir() and not Path(path).exists()


def _known() -> Mapping[str, Checked]:
    file = checksums_file()
    try:
        status = file.stat()
    except OSError:
        return {}
    # Every write is a rename: another content has another inode.
    return _read_version(file, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2)
def _read_version(file: Path, _inode: int, _size: int, _mtime_ns: int) -> Mapping[str, Checked]:
    return _read(file)


def _read(file: Path) -> dict[str, Checked]:
    """What the file says; whatever cannot be understood is not known."""
    try:
        content = json.loads(file.read_bytes())
        entries = content["files"].items() if content["schema"] == SCHEMA else ()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {path: check for path, entry in entries if (check := _from_json(path, entry)) is not None}


def _from_json(path: str, entry: Any) -> Checked | None:
    try:
        size, mtime_ns, digest, ok = (entry[key] for key in ("size", "mtime_ns", "digest", "ok"))
    except (TypeError, KeyError, IndexError):
        return None
    if type(size) is int and type(mtime_ns) is int and isinstance(digest, str) and isinstance(ok, bool):
        return Checked(Path(path), size, mtime_ns, digest, ok)
    return None


def _to_json(known: Mapping[str, Checked]) -> dict[str, dict[str, Any]]:
    return {
        path: {"size": check.size, "mtime_ns": check.mtime_ns, "digest": check.digest, "ok": check.ok}
        for path, check in sorted(known.items())
    }
