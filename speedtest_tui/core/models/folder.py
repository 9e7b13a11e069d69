"""Rows that are no repository of the hub's layout: plain folders, .pt files, our own models, what is out of place."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from speedtest_tui.core import darwin, removal
from speedtest_tui.core.codec import Damaged, decode
from speedtest_tui.core.convert import report
from speedtest_tui.core.format import amount, one_line
from speedtest_tui.core.models import reading
from speedtest_tui.core.models.inventory import Layout, Partial, Stored, StoredFile
from speedtest_tui.core.models.layout import EMBEDDED_LIST, SHARED_MARKER, digest_of, is_safe_part, is_sha256
from speedtest_tui.core.models.reading import DEEPEST, Payload, Reading, Root
from speedtest_tui.core.models.wanted import WEIGHTS

CHECKPOINT = ".pt"
INCOMPLETE = ".incomplete"
ABANDONED_S = 3_600.0
"""A folder that something is built in and that has not changed for this long was left by a killed process."""

COUNTED = 10_000
"""Entries of a foreign folder that are looked at for its size."""

SHARED_NAME = "shared store"
COMPANIONS = (".refs", ".lock", ".lock.soft")
"""Who links to a payload of the shared store, and what is locked while somebody does."""

NOTES = Path(".cache") / "huggingface" / "download"
NOTE_SUFFIX = ".metadata"
NOTE_MAX = 1_000
"""Bytes; a note is three short lines: commit, etag, time."""

GRACE_S = 1.0
"""A file may be this much newer than its note, as huggingface_hub allows."""


def is_model_folder(path: str) -> bool:
    """Whether a folder directly holds a file that models are made of. Folders that cannot be listed hold none."""
    try:
        return any(name.lower().endswith((*WEIGHTS, "config.json", INCOMPLETE)) for name in reading.names_in(path))
    except OSError:
        return False


def read(folder: Path, name: str, root: Root, layout: Layout = "plain", deepest: int = DEEPEST) -> Stored:
    """A folder with a model's files in it, without links to blobs. Raises Cancelled.

    deepest: folders further below each other than this are not looked into; where it is DEEPEST they are blamed
    """
    found = Reading(root, folder)
    files: dict[str, tuple[StoredFile, Payload]] = {}
    _walk(found, str(folder), "", files, deepest)
    listed: Mapping[str, Embedded] = {}
    if layout == "embedded":
        try:
            listed = embedded_files(folder)
        except FileNotFoundError:
            found.blame(
                "missing-file", folder / EMBEDDED_LIST, f"{one_line(name)} has no {EMBEDDED_LIST}", EMBEDDED_LIST
            )
        except (OSError, Damaged):
            detail = f"{EMBEDDED_LIST} cannot be read as a list of files"
            found.blame("unreadable", folder / EMBEDDED_LIST, detail, EMBEDDED_LIST)
    elif layout == "converted" and report.NAME not in files:
        found.blame("missing-file", folder / report.NAME, f"{one_line(name)} has no {report.NAME}", report.NAME)
    elif (
        layout == "plain"
        and not found.partials
        and not any(file.lower().endswith(WEIGHTS) for file in (*files, *found.away))
    ):
        found.blame("missing-file", folder, f"{one_line(name)} has no weights")
    for file, payload in files.values():
        entry = listed.get(file.name)
        found.judge(file, payload, entry.bytes if entry else None, whole=layout == "embedded")
    for missing in listed.keys() - files:
        found.blame("missing-file", folder / missing, f"{one_line(missing)} is missing", missing)
    return found.row(name, layout, [file for file, _ in files.values()])


def _is_weights(name: str) -> bool:
    return name.lower().endswith(WEIGHTS)


def _walk(found: Reading, folder: str, below: str, files: dict[str, tuple[StoredFile, Payload]], deepest: int) -> None:
    for entry in found.children(folder, below):
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            if name.count("/") < deepest:
                # What huggingface_hub notes beside files that it was told to put into this folder.
                hidden = entry.name == ".cache" and not below
                _walk(found, entry.path, name + "/", {} if hidden else files, deepest)
            elif deepest == DEEPEST:
                found.blame("unreadable", entry.path, f"{one_line(name)} lies too deep to be looked into")
            continue
        payload = reading.of_path(entry.path, found.root)
        if entry.name.endswith(INCOMPLETE):
            found.partials.append(Partial(Path(entry.path), entry.name.removesuffix(INCOMPLETE), payload.bytes))
            continue
        found.count(payload)
        files[name] = StoredFile(name, entry.path, payload.blob, payload.bytes, payload.inode), payload


@dataclass(frozen=True)
class Embedded:
    """A file in the list of an unpacked model."""

    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class _EmbeddedList:
    files: dict[str, Embedded]


def embedded_files(folder: Path) -> Mapping[str, Embedded]:
    """What an unpacked model should consist of, by name. Raises OSError; Damaged for what is no list of files."""
    files = decode(_EmbeddedList, darwin.content(folder / EMBEDDED_LIST)).files
    if not files or not all(is_safe_part(name) for name in files):
        raise Damaged("names no files, or some outside its folder")
    return files


def recorded_hashes(folder: Path) -> Mapping[str, str]:
    """sha256 or git's sha1 by name, of the files that `hf download --local-dir` noted and that did not change since."""
    found = {}
    for note in reading.names_in(folder / NOTES):
        name = note.removesuffix(NOTE_SUFFIX)
        if name != note and (digest := _noted(folder / NOTES / note, folder / name)):
            found[name] = digest
    return found


