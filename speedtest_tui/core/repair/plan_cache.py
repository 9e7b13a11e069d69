"""What repairs the rows of a scan: refs, partial downloads, locks, and what a person may want out of the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backends.base import Advice, ModelSpec, RequiredFile
from speedtest_tui.core import disk
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.format import amount, count, one_line
from speedtest_tui.core.models import layout
from speedtest_tui.core.models.inventory import Duplicate, Snapshot, Stored
from speedtest_tui.core.models.locks import lock_of
from speedtest_tui.core.models.status import CacheName, Fault, FaultKind
from speedtest_tui.core.repair.step import Note, Plan, Step, StepKind

DAMAGE: tuple[FaultKind, ...] = (
    "truncated", "corrupt", "empty", "lfs-pointer", "broken-link", "escape", "missing-file",
)  # fmt: skip
NAMED = 3
"""Things of no model that are named in each folder."""
HALF_WRITTEN = 7
"""Digits of a commit that suffice to know it by, as for git."""


@dataclass(frozen=True)
class Row:
    """A row of a scan, and the models that backends take from it.

    planned: paths that the steps for these models deal with already
    linked: paths that will be sound without a download
    downloaded: whether one of those steps is a download into this row
    """

    stored: Stored
    specs: tuple[ModelSpec, ...]
    planned: Collection[Path]
    linked: Collection[Path]
    downloaded: bool


def plan_row(row: Row) -> Plan:
    """The steps for one row; what only its owner can decide is offered, not chosen."""
    steps: list[Step] = []
    notes: list[Note] = []
    for fault in row.stored.faults:
        if fault.path in row.planned:
            continue
        found = _fix(row, fault)
        if isinstance(found, Step):
            steps.append(found)
        elif isinstance(found, Note):
            notes.append(found)
    steps += _left_after_a_download(row, {step.path for step in steps})
    return Plan(tuple(steps), tuple(notes))


def _fix(row: Row, fault: Fault) -> Step | Note | None:
    stored = row.stored
    if fault.todo:
        return Note(str(fault.path), stored.cache, Advice(fault.detail, fault.todo))
    if fault.kind == "bad-ref":
        return _write_ref(row, fault)
    if fault.kind == "orphaned-partial":
        return _clear_partial(stored, fault.path, fault.detail, fault.bytes)
    if fault.kind == "stale-lock":
        return replace(_step("clear-lock", stored, fault.path, f"the unused lock {fault.path.name}"), lock=fault.path)
    if fault.kind == "missing-file" and row.downloaded:
        return None
    if fault.kind in DAMAGE and fault.name and stored.kind == "model" and (again := _download(row, fault)):
        return again
    if fault.kind == "unreadable" and not _is_list(fault.path):
        return _note(stored, fault.detail, f"make it readable: chmod u+rwX '{fault.path}'")
    if fault.kind == "foreign" or stored.layout == "foreign":
        return None  # see `left_alone`
    if not _is_ours(stored, fault.path):
        return _note(stored, fault.detail, "check it by hand")
    return _trash(stored, fault)


def _step(kind: StepKind, stored: Stored, path: Path, part: str, manner: str = "") -> Step:
    return Step(kind, path, stored.root, stored.cache, stored.name, part, manner)


def _note(stored: Stored, what: str, todo: str) -> Note:
    return Note(stored.name, stored.cache, Advice(what, todo))


def _is_list(path: Path) -> bool:
    """Whether it is a commit's list of files, without which everything works."""
    return path.parent.name == "trees"


def _is_ours(stored: Stored, path: Path) -> bool:
    """Whether something is what the hub's programs or ours have made, with nothing of anybody else's in it."""
    made = stored.layout in ("hub", "embedded") and layout.is_within(path, stored.root) and os.path.lexists(path)
    if not made or path != stored.path:
        return made
    return all(map(layout.digest_of, stored.blobs)) and not any(one.kind == "foreign" for one in stored.faults)


def left_alone(rows: Iterable[Stored]) -> Iterator[Note]:
    """A note for each folder in which there are things of no model: counted and named, and never touched."""
    found: dict[tuple[CacheName, Path], set[Path]] = {}
    for row in rows:
        for fault in row.faults:
            if fault.kind == "foreign":
                found.setdefault((row.cache, fault.path.parent), set()).add(fault.path)
    for (cache, folder), paths in found.items():
        folders = sum(map(disk.is_plain_folder, paths))
        counts = [
            count(number, noun) for number, noun in ((folders, "folder"), (len(paths) - folders, "file")) if number
        ]
        named = ", ".join(one_line(path.name) for path in sorted(paths)[:NAMED]) + (
            " and more" if len(paths) > NAMED else ""
        )
        belongs = "belongs" if len(paths) == 1 else "belong"
        what = f"{folder}: {' and '.join(counts)} here {belongs} to no model ({named})"
        yield Note("other files", cache, Advice(what, "left alone"), harmless=True)


