"""What a folder offers to a file picker, and how typed text names it. No widget in here; `read` belongs in a thread."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import darwin
from speedtest_tui.core.locations import short

MEDIA = frozenset((
    "3gp", "aac", "aif", "aifc", "aiff", "amr", "au", "avi", "caf", "flac", "m4a", "m4b", "m4v", "mkv", "mov",
    "mp2", "mp3", "mp4", "mpeg", "mpg", "oga", "ogg", "opus", "rf64", "w64", "wav", "wave", "webm", "wma", "wmv",
))  # fmt: skip
"""Suffixes of files that are shown without being asked for by name, where somebody looks for a clip."""

MAX_READ = 50_000
"""Entries of one folder that are looked at; more would keep memory and the search busy for nobody's good."""


@dataclass(frozen=True)
class Entry:
    """A file or folder. `folded` is its name as it is compared: case and accents' spelling do not matter."""

    name: str
    folded: str
    is_folder: bool
    size: int | None = None
    changed: float | None = None
    away: bool = False
    """In iCloud, and not on this machine."""

    def usual(self, suffixes: frozenset[str]) -> bool:
        """Whether it is shown without being named: a folder, or a file of the kind that is looked for."""
        return self.is_folder or self.name.rpartition(".")[2].lower() in suffixes


@dataclass(frozen=True)
class Listing:
    """A folder's entries, folders first; or, in `problem`, why there are none. `suffixes`: of what is looked for."""

    folder: Path
    entries: tuple[Entry, ...] = ()
    problem: str = ""
    suffixes: frozenset[str] = MEDIA


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def locate(text: str, start: Path) -> tuple[Path, str]:
    """The folder that `text` names, relative to `start`, and the part of a name that follows it."""
    head, slash, partial = text.rpartition("/")
    if partial in {".", ".."} or (partial.startswith("~") and not slash):
        head, partial = text, ""
    try:
        named = Path(head + slash if head or slash else ".").expanduser()
    except RuntimeError:  # ~somebody who does not exist
        named = Path(head)
    return Path(os.path.normpath(start / named)), partial


def read(folder: Path, suffixes: frozenset[str] = MEDIA) -> Listing:
    """List a folder. Never raises for one that is gone, forbidden or not a folder at all."""
    entries = []
    try:
        with os.scandir(folder) as found:
            for item in found:
                entries.append(_entry(item, suffixes))
                if len(entries) >= MAX_READ:
                    break
    except FileNotFoundError:
        return Listing(folder, problem=f"{short(folder)} does not exist")
    except NotADirectoryError:
        return Listing(folder, problem=f"{short(folder)} is a file, not a folder")
    except PermissionError:
        return Listing(folder, problem=f"you may not read {short(folder)}")
    except (OSError, ValueError) as error:
        return Listing(folder, problem=f"{short(folder)} cannot be read ({getattr(error, 'strerror', None) or error})")
    entries.sort(key=lambda entry: (not entry.is_folder, entry.folded))
    return Listing(folder, tuple(entries), suffixes=suffixes)


def _entry(item: os.DirEntry[str], suffixes: frozenset[str]) -> Entry:
    try:
        is_folder = item.is_dir()
    except OSError:
        is_folder = False
    if away := darwin.stands_for(item.name):
        return Entry(away, fold(away), is_folder=False, away=True)
    entry = Entry(item.name, fold(item.name), is_folder)
    return entry if is_folder or not entry.usual(suffixes) else measured(entry, Path(item.path))


def measured(entry: Entry, path: Path) -> Entry:
    """The entry with its size in bytes and the time of its last change, where these can be had."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return entry
    away = darwin.is_evicted(facts)
    return Entry(entry.name, entry.folded, entry.is_folder, facts.st_size, facts.st_mtime, away)


def matching(listing: Listing, partial: str) -> list[Entry]:
    """Entries for what was typed so far: those that begin with it, else those that contain it.

    Hidden entries show once the text begins with a dot, files without a known suffix once nothing else matches or the
    text is their whole name. A whole name comes first.
    """
    wanted = fold(partial)
    seen = [entry for entry in listing.entries if wanted.startswith(".") or not entry.name.startswith(".")]
    begin = [entry for entry in seen if entry.folded.startswith(wanted)]
    if offered := [entry for entry in begin if entry.usual(listing.suffixes) or entry.folded == wanted]:
        return sorted(offered, key=lambda entry: entry.folded != wanted)
    if begin and wanted:
        return begin
    return [entry for entry in seen if entry.usual(listing.suffixes) and wanted in entry.folded]


def complete(entries: Sequence[Entry], partial: str) -> str:
    """`partial` lengthened to what all matching entries have in common; a folder that is alone gets its slash."""
    if not entries:
        return partial
    if len(entries) == 1:
        return entries[0].name + ("/" if entries[0].is_folder else "")
    names = [unicodedata.normalize("NFC", entry.name) for entry in entries]
    common = ""
    for column in zip(*names, strict=False):
        if len({character.casefold() for character in column}) > 1:
            break
        common += column[0]
    # Entries that only contain the text may have something else in common: that would undo what was typed.
    return common if fold(partial) in fold(common) else partial
