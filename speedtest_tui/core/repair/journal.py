"""What an application changed, as its trash folder's journal.json has it: written before each change, read by undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import codec, disk
from speedtest_tui.core.models.layout import is_within

JOURNAL = "journal.json"
FORMAT = 1


@dataclass(frozen=True)
class Change:
    """One path that was changed, or was about to be when the program ended.

    number: its place among all changes of the application, whichever folder has their journals
    root: the cache that `path` lies in
    kept: name, in the journal's folder, of what stood at `path`; "" where nothing did
    link: where the symbolic link leads that was made there; "" where it was something else, or nothing
    folder: whether a folder was made there, to put something into
    """

    number: int
    path: Path
    root: Path
    kept: str = ""
    link: str = ""
    folder: bool = False


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


def write(folder: Path, journal: Journal) -> None:
    """Put the journal of a trash folder on disk, flushed, whole or not at all. Raises OSError."""
    disk.write_bytes(folder / JOURNAL, codec.encode(journal, indent=1) + b"\n")


def read(folder: Path, only_root: Path | None = None) -> Journal | None:
    """The journal of a trash folder, or None where it has none that can be trusted.

    only_root: the one cache that it may speak of, for a folder that came with a cache from elsewhere
    """
    try:
        journal = codec.decode(Journal, (folder / JOURNAL).read_bytes())
    except (OSError, codec.Damaged):
        return None
    return journal if journal.format == FORMAT and _is_sane(journal.changes, only_root) else None


def _is_sane(changes: Sequence[Change], only_root: Path | None) -> bool:
    for change in changes:
        if not change.path.is_absolute() or not is_within(change.path, change.root):
            return False
        if only_root is not None and change.root != only_root:
            return False
        # A kept thing lies directly in the journal's folder: anything else is not our writing.
        if change.kept and (Path(change.kept).name != change.kept or change.kept in ("..", JOURNAL)):
            return False
    return True
