"""Which snapshot of a hub repository is meant: the pinned commit's, that of `refs/main`, or the only one there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.models.layout import is_safe_part, shown
from speedtest_tui.core.models.places import exists, is_folder, names_in
from speedtest_tui.core.models.status import Fault

REF_MAX = 1000
"""Bytes; a ref is a commit's name, and what is longer is none."""

ABSENT = "refs/main is missing"

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Revision:
    """A commit that may be meant, and what is wrong with the way to it. `snapshot` need not exist."""

    name: str
    snapshot: Path
    faults: tuple[Fault, ...] = ()


def candidates(repository: Path, pinned: str) -> tuple[Revision, ...]:
    """The revisions that may be meant, the best one first; empty where nothing says. Raises OSError.

    pinned: a commit, or an empty string for what `refs/main` names. Where that is missing, half-written or names no
    snapshot, the other snapshots follow, the newest first, each with a fault that says so.
    """
    snapshots = repository / "snapshots"
    if pinned:
        return (Revision(pinned, snapshots / pinned),) if is_safe_part(pinned) else ()
    ref = repository / "refs" / "main"
    named, reason = _read(ref)
    found = (Revision(named, snapshots / named),) if named else ()
    if named and is_folder(snapshots / named):
        return found
    reason = reason or f"refs/main names {shown(named[:12])}, which is not here"
    others = [path for name in names_in(snapshots) if is_folder(path := snapshots / name)]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return (
        *found,
        *(
            Revision(
                path.name, path, (Fault("bad-ref", ref, f"{reason}: snapshot {shown(path.name[:12])} is used instead"),)
            )
            for path in others
        ),
    )


def ref_fault(repository: Path) -> Fault | None:
    """What is wrong with `refs/main` itself; None where it names a commit, or does not exist."""
    ref = repository / "refs" / "main"
    named, reason = _read(ref)
    return Fault("bad-ref", ref, reason) if not named and reason != ABSENT else None


def _read(ref: Path) -> tuple[str, str]:
    """The commit that a ref names, or an empty string and why it names none."""
    try:
        if not exists(ref):
            return "", ABSENT
        if not ref.is_file():
            return "", "refs/main is not a file"
        with ref.open("rb") as file:
            text = file.read(REF_MAX).decode("utf-8", "replace").strip()
        # Content from elsewhere: it must name a folder beside the others and nothing more.
        if _COMMIT.fullmatch(text) or (is_safe_part(text) and is_folder(ref.parents[1] / "snapshots" / text)):
            return text, ""
    except OSError as error:
        return "", f"refs/main cannot be read: {(error.strerror or str(error)).lower()}"
    return "", "refs/main names no commit" if text else "refs/main is empty"
