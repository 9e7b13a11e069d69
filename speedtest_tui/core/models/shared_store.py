"""The payloads that huggingface_hub 2.x shares between repositories, as far as no repository leads to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from speedtest_tui.core.models import payloads
from speedtest_tui.core.models.inventory import Stored, StoredFile
from speedtest_tui.core.models.layout import SHARED_MARKER, shown
from speedtest_tui.core.models.reading import Place, Reading, is_folder

ROW_NAME = "shared store"
PAYLOAD = re.compile(r"[0-9a-f]{64}")
COMPANION = re.compile(r"[0-9a-f]{64}\.(refs|lock|lock\.soft|refs\.[0-9a-f]{8}\.tmp)")
"""Who links to a payload, and what is locked while somebody does."""


def scan_store(folder: Path, place: Place) -> Iterator[Stored]:
    """One row with the payloads that nothing links to and with what does not belong there; none where all is well.

    The others count for the repositories that link to them. Raises Cancelled.
    """
    reading = Reading(place, folder)
    files: list[StoredFile] = []
    used = _referenced(place)
    for entry in reading.children(folder, folder.name):
        if entry.name.startswith(SHARED_MARKER):
            continue
        if not entry.is_dir(follow_symlinks=False) or not re.fullmatch("[0-9a-f]{2}", entry.name):
            reading.blame("foreign", entry.path, f"blobs/{shown(entry.name)} does not belong in the shared store")
            continue
        for child in reading.children(entry.path, f"blobs/{entry.name}"):
            _child(reading, child, entry.name, used, files)
    if files or reading.faults:
        yield reading.row(ROW_NAME, "hub", tuple(files))


def _child(reading: Reading, entry: os.DirEntry[str], prefix: str, used: set[str], files: list[StoredFile]) -> None:
    name = f"{prefix}/{entry.name}"
    if COMPANION.fullmatch(entry.name):
        return
    if not PAYLOAD.fullmatch(entry.name) or not entry.name.startswith(prefix):
        reading.blame("foreign", entry.path, f"blobs/{shown(name)} does not belong in the shared store")
        return
    if entry.name in used:
        return
    payload = payloads.of_entry(entry, reading.place.bounds)
    reading.count(payload)
    files.append(StoredFile(name, entry.path, payload.blob, payload.bytes, payload.inode))
    if payload.kind is not None:
        reading.blame(payload.kind, entry.path, f"blobs/{shown(name)} {payload.problem}", name, payload.bytes)


def _referenced(place: Place) -> set[str]:
    """The names of the payloads that blobs of this cache's repositories link to. Raises Cancelled."""
    found = set()
    listing = Reading(place, place.root)
    for repository in listing.children(place.root, place.root.name):
        blobs = Path(repository.path, "blobs")
        if "--" in repository.name and is_folder(blobs):
            links = [Path(entry.path) for entry in listing.children(blobs, "blobs") if entry.is_symlink()]
            found |= {link.readlink().name for link in links}
    return found
