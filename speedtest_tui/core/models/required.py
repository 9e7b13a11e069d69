"""One file that a model needs, as it is in one folder: there or not, whole or not, and what it should be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.base import RequiredFile
from speedtest_tui.core.format import amount, of
from speedtest_tui.core.models import remembered, structure
from speedtest_tui.core.models.inventory import Partial
from speedtest_tui.core.models.layout import digest_of, first_hop, is_within
from speedtest_tui.core.models.manifest import ManifestFile
from speedtest_tui.core.models.places import exists, is_link
from speedtest_tui.core.models.status import Fault, FaultKind, FileState
from speedtest_tui.core.models.wanted import accepted, is_weights

LOOK_FIRST: tuple[FaultKind, ...] = ("missing-file", "broken-link", "unreadable", "empty", "lfs-pointer")
"""What says more of a file than that its size is not the one in the manifest."""


@dataclass(frozen=True)
class Shelf:
    """A folder with a model's files, and what is known of them beside the files themselves.

    manifest: what the commit holds, or None where that is not known
    partials: unfinished downloads by the etag of the blob that each will become; the largest of several
    roots: real folders in which payloads may lie; empty where any place will do
    hashes: by name, where there is no manifest but something else that knows (sha256 or git's sha1)
    shared: whether other models lie in the same folder
    blobs: the repository's folder of payloads, where there is one
    """

    folder: Path
    manifest: Mapping[str, ManifestFile] | None = None
    partials: Mapping[str, Partial] = field(default_factory=dict)
    roots: tuple[Path, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False
    blobs: Path | None = None


def required_files(files: tuple[RequiredFile, ...], shelf: Shelf) -> tuple[FileState, ...]:
    """All files that a model needs, as they are on a shelf."""
    states = [_look(file, shelf) for file in files]
    if shelf.manifest is None:
        claimed = {etag for state in states for etag in (state.sha256, state.git_sha1)}
        left = [partial for etag, partial in shelf.partials.items() if etag not in claimed]
        states = _claim_by_kind(states, left)
    return tuple(states)


def _look(file: RequiredFile, shelf: Shelf) -> FileState:
    name = _name(file, shelf)
    path = shelf.folder / name
    state = _expectations(file, name, path, shelf)
    if not exists(path):
        return _absent(file, state, shelf)
    size = _size(path)
    state = replace(state, bytes=size)
    return replace(state, fault=_fault(state, shelf))


def _name(file: RequiredFile, shelf: Shelf) -> str:
    """The accepted name that is there, else that of a broken link, else the one that the repository has."""
    for there in (exists, is_link):
        if found := next((name for name in file.names if there(shelf.folder / name)), None):
            return found
    return (accepted(file, shelf.manifest) if shelf.manifest else None) or file.names[0]


def _expectations(file: RequiredFile, name: str, path: Path, shelf: Shelf) -> FileState:
    """What a file should be, from the best of the sources that say."""
    entry = shelf.manifest.get(name) if shelf.manifest else None
    if entry is not None:
        git_sha1 = "" if entry.sha256 else entry.blob_id
        return FileState(name, path, 0, entry.size, entry.sha256, git_sha1)
    digest = digest_of(_blob_name(path)) or digest_of(shelf.hashes.get(name, ""))
    if digest is None and file.sha256 and name == file.names[0]:
        digest = ("sha256", file.sha256)
    known = dict([digest]) if digest else {}
    size = structure.declared_size(path, name)
    return FileState(name, path, 0, size, known.get("sha256", ""), known.get("git-sha1", ""))


def _blob_name(path: Path) -> str:
    """The last part of where a snapshot's link leads, which is its content's hash; empty for what is no such link."""
    try:
        target = first_hop(path)
    except (OSError, ValueError):
        return ""
    return target.name if target.parent.name == "blobs" else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _absent(file: RequiredFile, state: FileState, shelf: Shelf) -> FileState:
    etag = state.sha256 or state.git_sha1 or _blob_name(state.path)
    if partial := shelf.partials.get(etag):
        return _unfinished(state, partial)
    if is_link(state.path):
        fault = _escape(state, shelf) or Fault("broken-link", state.path, f"{state.name} is a broken link", state.name)
        return replace(state, fault=fault)
    known = shelf.manifest is not None and state.name in shelf.manifest
    if known and shelf.blobs and (size := _size(shelf.blobs / etag)):
        detail = f"{state.name} is not linked from the snapshot, though its content is there"
        return replace(state, bytes=size, fault=Fault("missing-file", state.path, detail, state.name))
    names = state.name if known else " or ".join(file.names)
    return replace(state, fault=Fault("missing-file", state.path, f"{names} is missing", state.name))


def _unfinished(state: FileState, partial: Partial) -> FileState:
    whole = state.expected_bytes
    if whole is None:
        whole = structure.declared_size(partial.path, state.name)
    detail = f"{state.name} is unfinished: {of(partial.bytes, whole)}"
    fault = Fault("missing-file", state.path, detail, state.name, partial.bytes)
    return replace(state, bytes=partial.bytes, expected_bytes=whole, fault=fault)


def _claim_by_kind(states: list[FileState], partials: list[Partial]) -> list[FileState]:
    """Without a manifest nothing says which file a partial download becomes: large ones become weights."""
    left = sorted(partials, key=lambda partial: -partial.bytes)
    missing = [i for i, state in enumerate(states) if state.fault and state.fault.kind == "missing-file"]
    missing = [index for index in missing if states[index].bytes == 0]
    # The name of a partial is its content's hash, and only large files are named by sha256.
    for index in sorted(missing, key=lambda index: not is_weights(states[index].name)):
        small = not is_weights(states[index].name)
        fitting = (p for p in left if (digest_of(p.etag) or ("", ""))[0] != ("sha256" if small else "git-sha1"))
        if chosen := next(fitting, None):
            left.remove(chosen)
            digest = dict([digest_of(chosen.etag) or ("", "")])
            state = replace(states[index], sha256=digest.get("sha256", ""), git_sha1=digest.get("git-sha1", ""))
            states[index] = _unfinished(state, chosen)
    return states


def _fault(state: FileState, shelf: Shelf) -> Fault | None:
    """What is wrong with a file that is there."""
    if outside := _escape(state, shelf):
        return outside
    problem = structure.problem(state.path, state.name)
    if problem and problem[0] == "empty" and state.expected_bytes == 0:
        problem = None
    if (problem is None or problem[0] not in LOOK_FIRST) and (listed := _listed_size(state, shelf)) is not None:
        if state.bytes < listed:
            problem = "truncated", f"{state.name} is cut short: {of(state.bytes, listed)}"
        elif state.bytes > listed:
            problem = "truncated", f"{state.name} is {amount(state.bytes - listed)} longer than it should be"
    if problem is None and remembered.verdict(state.path) == "corrupt":
        problem = "corrupt", f"{state.name} does not match its {'git sha1' if state.git_sha1 else 'sha256'}"
    return Fault(problem[0], state.path, problem[1], state.name, state.bytes) if problem else None


def _listed_size(state: FileState, shelf: Shelf) -> int | None:
    return state.expected_bytes if shelf.manifest and state.name in shelf.manifest else None


def _escape(state: FileState, shelf: Shelf) -> Fault | None:
    """A fault where a link, or a link that it leads to, leaves the folders in which payloads may lie."""
    real = Path(os.path.realpath(state.path))
    if not shelf.roots or any(is_within(real, root) for root in shelf.roots):
        return None
    detail = f"{state.name} is a link to a place outside its cache and is not used"
    return Fault("escape", state.path, detail, state.name, state.bytes)
