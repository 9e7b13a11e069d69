"""One repository of the hub's layout as a row: every snapshot, ref and blob that is there, and what is wrong with each.

The loop over files is the costly one, 20,000 times in a large cache: it asks the system for one readlink per link and
one stat per payload, and looks links up in the listing of `blobs/` instead of following them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from speedtest_tui.core.format import of
from speedtest_tui.core.models import layout, leftovers, manifest, payloads
from speedtest_tui.core.models.inventory import Partial, Snapshot, Stored, StoredFile
from speedtest_tui.core.models.layout import shown
from speedtest_tui.core.models.manifest import Manifest
from speedtest_tui.core.models.payloads import Bounds, Payload
from speedtest_tui.core.models.reading import DEEPEST, Place, Reading, modified
from speedtest_tui.core.models.status import FaultKind

# Paths are strings here where they are many: making a Path costs more than asking the system.
# ruff: noqa: PTH115, PTH122, PTH123


KNOWN = ("blobs", "refs", "snapshots", manifest.FOLDER, ".no_exist")
LONGEST_REF = 4_096
COMMIT_LENGTH = 40
EMPTY_ETAGS = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)
"""Names of blobs that are rightly empty: git's sha1 and the sha256 of nothing."""


def scan_repository(folder: Path, kind: str, name: str, place: Place, locks: tuple[Path, ...] = ()) -> Stored:
    """Read a folder `models--org--name`.

    locks: paths of its lock files
    Raises Cancelled, and nothing else: whatever cannot be read is a fault of the row.
    """
    reading = Reading(place, folder)
    parts = {entry.name: entry for entry in reading.children(folder, folder.name)}
    for other in parts.keys() - set(KNOWN):
        reading.blame("foreign", parts[other].path, f"{shown(other)} does not belong in a repository of the hub")
    manifests = _manifests(reading, parts)
    blobs = _blobs(reading, parts)
    snapshots = _snapshots(reading, parts, blobs, manifests)
    refs = _refs(reading, parts, snapshots)
    if reading.partials or locks:
        wanted = manifest.etags(manifests)
        there = {etag: payload.bytes for etag, payload in blobs.items() if payload.inode is not None}
        reading.faults += leftovers.orphans(reading.partials, there, wanted)
        reading.faults += leftovers.stale_locks(locks, {*there, *wanted, *(part.etag for part in reading.partials)})
    return Stored(
        place.cache,
        place.root,
        folder,
        name,
        "hub",
        kind,
        snapshots,
        refs=refs,
        partials=tuple(reading.partials),
        bytes=reading.bytes,
        modified=reading.modified or modified(folder),
        faults=tuple(reading.faults),
    )


def _listed(reading: Reading, parts: Mapping[str, os.DirEntry[str]], name: str) -> list[os.DirEntry[str]]:
    """The entries of one of a repository's own folders; none where it is absent, or is no folder of a cache."""
    if name not in parts:
        return []
    before = len(reading.faults)
    if reading.is_folder(parts[name], name):
        return reading.children(parts[name].path, name)
    if len(reading.faults) == before:
        link = parts[name].is_symlink()
        what = "leads to no folder" if link else "is a file where a folder belongs"
        reading.blame("broken-link" if link else "unreadable", parts[name].path, f"{name} {what}")
    return []


def _manifests(reading: Reading, parts: Mapping[str, os.DirEntry[str]]) -> dict[str, Manifest | None]:
    """Every readable list of files by commit: also of commits whose first file has not arrived."""
    found: dict[str, Manifest | None] = {}
    for entry in _listed(reading, parts, manifest.FOLDER):
        commit, suffix = os.path.splitext(entry.name)
        if suffix == ".json":
            found[commit], faults = manifest.read_with_faults(reading.folder, commit)
            reading.faults += faults
    return found