def _noted(note: Path, file: Path) -> str:
    try:
        if not note.is_file():
            return ""
        with darwin.opened(note) as opened:
            _, etag, downloaded_at = opened.read(NOTE_MAX).decode().splitlines()[:3]
        untouched = file.stat().st_mtime - GRACE_S <= float(downloaded_at)
    except (OSError, ValueError):
        return ""
    return etag if untouched and digest_of(etag) else ""


def checkpoint(name: str, root: Root) -> Stored:
    """A .pt file directly in a cache and what has been downloaded of it, `<name>.pt.incomplete`.

    The file is the whole model, so that a link may lead anywhere: moving it to another disk is its owner's right.
    """
    path = root.path / name
    found = Reading(root, path)
    files = []
    if not os.path.lexists(path) and darwin.has_placeholder(path):
        found.faults.append(reading.evicted(path, name))
    elif os.path.lexists(path):
        payload = reading.of_path(str(path), root, anywhere=True)
        found.count(payload)
        files.append(StoredFile(name, str(path), payload.blob, payload.bytes, payload.inode))
        if payload.kind == "broken-link":
            found.faults.append(replace(reading.dangling(path), name=name))
        else:
            found.judge(files[0], payload, whole=True)
    begun = path.with_name(name + INCOMPLETE)
    if begun.is_file() and not begun.is_symlink():
        partial = Partial(begun, name, reading.of_path(str(begun), root).bytes)
        found.partials.append(partial)
        if files and not found.faults:
            detail = (
                f"{one_line(begun.name)} ({amount(partial.bytes)}) is left of a download; {one_line(name)} is there"
            )
            found.blame("orphaned-partial", begun, detail, bytes_=partial.bytes)
    return found.row(one_line(name), "checkpoint", files)


def made(folder: Path, root: Root, layout: Layout) -> Iterator[Stored]:
    """A row for each of our own models: `embedded/nano-<hash>/<layout>/`, `converted/<name>/`. Raises Cancelled.

    Lock files are overlooked, other files are foreign. What is being built at this moment is nobody's business.
    """
    levels = 2 if layout == "embedded" and folder.parent == root.path else 1
    found = Reading(root, folder)
    for entry in found.children(folder):
        model = Path(entry.path)
        if not entry.is_dir() and not entry.is_symlink():
            if not entry.name.endswith(".lock"):
                yield foreign(entry, root, f"nothing reads files in {one_line(folder.name)}")
        elif not found.is_folder(entry, entry.name, "foreign"):
            pass
        elif entry.name.startswith("."):
            if removal.is_leftover(entry.name) and time.time() - reading.modified(model) > ABANDONED_S:
                left = Reading(root, model)
                _measure(left, str(model), COUNTED)
                detail = f"{one_line(model.name)} was left by a process that was killed"
                left.blame("orphaned-partial", model, detail)
                yield left.row(one_line(model.name), layout)
        elif levels == 2:
            yield from made(model, root, layout)
        else:
            name = f"{folder.name}/{model.name}" if layout == "embedded" else model.name
            yield read(model, one_line(name), root, layout)
    if found.faults:
        yield found.row(one_line(folder.name), "foreign")