def _trash(stored: Stored, fault: Fault) -> Step:
    size = fault.bytes or (stored.bytes if fault.path == stored.path else 0)
    part = fault.path.relative_to(stored.path).as_posix() if layout.is_within(fault.path, stored.path) else ""
    step = _step("trash", stored, fault.path, part, f"to the trash: {fault.detail}")
    return replace(step, free_bytes=size, optional=True)


def _clear_partial(stored: Stored, path: Path, detail: str, size: int) -> Step:
    step = _step("clear-partial", stored, path, "a partial download", f"({detail})")
    return replace(step, free_bytes=size, lock=lock_of(path, stored.root))


def _left_after_a_download(row: Row, known: Collection[Path]) -> Iterator[Step]:
    """A download continues one partial of a file: the smaller ones beside it are of no use then."""
    if not row.downloaded:
        return
    largest: dict[str, Path] = {}
    for partial in sorted(row.stored.partials, key=lambda one: one.bytes):
        largest[partial.etag] = partial.path
    for partial in row.stored.partials:
        if partial.path != largest[partial.etag] and partial.path not in known:
            detail = f"{partial.path.name}, {amount(partial.bytes)}: a longer one is resumed"
            yield _clear_partial(row.stored, partial.path, detail, partial.bytes)


def _write_ref(row: Row, fault: Fault) -> Step | Note | None:
    """Let a ref name a snapshot again: the one that it began to name, else the only whole one."""
    stored = row.stored
    name = fault.path.relative_to(layout.ref_file(stored.path, "")).as_posix()
    begun = _begun(fault.path)
    commits = [
        one.revision for one in stored.snapshots if len(begun) >= HALF_WRITTEN and one.revision.startswith(begun)
    ]
    if len(commits) != 1:
        if name != "main":
            return _trash(stored, fault)
        commits = [one.revision for one in stored.snapshots if is_whole(one, row)]
    if len(commits) == 1:
        step = _step("write-ref", stored, fault.path, f"refs/{name}", f"to its snapshot {commits[0][:12]}")
        return replace(step, text=commits[0])
    if row.downloaded:
        return None  # the download asks the hub which commit is the current one, and writes it down
    if not commits:
        what = f"{stored.name} has no complete snapshot that refs/{name} could point to"
        return _note(stored, what, "download it again, or move it to the trash")
    newest = max(commits, key=lambda commit: layout.snapshot_folder(stored.path, commit).stat().st_mtime)
    manner = f"to {newest[:12]}, the newest of its {len(commits)} complete snapshots"
    return replace(_step("write-ref", stored, fault.path, "refs/main", manner), text=newest, optional=not row.specs)


def _begun(ref: Path) -> str:
    """What a ref that names no commit began with, as far as it can be read."""
    try:
        with disk.opened_plain(ref) as file:
            return file.read(400).decode(errors="replace")[:100].strip()
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
    return not row.specs or any(
        all(file.optional or names.intersection(file.names) for file in spec.files) for spec in row.specs
    )


def _download(row: Row, fault: Fault) -> Step | None:
    """A damaged file that no backend asks for: only its owner knows whether it is worth a download."""
    stored = row.stored
    snapshot = next((one for one in stored.snapshots if layout.is_within(fault.path, one.path)), None)
    if snapshot is None or not layout.is_safe_name(fault.name):
        return None
    spec = ModelSpec("hub", stored.name, (RequiredFile((fault.name,)),), snapshot.revision)
    request = Request(spec, stored.cache, stored.root, again=(fault.name,))
    step = _step("download", stored, fault.path, fault.name, "again, although no backend needs it")
    return replace(step, replaces=(fault.path,), download_bytes=None, request=request, optional=True)


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
        how = "the same file on disk" if same_disk else "a link"
        yield Step(
            "merge",
            path,
            root,
            roots[root],
            part=str(path),
            manner=f"with {keep} ({how}; frees {amount(duplicate.bytes)} once the trash is emptied)",
            target=keep,
            text="" if same_disk else "symlink",
            free_bytes=duplicate.bytes,
            lock=lock_of(path, root),
            optional=True,
        )
