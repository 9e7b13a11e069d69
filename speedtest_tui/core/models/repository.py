"""One repository of the hub's layout as a row: every snapshot, ref and blob that is there, and what is wrong with each.

The loop over files is the costly one, 20,000 times in a large cache: it asks the system for one readlink per link and
one stat per payload, and looks links up in the listing of `blobs/` instead of following them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from speedtest_tui.core import darwin
from speedtest_tui.core.format import amount, one_line
from speedtest_tui.core.models import layout, manifest, reading
from speedtest_tui.core.models.inventory import Partial, Snapshot, Stored, StoredFile
from speedtest_tui.core.models.layout import COMMIT_LENGTH
from speedtest_tui.core.models.manifest import Manifest
from speedtest_tui.core.models.reading import DEEPEST, Payload, Reading, Root
from speedtest_tui.core.models.status import Fault

# Paths are strings here where they are many: making a Path costs more than asking the system.
# ruff: noqa: PTH115, PTH122

KNOWN = (layout.BLOBS, layout.REFS, layout.SNAPSHOTS, layout.LISTS, ".no_exist")
LONGEST_REF = 4_096

Parts = Mapping[str, os.DirEntry[str]]


def read(folder: Path, kind: str, name: str, root: Root, locks: Iterable[Path] = ()) -> Stored:
    """Read a folder `models--org--name`.

    locks: its lock files
    Raises Cancelled, and nothing else: whatever cannot be read is a fault of the row.
    """
    found = Reading(root, folder)
    parts: Parts = {entry.name: entry for entry in found.children(folder)}
    for other in parts.keys() - set(KNOWN):
        found.blame("foreign", parts[other].path, f"{one_line(other)} does not belong in a repository of the hub")
    manifests = _manifests(found, parts)
    payloads = _blobs(found, parts)
    blobs = {etag: payload.bytes for etag, payload in payloads.items() if payload.inode is not None}
    commits, snapshots = _snapshots(found, parts, payloads, manifests)
    refs = _refs(found, parts, commits)
    wanted = manifest.etags(manifests) if found.partials or locks else {}
    found.faults += _orphans(found.partials, blobs, wanted)
    found.faults += stale_locks(locks, {*blobs, *wanted, *(partial.etag for partial in found.partials)})
    whole = (folder, folder / layout.BLOBS, folder / layout.SNAPSHOTS)
    if blocked := [fault for fault in found.faults if fault.todo and fault.path in whole]:
        found.faults = blocked  # whatever else is missing may be where nobody can look now
    return found.row(name, "hub", kind=kind, snapshots=snapshots, refs=refs, manifests=manifests, blobs=blobs)


def _listed(found: Reading, parts: Parts, name: str, below: str | None = None) -> list[os.DirEntry[str]]:
    """The entries of one of a repository's own folders; none where it is absent, or is no folder of a cache."""
    if name in parts and found.is_folder(parts[name], name, "unreadable"):
        return found.children(parts[name].path, below)
    return []


def _manifests(found: Reading, parts: Parts) -> dict[str, Manifest]:
    """Every readable list of files by commit: also of commits whose first file has not arrived."""
    read: dict[str, Manifest] = {}
    for entry in _listed(found, parts, layout.LISTS):
        commit, suffix = os.path.splitext(entry.name)
        if suffix == ".json":
            files, faults = manifest.read_with_faults(found.folder, commit)
            found.faults += faults
            if files is not None:
                read[commit] = files
    return read


def _blobs(found: Reading, parts: Parts) -> dict[str, Payload]:
    """Every blob by its name, the broken ones included; partial downloads are put aside."""
    blobs: dict[str, Payload] = {}
    for entry in _listed(found, parts, "blobs"):
        name = entry.name
        payload = reading.of_blob(entry, found.root)
        if name.endswith(".incomplete") and (etag := layout.etag_of_partial(name)) is not None:
            if payload.kind is not None:
                found.blame(payload.kind, entry.path, f"{one_line(name)} {payload.problem}")
            found.partials.append(Partial(Path(entry.path), etag, payload.bytes))
            continue
        # Names with a dot are huggingface_hub's temporary links; nothing refers to them by name.
        if name[0] != ".":
            blobs[name] = payload
        found.count(payload)
    return blobs


