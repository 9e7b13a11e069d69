"""What an application changed, as its trash folder's journal.json has it: written before each change, read by undo."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import codec, disk, removal
from speedtest_tui.core.models.layout import is_within

JOURNAL = "journal.json"
FORMAT = 1
LARGEST = 64 << 20
"""Bytes of a journal: some 300 for each change."""


@dataclass(frozen=True)
class Change:
    """One path that was changed, or was about to be when the program ended.

    number: its place among all changes of the application, whichever folder has their journals
    root: the cache that `path` lies in
    kept: name, in the journal's folder, of what stood at `path`; "" where nothing did
    link: where the symbolic link leads that was made there; "" where it was something else, or nothing
    folder: whether a folder was made there, to put something into
    through: where the first folder below `root` led, where that was a link of its owner's
    """

    number: int
    path: Path
    root: Path
    kept: str = ""
    link: str = ""
    folder: bool = False
    through: str = ""


@dataclass(frozen=True)
class Journal:
    """One journal.json, as it is on disk.

    what: what the application did, for people
    started: UTC, ISO 8601
    undoes: the entry that this one undid, or ""
    undone: whether this one has been undone
    """

    format: int
    what: str
    started: str
    undoes: str = ""
    undone: bool = False
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        try:
            plausible = datetime.datetime.fromisoformat(self.started).astimezone().year >= 1970
        except (ValueError, OverflowError):
            plausible = False
        if not plausible:
            raise ValueError(f"{self.started[:40]!r} is no time of a start")


def write(folder: Path, journal: Journal) -> None:
    """Put the journal of a trash folder on disk, flushed, whole or not at all; through no link. Raises OSError."""
    with removal.entered(folder.parent.parent, folder.parts[-2:]) as place:
        disk.write_at(place, JOURNAL, codec.encode(journal, indent=1) + b"\n")


def digest(journal: Journal) -> str:
    """SHA-256 of what a journal says, in hex."""
    return hashlib.sha256(codec.encode(journal)).hexdigest()


def read(folder: Path) -> Journal | None:
    """The journal of a trash folder, or None where it has none that can be trusted."""
    try:
        with os.fdopen(os.open(folder / JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            journal = codec.decode(Journal, file.read(LARGEST))
    except (OSError, ValueError):
        return None
    return journal if journal.format == FORMAT and _is_sane(journal.changes) else None


def _is_sane(changes: Sequence[Change]) -> bool:
    for change in changes:
        if not change.path.is_absolute() or not is_within(change.path, change.root):
            return False
        # A kept thing lies directly in the journal's folder: anything else is not our writing.
        if change.kept and (Path(change.kept).name != change.kept or change.kept in ("..", JOURNAL)):
            return False
    return True
