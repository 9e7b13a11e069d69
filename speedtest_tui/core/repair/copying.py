"""Copying and moving models between caches, file by file in the cache's own layout, each file in one rename.

Whole files are compared, hashed and copied with progress, until somebody cancels it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import disk
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import amount
from speedtest_tui.core.models import layout, remembered
from speedtest_tui.core.models.hashes import Algorithm, HashJob, hash_files, hasher
from speedtest_tui.core.models.inventory import Layout, Stored
from speedtest_tui.core.models.places import root_of
from speedtest_tui.core.models.status import CacheName
from speedtest_tui.core.repair.changes import Changes, Spot
from speedtest_tui.core.repair.step import Step

HOMES: dict[Layout, tuple[CacheName, ...]] = {
    "hub": ("hf", "local"),
    "plain": ("local",),
    "checkpoint": ("local", "whisper"),
}
"""What may lie where."""
REPAIR_FIRST = "run speedtest-tui repair first, then copy again"


@dataclass(frozen=True)
class Item:
    """One file to be made. `etag` is what its content must hash to, "" where nothing says; `text` makes it a link."""

    source: Path
    target: Path
    etag: str = ""
    text: str = ""
    bytes: int = 0


def plan_copy(name: str, to: CacheName, stored: Sequence[Stored], *, move: bool = False) -> Step:
    """The step that copies, or moves, a row of a scan into another cache. Raises UserError.

    name: a repository ("org/name") or the name of a .pt file or folder
    """
    rows = [row for row in stored if name in (row.name, str(row.path)) and row.cache != to and row.layout in HOMES]
    if not rows:
        raise UserError(f"no cache but {to} has {name}", "speedtest-tui check-models --all lists what there is")
    if len({row.cache for row in rows}) > 1:
        raise UserError(f"{name} is in several caches", f"name the folder: {rows[0].path}")
    row = rows[0]
    if to not in HOMES[row.layout]:
        raise UserError(f"{name} has no place in the {to} cache", "choose another with --to")
    root = root_of(to)
    target = root / row.path.relative_to(row.root)
    manner = f"to {target} ({amount(row.bytes)}{'; the original goes to the trash' if move else ''})"
    return Step(
        "move" if move else "copy", target, root, to, row.name, manner=manner, target=row.path, text=str(row.root),
        free_bytes=row.bytes if move else 0,
    )  # fmt: skip


def copy(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    """Copy `step.target` to `step.path`. What is there and equal is left; what is there and differs is kept."""
    items = list(_items(source_of(step), Path(step.text), step.path))
    total, done = sum(item.bytes for item in items), 0
    for item in items:
        if cancelled.is_set():
            raise Cancelled
        _make(item, step, changes, _shifted(tell, done, total), cancelled)
        done += item.bytes
        tell(done, total)


def _shifted(tell: Tell, before: int, total: int) -> Tell:
    return lambda done, _: tell(before + done, total)


def move(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    """Copy, then put what was copied into the trash."""
    copy(step, changes, tell, cancelled)
    if cancelled.is_set():
        raise Cancelled
    changes.remove(source_of(step), Path(step.text))


def source_of(step: Step) -> Path:
    """What a step takes its content from. Raises UserError."""
    if step.target is None or not step.target.exists():
        raise UserError(f"{step.target} is gone", "make a new plan")
    return step.target


def _make(item: Item, step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    if item.text:
        if not (item.target.is_symlink() and str(item.target.readlink()) == item.text):
            changes.link(item.target, step.root, item.text)
        return
    if item.target.exists() and are_equal(item.source, item.target, tell, cancelled):
        return
    # A second name takes no space twice; no program changes a model's file in place.
    changes.name_again(
        item.target, step.root, item.source, lambda new: copy_of(item.source, new, item.etag, tell, cancelled)
    )


def _items(source: Path, root: Path, target: Path) -> Iterator[Item]:
    """Everything of a repository, plain folder or .pt file; payloads before the links to them, refs last."""
    if source.is_file():
        yield Item(source.resolve(), target, bytes=source.stat().st_size)
        return
    is_hub = layout.repository_id(source.name) is not None
    for part in (layout.BLOBS, layout.SNAPSHOTS, layout.LISTS, layout.REFS) if is_hub else ("",):
        for path in sorted((source / part).rglob("*")):
            name = path.relative_to(source).as_posix()
            if any(map(disk.is_left_by_a_system, path.relative_to(source).parts)):
                continue
            if layout.etag_of_partial(path.name) or (path.is_dir() and not path.is_symlink()):
                continue
            if not layout.is_safe_name(name):
                raise UserError(f"{path} has an unsafe name", "check it by hand; nothing was copied")
            yield from _item(path, root, target / name, is_hub, part)


def _item(path: Path, root: Path, target: Path, is_hub: bool, part: str) -> Iterator[Item]:
    if is_hub and part == layout.SNAPSHOTS and path.is_symlink():
        text = str(path.readlink())
        if Path(text).is_absolute() or not layout.is_within(layout.first_hop(path), root):
            raise UserError(f"{path} is a link out of its repository", REPAIR_FIRST)
        yield Item(path, target, text=text)
        return
    payload = layout.payload_of(path, root) if is_hub else path
    if part == layout.BLOBS and path.is_symlink():
        payload = layout.first_hop(path)
    if not payload.is_file():
        raise UserError(f"{path} is a broken link", REPAIR_FIRST)
    etag = path.name if part == layout.BLOBS and layout.digest_of(path.name) else ""
    yield Item(payload, target, etag, bytes=payload.stat().st_size)


CHUNK = 4 << 20
"""Bytes read at a time."""

Tell = Callable[[int, int], None]
"""Called with bytes done and in all."""


class Cancelled(Exception):
    """The person does not want it any more."""


def require_digest(path: Path, etag: str, tell: Tell, cancelled: threading.Event) -> None:
    """Hash a file and remember what came of it. Raises UserError where it is not what its name, `etag`, promises."""
    algorithm, expected = _promise(etag)
    status = path.stat()
    found = hash_files([HashJob(path, algorithm)], tell, cancelled).get(path)
    if found is None:
        raise Cancelled
    if isinstance(found, OSError):
        raise found
    result = remembered.Hashed(status.st_size, status.st_mtime_ns, found, found == expected)
    remembered.remember_hashes([(path, result)])
    if found != expected:
        raise UserError(f"{path} is damaged, too", "make a new plan, which will not use it")


def copy_of(source: Path, new: Spot, etag: str, tell: Tell, cancelled: threading.Event) -> None:
    """Copy a file and flush it. Raises UserError where what was read is not what `etag` promises ("" for nothing)."""
    size = source.stat().st_size
    algorithm = _promise(etag)[0] if etag else "sha256"
    running = hasher(algorithm, size)
    done = 0
    with source.open("rb") as reading, new.created() as writing:
        while block := reading.read(CHUNK):
            if cancelled.is_set():
                raise Cancelled
            writing.write(block)
            running.update(block)
            done += len(block)
            tell(done, size)
        writing.flush()
        os.fsync(writing.fileno())
    if etag and running.hexdigest() != etag:
        raise UserError(f"{source} is damaged", REPAIR_FIRST)


def are_equal(one: Path, other: Path, tell: Tell, cancelled: threading.Event) -> bool:
    """Whether two files have the same content, byte by byte."""
    size = one.stat().st_size
    if size != other.stat().st_size:
        return False
    done = 0
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(CHUNK):
            if cancelled.is_set():
                raise Cancelled
            if block != second.read(CHUNK):
                return False
            done += len(block)
            tell(done, size)
    return done == size


def _promise(etag: str) -> tuple[Algorithm, str]:
    promise = layout.digest_of(etag)
    if promise is None:
        raise UserError(f"{etag!r} is not a hash", "download the file again")
    return promise