def _snapshots(
    found: Reading, parts: Parts, blobs: Mapping[str, Payload], manifests: Mapping[str, Manifest]
) -> tuple[set[str], tuple[Snapshot, ...]]:
    """The names in `snapshots/`, and the snapshots that can be looked into."""
    read: list[Snapshot] = []
    before, begun = len(found.faults), largest_of(found.partials)
    entries = _listed(found, parts, "snapshots")
    for entry in entries:
        name, blamed = f"snapshots/{entry.name}", len(found.faults)
        if not found.is_folder(entry, name, "foreign"):
            continue
        files = _Files(found, blobs, manifests.get(entry.name, {}), begun)
        files.read(entry.path)
        if not files.read_so_far and len(found.faults) == blamed:
            found.blame("missing-file", entry.path, f"{one_line(name)} is empty")
        read.append(Snapshot(entry.name, Path(entry.path), tuple(files.read_so_far)))
    # A download that has begun has neither snapshot nor ref, or a ref of a snapshot to come.
    if not read and len(found.faults) == before and not found.partials:
        detail = f"{one_line(found.folder.name)} has no snapshots: none of its files can be used"
        found.blame("missing-file", found.folder, detail)
    return {entry.name for entry in entries}, tuple(read)


@dataclass
class _Files:
    """The files of one snapshot, as far as they have been read.

    blobs: of the repository
    listed: the commit's list of files, empty where there is none
    begun: what a download of each blob would resume
    """

    found: Reading
    blobs: Mapping[str, Payload]
    listed: Manifest
    begun: Mapping[str, Partial]
    read_so_far: list[StoredFile] = field(default_factory=list)

    def read(self, folder: str, below: str = "", to_blobs: str = "../../blobs/") -> None:
        """Take in a folder and those in it.

        below: the folder inside the snapshot, "" or with a slash at its end
        to_blobs: how a link in this folder begins that huggingface_hub made
        """
        skipped, blobs, root = len(to_blobs), self.blobs, self.found.root
        for entry in self.found.children(folder, below):
            name = below + entry.name
            if entry.is_symlink():
                target = os.readlink(entry.path)
                known = blobs.get(target[skipped:]) if target.startswith(to_blobs) else None
                payload = self._astray(entry, name) if known is None else known
            elif not entry.is_dir(follow_symlinks=False):
                payload = reading.of_path(entry.path, root)
                self.found.count(payload)
            elif name.count("/") == DEEPEST:
                self.found.blame("unreadable", entry.path, f"{one_line(name)} lies too deep to be looked into")
                continue
            else:
                self.read(entry.path, name + "/", "../" + to_blobs)
                continue
            file = StoredFile(name, entry.path, payload.blob, payload.bytes, payload.inode)
            self.read_so_far.append(file)
            if payload.kind != "missing-file":
                listed = self.listed.get(name)
                self.found.judge(file, payload, None if listed is None else listed.size)

    def _astray(self, entry: os.DirEntry[str], name: str) -> Payload:
        """A link that does not lead to a blob of this repository the way huggingface_hub writes it."""
        payload = reading.of_path(entry.path, self.found.root)
        if payload.kind == "broken-link":
            begun = self.begun.get(payload.blob.rpartition("/")[2])
            if begun:
                listed = self.listed.get(name)
                expected = None if listed is None else listed.size
                self.found.faults.append(reading.unfinished(name, Path(entry.path), begun, expected)[0])
                return payload._replace(kind="missing-file")
        self.found.count(payload)
        return payload


