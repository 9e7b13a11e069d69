"""Where a file's content is, or an equal one: what is on this machine already need not be fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from speedtest_tui.core.caches import checked, layout, manifest
from speedtest_tui.core.caches.inventory import Stored, StoredFile
from speedtest_tui.core.caches.states import FileState
from speedtest_tui.core.caches.structure import problem


def blob_of(file: FileState, repository: Path) -> Path | None:
    """The blob that a file of a snapshot should lead to; None where nothing says which."""
    etag = file.sha256 or file.git_sha1
    if file.path.is_symlink():
        hop = layout.first_hop(file.path)
        # The link's own word where it is a blob's name, wherever it leads: caches get moved.
        if layout.digest_of(hop.name) and (not etag or hop.parent == repository / "blobs"):
            etag = hop.name
    return repository / "blobs" / etag if layout.digest_of(etag) else None


def payload_of(path: Path, root: Path) -> Path:
    """The file that holds a snapshot's file: its blob, or what the blob leads to in the shared store."""
    if not path.is_symlink():
        return path
    blob = layout.first_hop(path)
    if blob.is_symlink() and layout.is_shared_target(store := layout.first_hop(blob), root):
        return store
    return blob if layout.is_within(blob, root) else path


def elsewhere(file: FileState, repository: Path | None, root: Path, stored: Sequence[Stored]) -> Path | None:
    """A sound file with the content that `file` should have, or None. Hashing it is left to who uses it.

    First the repository's own blob, then the shared store, then equal files of all caches.
    """
    blob = blob_of(file, repository) if repository else None
    broken = payload_of(file.path, root)
    for candidate in _candidates(file, blob, repository, root, stored):
        if candidate == broken or not _is_sound(candidate, file):
            continue
        if not (broken.exists() and candidate.samefile(broken)):
            return candidate
    return None


def _candidates(
    file: FileState, blob: Path | None, repository: Path | None, root: Path, stored: Sequence[Stored]
) -> Iterator[Path]:
    if blob is not None:
        yield blob
    if repository is not None and layout.has_shared_store(root) and (xet := _xet_hash(file, repository)):
        yield layout.shared_blob(root, xet)
    for row in stored:
        for other in (*row.files, *(one for snapshot in row.snapshots for one in snapshot.files)):
            if _means_the_same(other, file, blob):
                yield payload_of(other.path, row.root)


def _means_the_same(other: StoredFile, file: FileState, blob: Path | None) -> bool:
    if other.inode is None or other.path == file.path:
        return False
    if blob is not None:
        return other.blob.name == blob.name
    # A checkpoint has no name that says its content; its hash is known and will be asked for.
    return bool(file.sha256) and other.name == file.name


def _xet_hash(file: FileState, repository: Path) -> str:
    """What the commit's list calls the file's payload in the shared store."""
    try:
        commit = file.path.relative_to(repository / "snapshots").parts[0]
    except ValueError:
        return ""
    listed = (manifest.read(repository, commit) or {}).get(file.name)
    return listed.xet_hash if listed else ""


def _is_sound(candidate: Path, file: FileState) -> bool:
    try:
        size = candidate.stat().st_size
    except OSError:
        return False
    if file.expected_bytes not in (None, size) or checked.verdict(candidate) == "corrupt":
        return False
    return problem(candidate, file.name) is None
