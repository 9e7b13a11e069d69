"""What `hf download --local-dir` notes beside the files of a plain folder: the hash that each had on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speedtest_tui.core.models.layout import digest_of
from speedtest_tui.core.models.places import names_in

NOTES = Path(".cache") / "huggingface" / "download"
SUFFIX = ".metadata"
NOTE_MAX = 1000
"""Bytes; a note is three short lines: commit, etag, time."""

GRACE_S = 1.0
"""A file may be this much newer than its note, as huggingface_hub allows."""


def recorded_hashes(folder: Path) -> Mapping[str, str]:
    """sha256 or git's sha1 by file name, of those files that have not been changed since they were fetched."""
    found = {}
    for note in names_in(folder / NOTES):
        name = note.removesuffix(SUFFIX)
        if name != note and (digest := _hash(folder / NOTES / note, folder / name)):
            found[name] = digest
    return found


def _hash(note: Path, file: Path) -> str:
    try:
        if not note.is_file():
            return ""
        with note.open("rb") as opened:
            _, etag, fetched_at = opened.read(NOTE_MAX).decode().splitlines()[:3]
        untouched = file.stat().st_mtime - GRACE_S <= float(fetched_at)
    except (OSError, ValueError):
        return ""
    return etag if untouched and digest_of(etag) else ""