def _blobs(reading: Reading, parts: Mapping[str, os.DirEntry[str]]) -> dict[str, Payload]:
    """Every blob by its name, the broken ones included; partial downloads are put aside."""
    blobs: dict[str, Payload] = {}
    place = reading.place
    shared_in = place.root if place.shared else None
    for entry in _listed(reading, parts, "blobs"):
        name = entry.name
        if entry.is_symlink():
            payload = payloads.of_linked_blob(entry.path, shared_in, place.bounds)
        else:
            payload = payloads.of_entry(entry, place.bounds)
        if name.endswith(".incomplete") and (etag := layout.etag_of_partial(name)) is not None:
            if payload.kind is not None:
                reading.blame(payload.kind, entry.path, f"{shown(entry.name)} {payload.problem}")
            reading.partials.append(Partial(Path(entry.path), etag, payload.bytes))
            continue
        # Names with a dot are huggingface_hub's temporary links; nothing refers to them by name.
        if name[0] != ".":
            blobs[name] = payload
        reading.count(payload)
    return blobs


def _snapshots(
    reading: Reading,
    parts: Mapping[str, os.DirEntry[str]],
    blobs: Mapping[str, Payload],
    manifests: Mapping[str, Manifest | None],
) -> tuple[Snapshot, ...]:
    found: list[Snapshot] = []
    at_first = len(reading.faults)
    for entry in _listed(reading, parts, "snapshots"):
        name, before = f"snapshots/{entry.name}", len(reading.faults)
        if not reading.is_folder(entry, name):
            if len(reading.faults) == before:
                link = entry.is_symlink()
                what = "leads to no folder" if link else "is a file where only folders belong"
                reading.blame("broken-link" if link else "foreign", entry.path, f"{shown(name)} {what}")
            continue
        known = manifests.get(entry.name)
        files = _Files(reading, blobs, known or {})
        files.read(entry.path)
        if not files.found and len(reading.faults) == before:
            reading.blame("missing-file", entry.path, f"{shown(name)} is empty")
        found.append(Snapshot(entry.name, Path(entry.path), tuple(files.found), known is not None))
    if not found and len(reading.faults) == at_first:
        detail = f"{shown(reading.folder.name)} has no snapshots: none of its files can be used"
        reading.blame("missing-file", reading.folder, detail)
    return tuple(found)


@dataclass
class _Files:
    """The files of one snapshot, as far as they have been read.

    blobs: of the repository
    known: the commit's list of files, empty where there is none
    """

    reading: Reading
    blobs: Mapping[str, Payload]
    known: Manifest
    found: list[StoredFile] = field(default_factory=list)

    def read(self, folder: str, below: str = "", to_blobs: str = "../../blobs/") -> None:
        """Take in a folder and those in it.

        below: the folder inside the snapshot, "" or with a slash at its end
        to_blobs: how a link in this folder begins that huggingface_hub made
        """
        skipped, blobs = len(to_blobs), self.blobs
        for entry in self.reading.children(folder, below or "snapshot"):
            name = below + entry.name
            if entry.is_symlink():
                target = os.readlink(entry.path)
                known = blobs.get(target[skipped:]) if target.startswith(to_blobs) else None
                payload = self._astray(entry) if known is None else known
            elif not entry.is_dir(follow_symlinks=False):
                payload = payloads.of_entry(entry, self.reading.place.bounds)
                self.reading.count(payload)
            elif name.count("/") == DEEPEST:
                self.reading.blame("unreadable", entry.path, f"{shown(name)} lies too deep to be looked into")
                continue
            else:
                self.read(entry.path, name + "/", "../" + to_blobs)
                continue
            self._take(StoredFile(name, entry.path, payload.blob, payload.bytes, payload.inode), payload)

    def _astray(self, entry: os.DirEntry[str]) -> Payload:
        """A link that does not lead to a blob of this repository the way huggingface_hub writes it."""
        payload = payloads.of_link(entry.path, self.reading.place.bounds)
        if payload.kind == "broken-link":
            begun = [part.bytes for part in self.reading.partials if part.etag == Path(payload.blob).name]
            if begun:
                problem = f"is not here yet: its download was interrupted ({of(max(begun), None)})"
                return payload._replace(problem=problem)
        self.reading.count(payload)
        return payload

    def _take(self, file: StoredFile, payload: Payload) -> None:
        """Add a file, and compare what can be read with the commit's list and with the file's own structure."""
        self.found.append(file)
        fault: tuple[FaultKind, str] | None = None
        listed = self.known.get(file.name)
        if payload.kind is not None:
            fault = payload.kind, f"{shown(file.name)} {payload.problem}"
        elif listed is not None and listed.size != file.bytes:
            fault = payloads.content_fault(file.place, file.name, file.bytes)
            if fault is None or fault[0] not in ("empty", "lfs-pointer"):
                fault = "truncated", f"{shown(file.name)} has the wrong size: {of(file.bytes, listed.size)}"
        elif file.bytes or (listed is None and file.blob.name not in EMPTY_ETAGS):
            fault = payloads.content_fault(file.place, file.name, file.bytes)
        if fault is not None:
            self.reading.blame(fault[0], file.path, fault[1], file.name, file.bytes)


