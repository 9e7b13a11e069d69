"""Taking an application back: what it replaced returns, what stands there now goes into a new entry of the trash."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speedtest_tui.core import disk
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.locks import briefly, holding, lock_of
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.changes import Changes, is_same
from speedtest_tui.core.repair.journal import Change
from speedtest_tui.core.repair.trash import Entry


@dataclass(frozen=True)
class Undone:
    """What came of an undo.

    id: the entry that undoes this undo, or "" where nothing had to change
    reverted: paths that were put back, or taken away again
    left: a sentence for each path that was left as it is
    complete: whether nothing failed; where something did, the same undo can be tried again
    """

    id: str
    reverted: tuple[Path, ...]
    left: tuple[str, ...]
    complete: bool


def latest(entries: Sequence[Entry]) -> Entry | None:
    """What an undo without a name means: the newest application that still stands, and is no undo itself."""
    return next((one for one in entries if not one.undone and not one.undoes and not one.foreign), None)


def find(name: str = "", roots: Iterable[Path] | None = None) -> Entry:
    """The entry whose id begins with `name`, without one the latest; one that came with a cache by its full id only.

    Raises UserError.
    """
    found = trash.entries(roots)
    if not name:
        entry = latest(found)
        if entry is None:
            raise UserError("there is nothing to undo", "speedtest-tui repair --trash lists what repairs have kept")
        return entry
    own = [entry for entry in found if entry.id.startswith(name) and not entry.foreign]
    matching = own or [entry for entry in found if entry.id == name]
    if len(matching) != 1:
        problem = f"no repair is called {name}" if not matching else f"{len(matching)} repairs begin with {name}"
        raise UserError(problem, "speedtest-tui repair --trash lists them")
    if matching[0].undone:
        raise UserError(f"{matching[0].id} has been undone already", "undo that undo to have it back")
    return matching[0]


def undo(entry: Entry) -> Undone:
    """Take back all changes of an entry, the last one first. Interrupted, it can be repeated. Raises nothing."""
    changes = Changes(f"undo: {entry.what}", undoes=entry.id)
    reverted, left, complete = [], [], True
    for folder, change in reversed(entry.changes):
        try:
            # What came with a cache may not say which links are harmless.
            changes.passing(replace(change, through="") if entry.foreign else change)
            here = os.path.lexists(change.path)
            with holding(lock_of(change.path, change.root) if here else None, briefly()):
                sentence = _revert(changes, folder, change)
        except UserError as error:
            left.append(str(error))
            complete = False
        except OSError as error:
            left.append(f"{change.path}: {error.strerror or error}")
            complete = False
        else:
            if sentence is None:
                reverted.append(change.path)
            elif sentence:
                left.append(sentence)
    if complete:
        try:
            trash.mark_undone(entry)
        except OSError as error:
            left.append(f"the journal could not be written ({error.strerror or error})")
    return Undone(changes.id if changes.made else "", tuple(reverted), tuple(left), complete)


def _revert(changes: Changes, folder: Path, change: Change) -> str | None:
    """None where it was reverted, "" where nothing had to be done, else why it was left alone."""
    if change.kept:
        kept = folder / change.kept
        # Not there: the change never came to be, or an earlier undo has put it back.
        if not os.path.lexists(kept) or is_same(kept, change.path):
            return ""
        changes.bring(change.path, change.root, kept)
        return None
    if not os.path.lexists(change.path):
        return ""
    if change.folder and not _is_empty(change.path):
        return ""
    if change.link and not (change.path.is_symlink() and str(change.path.readlink()) == change.link):
        return f"{change.path} is left as it is: it is not the link that was made any more"
    changes.remove(change.path, change.root)
    return None


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but empty folders."""
    return disk.is_plain_folder(folder) and not any(
        files or any(Path(parent, name).is_symlink() for name in names) for parent, names, files in os.walk(folder)
    )
