"""What tidies the rows of a scan: refs, partial downloads, locks, and what a person may want out of the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.format import amount
from speedtest_tui.core.models import layout
from speedtest_tui.core.models.inventory import Duplicate, Snapshot, Stored
from speedtest_tui.core.models.status import CacheName, Fault, FaultKind
from speedtest_tui.core.repair.locks import lock_of
from speedtest_tui.core.repair.step import Note, Plan, Step

DAMAGE: tuple[FaultKind, ...] = ("truncated", "corrupt", "empty", "lfs-pointer", "broken-link", "escape")
HALF_WRITTEN = 7
"""Digits of a commit that suffice to know it by, as for git."""


@dataclass(frozen=True)
class Row:
    """A row of a scan, and the models that backends take from it.

    treated: paths that the steps for these models deal with already
    linked: paths that will be sound without a download
    fetched: whether one of those steps is a download into this row
    """

    stored: Stored
    specs: tuple[ModelSpec, ...]
    treated: Collection[Path]
    linked: Collection[Path]
    fetched: bool


def tidy(row: Row) -> Plan:
    """The steps for one row; what only its owner can decide is offered, not chosen."""
    steps: list[Step] = []
    notes: list[Note] = []
    for fault in row.stored.faults:
        if fault.path in row.treated:
            continue
        found = _mend(row, fault)
        if isinstance(found, Step):
            steps.append(found)
        elif isinstance(found, Note):
            notes.append(found)
    steps += _left_after_a_download(row, {step.path for step in steps})
    return Plan(tuple(steps), tuple(notes))


def _mend(row: Row, fault: Fault) -> Step | Note | None:
    stored = row.stored
    if fault.kind == "bad-ref":
        return _write_ref(row, fault)
    if fault.kind == "orphaned-partial":
        return _clear_partial(stored, fault.path, fault.detail, fault.bytes)
    if fault.kind == "stale-lock":
        what = f"clear the lock {fault.path.name} of {stored.name}, which nobody holds"
        return Step("clear-lock", what, fault.path, stored.root, stored.cache, stored.name, lock=fault.path)
    if fault.kind in DAMAGE and fault.name and stored.layout == "hub" and stored.kind == "model":
        return _fetch(row, fault)
    if fault.kind == "unreadable" and not _is_ours_to_move(fault.path):
        return Note(stored.name, stored.cache, fault.detail, f"make it readable: chmod u+rwX '{fault.path}'")
    if fault.kind == "missing-file" and (row.fetched or stored.partials):
        return None
    if not layout.is_within(fault.path, stored.root) or not os.path.lexists(fault.path):
        return Note(stored.name, stored.cache, fault.detail, "look at it by hand")
    return _trash(stored, fault)


def _is_ours_to_move(path: Path) -> bool:
    """Whether what cannot be read is a damaged list of files, without which everything works."""
    return path.parent.name == "trees"


def _trash(stored: Stored, fault: Fault) -> Step:
    size = fault.bytes or (stored.bytes if fault.path == stored.path else 0)
    what = f"move {fault.path.relative_to(stored.root)} to the trash: {fault.detail}"
    return Step("trash", what, fault.path, stored.root, stored.cache, stored.name, free_bytes=size, optional=True)


def _clear_partial(stored: Stored, path: Path, detail: str, size: int) -> Step:
    what = f"clear a partial download of {stored.name}: {detail}"
    lock = lock_of(path, stored.root)
    return Step("clear-partial", what, path, stored.root, stored.cache, stored.name, free_bytes=size, lock=lock)


def _left_after_a_download(row: Row, known: Collection[Path]) -> Iterator[Step]:
    """A download continues one partial of a file: the smaller ones beside it are of no use then."""
    if not row.fetched:
        return
    largest: dict[str, Path] = {}
    for partial in sorted(row.stored.partials, key=lambda one: one.bytes):
        largest[partial.etag] = partial.path
    for partial in row.stored.partials:
        if partial.path != largest[partial.etag] and partial.path not in known:
            detail = f"{partial.path.name} ({amount(partial.bytes)}) is less than what is continued"
            yield _clear_partial(row.stored, partial.path, detail, partial.bytes)


def _write_ref(row: Row, fault: Fault) -> Step | Note | None:
    """Let a ref name a snapshot again: the one that it began to name, else the only whole one."""
    stored = row.stored
    name = fault.path.relative_to(stored.path / "refs").as_posix()
    begun = _begun(fault.path)
    commits = [
        one.revision for one in stored.snapshots if len(begun) >= HALF_WRITTEN and one.revision.startswith(begun)
    ]
    if len(commits) != 1:
        if name != "main":
            return _trash(stored, fault)
        commits = [one.revision for one in stored.snapshots if is_whole(one, row)]
    if len(commits) == 1:
        what = f"let refs/{name} of {stored.name} name its snapshot {commits[0][:12]}"
        return Step("write-ref", what, fault.path, stored.root, stored.cache, stored.name, text=commits[0])
    if row.fetched:
        return None  # the download asks the hub which commit is the current one, and writes it down
    if not commits:
        sentence = f"{stored.name} has no whole snapshot that refs/{name} could name"
        return Note(stored.name, stored.cache, sentence, "fetch it again, or move it to the trash")
    newest = max(commits, key=lambda commit: (stored.path / "snapshots" / commit).stat().st_mtime)
    what = f"let refs/main of {stored.name} name {newest[:12]}, the newest of its {len(commits)} whole snapshots"
    return Step(
        "write-ref", what, fault.path, stored.root, stored.cache, stored.name, text=newest, optional=not row.specs
    )


def _begun(ref: Path) -> str:
    try:
        return ref.read_text(errors="replace")[:100].strip()
    except OSError:
        return ""


def is_whole(snapshot: Snapshot, row: Row) -> bool:
    """Whether a snapshot has files, none of them faulty, and all that some backend requires of it.

    What the steps for a model link counts as whole: refs come after them.
    """
    linked = {
        path.relative_to(snapshot.path).as_posix() for path in row.linked if layout.is_within(path, snapshot.path)
    }
    names = {file.name for file in snapshot.files} | linked
    faulty = (fault.path for fault in row.stored.faults if fault.path not in row.linked)
    if not names or any(layout.is_within(path, snapshot.path) for path in faulty):
        return False
    return not row.specs or any(all(names.intersection(file.names) for file in spec.files) for spec in row.specs)


def _fetch(row: Row, fault: Fault) -> Step | None:
    """A damaged file that no backend asks for: only its owner knows whether it is worth a download."""
    stored = row.stored
    snapshot = next((one for one in stored.snapshots if layout.is_within(fault.path, one.path)), None)
    if snapshot is None or not layout.is_safe_name(fault.name):
        return None
    file = RequiredFile((fault.name,))
    request = Request("hub", stored.name, snapshot.revision, (file,), stored.cache, stored.root, again=(fault.name,))
    return Step(
        "fetch",
        f"fetch {fault.name} of {stored.name} again, which no backend asks for: its size is not known yet",
        fault.path,
        stored.root,
        stored.cache,
        stored.name,
        replaces=(fault.path,),
        fetch_bytes=None,
        request=request,
        optional=True,
    )


def merge(duplicate: Duplicate, roots: Mapping[Path, CacheName], symlinks: bool) -> Iterator[Step]:
    """Of equal files all but the first become a second name of it; across file systems links, where asked for."""
    keep = duplicate.paths[0]
    for path in duplicate.paths[1:]:
        root = next((root for root in roots if layout.is_within(path, root)), None)
        if root is None:
            continue
        try:
            same_disk = keep.stat().st_dev == path.stat().st_dev
        except OSError:
            continue
        if not same_disk and not symlinks:
            continue
        how = "a second name" if same_disk else "a link to it"
        yield Step(
            "merge",
            f"keep {keep}, let {path} be {how}: frees {amount(duplicate.bytes)} once the trash is emptied",
            path,
            root,
            roots[root],
            target=keep,
            text="" if same_disk else "symlink",
            free_bytes=duplicate.bytes,
            lock=lock_of(path, root),
            optional=True,
        )
