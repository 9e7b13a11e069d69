"""The files that a model requires, as they are in a row: there or not, whole or not, and what they should be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.base import RequiredFile
from speedtest_tui.core import disk
from speedtest_tui.core.format import one_line
from speedtest_tui.core.models import configs, reading, structure
from speedtest_tui.core.models.inventory import Partial, StoredFile
from speedtest_tui.core.models.layout import digest_of
from speedtest_tui.core.models.manifest import Manifest
from speedtest_tui.core.models.reading import Root
from speedtest_tui.core.models.status import Fault, FaultKind, FileState
from speedtest_tui.core.models.wanted import INDEX, accepted, is_weights


@dataclass(frozen=True)
class Shelf:
    """The folder with a model's files, as it was read.

    files: by name, broken links included
    faults: of these files and of folders, by path
    manifest: what the commit holds, or None where that is not known
    partials: unfinished downloads by the etag of the blob that each will become; the largest of several
    hashes: by name, where there is no manifest but something else that knows (sha256 or git's sha1)
    blobs: bytes by name of the repository's blobs
    shared: whether other models lie in the same folder
    """

    root: Root
    folder: Path
    files: Mapping[str, StoredFile]
    faults: Mapping[Path, Fault]
    manifest: Manifest | None = None
    partials: Mapping[str, Partial] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    blobs: Mapping[str, int] = field(default_factory=dict)
    shared: bool = False

    def has(self, name: str) -> bool:
        """Whether a file is there, behind all links."""
        return name in self.files and self.files[name].inode is not None


def required_files(files: tuple[RequiredFile, ...], shelf: Shelf) -> tuple[FileState, ...]:
    """All files that a model needs, as they are on a shelf."""
    needed = [file for file in files if not file.optional]
    states = [_state(file, shelf) for file in needed]
    if shelf.manifest is None:
        claimed = {etag for state in states for etag in (state.sha256, state.git_sha1)}
        left = [partial for etag, partial in shelf.partials.items() if etag not in claimed]
        states = _claim_by_kind(states, left)
    states = [_layout_checked(state, file, shelf) for state, file in zip(states, needed, strict=True)]
    states = [_settings_checked(state, file, states) for state, file in zip(states, needed, strict=True)]
    brought = [one for state, file in zip(states, needed, strict=True) for one in _brought(state, file)]
    there = [file for file in files if file.optional and any(map(shelf.has, file.names))]
    more = [_state(file, shelf) for file in (*brought, *there)]
    return tuple({state.name: state for state in (*states, *more, *states)}.values())  # what is needed counts


def _settings_checked(state: FileState, file: RequiredFile, states: list[FileState]) -> FileState:
    """Settings that their reader cannot use. Where they are what was published, no download would help."""
    if not file.reader or state.fault is not None:
        return state
    weights = next((one.path for one in states if is_weights(one.name) and not one.fault), None)
    try:
        data = disk.read_plain(state.path, structure.JSON_MAX)[0]
        found = configs.problem(json.loads(data), one_line(state.name), file.reader, weights)
    except (OSError, ValueError, RecursionError):
        return state
    if not found:
        return state
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    kind: FaultKind = "wrong-layout" if state.git_sha1 == blob else "corrupt"
    return replace(state, fault=Fault(kind, state.path, found, state.name, state.bytes))


def _brought(state: FileState, file: RequiredFile) -> tuple[RequiredFile, ...]:
    """The files that are needed because of the one that is there."""
    if state.fault is not None:
        return ()
    if state.name.endswith(INDEX):
        return tuple(RequiredFile((name,)) for name in structure.shards(state.path))
    both = state.name == "vocab.json" and "tokenizer.json" in file.names
    return (RequiredFile(("merges.txt",)),) if both else ()


def _state(file: RequiredFile, shelf: Shelf) -> FileState:
    name = _name(file, shelf)
    state = _expectations(file, name, shelf)
    if not shelf.has(name):
        return _absent(file, state, shelf)
    there = shelf.files[name]
    listed = state.expected_bytes if shelf.manifest and name in shelf.manifest else None
    fault = shelf.faults.get(state.path) or reading.fault_in(there, shelf.root, listed, whole=True)
    return replace(state, bytes=there.bytes, fault=fault)


def _name(file: RequiredFile, shelf: Shelf) -> str:
    """The accepted name that is there, else that of a broken link, else the one that the repository has."""
    there = next(filter(shelf.has, file.names), None) or accepted(file, shelf.files)
    return there or (accepted(file, shelf.manifest) if shelf.manifest else None) or file.names[0]


def _expectations(file: RequiredFile, name: str, shelf: Shelf) -> FileState:
    """What a file should be, from the best of the sources that say."""
    path = shelf.folder / name
    entry = shelf.manifest.get(name) if shelf.manifest else None
    if entry is not None:
        return FileState(name, path, 0, entry.size, entry.sha256, "" if entry.sha256 else entry.blob_id)
    blob = shelf.files[name].blob if name in shelf.files else None
    digest = digest_of(blob.name) if blob and blob.parent.name == "blobs" else None
    digest = digest or digest_of(shelf.hashes.get(name, ""))
    if digest is None and file.sha256 and name == file.names[0]:
        digest = ("sha256", file.sha256)
    return _with_digest(FileState(name, path, 0, structure.declared_size(path, name)), digest)


def _with_digest(state: FileState, digest: tuple[str, str] | None) -> FileState:
    kind, text = digest or ("", "")
    return replace(state, sha256=text if kind == "sha256" else "", git_sha1=text if kind == "git-sha1" else "")


def _absent(file: RequiredFile, state: FileState, shelf: Shelf) -> FileState:
    etag = state.sha256 or state.git_sha1
    if partial := shelf.partials.get(etag):
        return _unfinished(state, partial)
    if fault := shelf.faults.get(state.path):
        return replace(state, fault=fault)
    # A folder in its place, or one that does not let us ask.
    problem = structure.problem(state.path, one_line(state.name))
    if problem and problem[0] == "unreadable":
        return replace(state, fault=Fault("unreadable", state.path, problem[1], state.name))
    known = shelf.manifest is not None and state.name in shelf.manifest
    if known and (size := shelf.blobs.get(etag, 0)):
        detail = f"{state.name} is not linked from the snapshot, though its content is there"
        return replace(state, bytes=size, fault=Fault("missing-file", state.path, detail, state.name))
    names = state.name if known else _any_of(file)
    return replace(state, fault=Fault("missing-file", state.path, f"{names} is missing", state.name))


def _any_of(file: RequiredFile) -> str:
    """The names of which one is needed; of many the usual one."""
    return " or ".join(file.names) if len(file.names) < 3 else file.names[0]


def _unfinished(state: FileState, partial: Partial) -> FileState:
    fault, whole = reading.unfinished(state.name, state.path, partial, state.expected_bytes)
    return replace(state, bytes=partial.bytes, expected_bytes=whole, fault=fault)


def _claim_by_kind(states: list[FileState], partials: list[Partial]) -> list[FileState]:
    """Without a manifest nothing says which file a partial download becomes: large ones become weights."""
    left = sorted(partials, key=lambda partial: -partial.bytes)
    missing = [i for i, state in enumerate(states) if state.fault and state.fault.kind == "missing-file"]
    missing = [index for index in missing if states[index].bytes == 0]
    # The name of a partial is its content's hash, and only large files are named by sha256.
    for index in sorted(missing, key=lambda index: not is_weights(states[index].name)):
        other = "git-sha1" if is_weights(states[index].name) else "sha256"
        chosen = next((one for one in left if (digest_of(one.etag) or ("", ""))[0] != other), None)
        if chosen is not None:
            left.remove(chosen)
            states[index] = _unfinished(_with_digest(states[index], digest_of(chosen.etag)), chosen)
    return states


def _layout_checked(state: FileState, file: RequiredFile, shelf: Shelf) -> FileState:
    """A missing file with weights under other names beside it is no download that stopped: it would never help."""
    if state.fault is None or state.fault.kind != "missing-file" or state.bytes or not is_weights(state.name):
        return state
    if shelf.shared or (shelf.manifest and accepted(file, shelf.manifest)):
        return state
    there = [name for name in shelf.files if is_weights(name) and "/" not in name and shelf.has(name)]
    where = "there is" if there else "its repository has"
    there = there or [name for name in shelf.manifest or () if is_weights(name)]
    if not there:
        return state
    others = ", ".join(there[:2]) + (f" and {len(there) - 2} more" if len(there) > 2 else "")
    detail = f"{_any_of(file)} is missing; {where} {one_line(others)}, which the backend does not read"
    return replace(state, fault=replace(state.fault, kind="wrong-layout", detail=detail))