def _refs(found: Reading, parts: Parts, commits: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Every ref that names a commit, by name; those that name none, or one that is not there, are blamed.

    huggingface_hub takes the text of a ref as it is, blanks included, for the name of a snapshot's folder.
    """
    refs: list[tuple[str, str]] = []
    before = len(found.faults)

    def look(entries: Iterable[os.DirEntry[str]], below: str) -> None:
        for entry in entries:
            name = below + entry.name
            if entry.name.endswith(".tmp"):
                continue  # huggingface_hub renames it when it is whole
            if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST:
                # Branches have slashes in their names: refs/refs/pr/1.
                look(found.children(entry.path), name + "/")
                continue
            payload = reading.of_path(entry.path, found.root)
            if payload.kind == "evicted":
                found.blame("evicted", entry.path, f"refs/{one_line(name)} {payload.problem}")
                continue
            commit, problem = _commit_in(entry.path, payload, found, commits)
            if commit:
                refs.append((name, commit))
            if problem:
                found.blame("bad-ref", entry.path, f"refs/{one_line(name)} {problem}")

    look(_listed(found, parts, "refs", "refs/"), "")
    if commits and not refs and len(found.faults) == before:
        what = "that its snapshot" if len(commits) == 1 else f"which of its {len(commits)} snapshots"
        detail = f"refs/main is missing: nothing says {what} is the current one"
        found.blame("bad-ref", found.folder / "refs" / "main", detail)
    return tuple(refs)


def _commit_in(path: str, payload: Payload, found: Reading, commits: Collection[str]) -> tuple[str, str]:
    """The commit that a ref names, or "", and what is wrong with it, or ""."""
    if payload.kind is not None:
        return "", payload.problem
    try:
        with darwin.opened(Path(path)) as opened:
            text = opened.read(LONGEST_REF).decode()
    except OSError as error:
        return "", f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "", "holds no text"
    commit = text.strip()
    if commit in commits:
        return commit, "" if commit == text else "has blanks around the commit, which make it another name"
    if not commit:
        return "", "is empty"
    if layout.is_commit(commit):
        begun = not commits and found.partials
        return commit, "" if begun else f"names {commit[:12]}, of which there is no snapshot"
    if layout.is_begun_commit(commit):
        return "", f"is half-written: {len(commit)} of {COMMIT_LENGTH} characters"
    return "", "does not name a commit"


def _orphans(partials: Iterable[Partial], there: Mapping[str, int], wanted: Mapping[str, int]) -> Iterator[Fault]:
    """The partial downloads that nothing can continue: their file is there, or more of it is in another partial.

    there: size in bytes of each blob on disk
    wanted: size in bytes that each blob should have, as far as known
    """
    largest = largest_of(partials)
    for partial in partials:
        have = there.get(partial.etag)
        # A blob of the wrong size will be downloaded again, and the partial may be the better beginning.
        if have is not None and have == wanted.get(partial.etag, have):
            why = "its file is complete"
        elif partial is not largest[partial.etag]:
            why = "more of the same file is in another partial download"
        else:
            continue
        detail = f"{one_line(partial.path.name)} ({amount(partial.bytes)}) is left of a download; {why}"
        yield Fault("orphaned-partial", partial.path, detail, bytes=partial.bytes)


def largest_of(partials: Iterable[Partial]) -> dict[str, Partial]:
    """Of the partial downloads of each blob the one that a download continues, by the blob's name."""
    return {partial.etag: partial for partial in sorted(partials, key=lambda partial: partial.bytes)}


def stale_locks(paths: Iterable[Path], blobs: Collection[str] | None) -> Iterator[Fault]:
    """The lock files that may be cleared, if nobody turns out to hold them.

    blobs: what the repository has, has parts of or is to have; None where the repository is gone

    An empty lock file of a finished download is no fault: filelock leaves it on purpose, and it blocks nobody.
    """
    for path in paths:
        owner = _owner(path)
        if owner is not None and not _lives(owner):
            why = f"the process that made it ({owner}) has ended; others would wait for it"
        elif blobs is None:
            why = "its repository is gone"
        elif path.name.removesuffix(".lock") not in blobs:
            why = "no file of the repository has this name"
        else:
            continue
        yield Fault("stale-lock", path, f"lock {one_line(path.name)} is left over: {why}")


def _owner(path: Path) -> int | None:
    """The process that a lock file names: only locks that work without the system's help do, by existing."""
    try:
        with darwin.opened(path) as opened:
            first, _, rest = opened.read(1_024).partition(b"\n")
    except OSError:
        return None
    # The processes of other machines and containers cannot be asked for, and a file server may hold their locks.
    here = rest.split(b"\n")[0].decode(errors="replace") in _names_of_this_machine()
    return int(first) if here and first.isdigit() else None


def _names_of_this_machine() -> tuple[str, ...]:
    """What filelock calls this machine; on Linux it adds the container."""
    name = platform.node()
    try:
        return name, f"{name}?pidns-{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return (name,)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