def _refs(
    reading: Reading, parts: Mapping[str, os.DirEntry[str]], snapshots: tuple[Snapshot, ...]
) -> tuple[tuple[str, str], ...]:
    """Every ref that names a commit, by name; those that name none, or one that is not there, are blamed."""
    found: list[tuple[str, str]] = []
    before = len(reading.faults)
    _refs_in(reading, _listed(reading, parts, "refs"), "", {snapshot.revision for snapshot in snapshots}, found)
    if snapshots and not found and len(reading.faults) == before:
        what = "that its snapshot" if len(snapshots) == 1 else f"which of its {len(snapshots)} snapshots"
        detail = f"refs/main is missing: nothing says {what} is the current one"
        reading.blame("bad-ref", reading.folder / "refs" / "main", detail)
    return tuple(found)


def _refs_in(
    reading: Reading, entries: list[os.DirEntry[str]], below: str, commits: set[str], found: list[tuple[str, str]]
) -> None:
    for entry in entries:
        name = below + entry.name
        if entry.name.endswith(".tmp"):
            continue  # huggingface_hub renames it when it is whole
        if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST:
            # Branches have slashes in their names: refs/refs/pr/1.
            _refs_in(reading, reading.children(entry.path, f"refs/{name}"), name + "/", commits, found)
            continue
        commit, problem = _commit_in(entry, reading.place.bounds, commits)
        if commit:
            found.append((name, commit))
        if problem:
            reading.blame("bad-ref", entry.path, f"refs/{shown(name)} {problem}")


def _commit_in(entry: os.DirEntry[str], bounds: Bounds, commits: set[str]) -> tuple[str, str]:
    """The commit that a ref names, or "", and what is wrong with it, or ""."""
    payload = payloads.of_entry(entry, bounds)
    if payload.kind is not None:
        return "", payload.problem
    try:
        with open(entry.path, "rb") as opened:
            text = opened.read(LONGEST_REF).decode()
    except OSError as error:
        return "", f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "", "holds no text"
    commit = text.strip()
    if not commit:
        return "", "is empty"
    if not layout.is_safe_part(commit):
        return "", "does not name a commit"
    if commit not in commits:
        if len(commit) < COMMIT_LENGTH and any(known.startswith(commit) for known in commits):
            return "", f"is half-written: {len(commit)} of {COMMIT_LENGTH} characters"
        return commit, f"names {shown(commit)[:COMMIT_LENGTH]}, of which there is no snapshot"
    # huggingface_hub takes a ref as it is, and would look for a commit that ends in a line break.
    return commit, "" if commit == text else "has blanks around the commit, which huggingface_hub takes for its name"