def foreign(entry: os.DirEntry[str], root: Root, why: str) -> Stored:
    """Something that does not belong in a cache. Raises Cancelled.

    why: the rest of a sentence that begins with its name
    """
    found = Reading(root, Path(entry.path))
    payload = reading.of_path(entry.path, root)
    at_least = ""
    if entry.is_dir(follow_symlinks=False):
        at_least = "" if _measure(found, entry.path, COUNTED) else "at least "
    else:
        found.count(payload)
    # A broken link or one that leaves the cache is worse than being out of place, and is repaired in another way.
    if payload.kind in ("escape", "broken-link"):
        found.blame(payload.kind, entry.path, f"{one_line(entry.name)} {payload.problem}")
    size = sum(found.sizes.values())
    detail = f"{one_line(entry.name)} ({at_least}{amount(size)}) does not belong here: {why}"
    found.blame("foreign", entry.path, detail, bytes_=size)
    return found.row(one_line(entry.name), "foreign")


def _measure(found: Reading, folder: str, left: int) -> int:
    """Count the bytes below a folder; returns how many more entries may be looked at, 0 where there were too many."""
    for entry in found.children(folder):
        left -= 1
        if left <= 0:
            return 0
        if entry.is_dir(follow_symlinks=False):
            left = _measure(found, entry.path, left)
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.count(Payload(entry.path, status.st_size, (status.st_dev, status.st_ino), status.st_mtime))
    return left


def shared_store(folder: Path, root: Root) -> Iterator[Stored]:
    """One row with the payloads of huggingface_hub's shared store that nothing links to, and with what is out of place.

    None where all is well: the other payloads count for the repositories that link to them. Raises Cancelled.
    """
    found = Reading(root, folder)
    files: list[StoredFile] = []
    used = _referenced(root)
    for entry in found.children(folder):
        if entry.name.startswith(SHARED_MARKER):
            continue
        if not entry.is_dir(follow_symlinks=False) or not re.fullmatch("[0-9a-f]{2}", entry.name):
            found.blame("foreign", entry.path, f"blobs/{one_line(entry.name)} does not belong in the shared store")
            continue
        for child in found.children(entry.path):
            name = f"{entry.name}/{child.name}"
            payload_name, dot, companion = child.name.partition(".")
            known = is_sha256(payload_name) and payload_name.startswith(entry.name)
            if known and dot and (dot + companion in COMPANIONS or re.fullmatch(r"refs\.[0-9a-f]{8}\.tmp", companion)):
                continue
            if not known or dot:
                found.blame("foreign", child.path, f"blobs/{one_line(name)} does not belong in the shared store")
            elif child.name not in used:
                payload = reading.of_path(child.path, root)
                found.count(payload)
                files.append(StoredFile(name, child.path, payload.blob, payload.bytes, payload.inode))
                if payload.kind is not None:
                    detail = f"blobs/{one_line(name)} {payload.problem}"
                    found.blame(payload.kind, child.path, detail, name, payload.bytes)
    if files or found.faults:
        yield found.row(SHARED_NAME, "hub", files)


def _referenced(root: Root) -> set[str]:
    """The names of the payloads that blobs of this cache's repositories link to. Raises Cancelled."""
    names = set()
    listing = Reading(root, root.path)
    for repository in listing.children(root.path):
        if "--" in repository.name:
            links = [entry for entry in listing.children(Path(repository.path, "blobs")) if entry.is_symlink()]
            names |= {Path(entry.path).readlink().name for entry in links}
    return names
