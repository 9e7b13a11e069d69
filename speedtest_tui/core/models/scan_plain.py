"""Rows that are no repository of the hub's layout: plain folders, .pt files, our own models, what is out of place."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from speedtest_tui.core.convert import report
from speedtest_tui.core.format import amount
from speedtest_tui.core.models import payloads, structure
from speedtest_tui.core.models.inventory import Layout, Partial, Stored, StoredFile
from speedtest_tui.core.models.layout import is_safe_name, shown
from speedtest_tui.core.models.payloads import WEIGHTS, Payload
from speedtest_tui.core.models.reading import DEEPEST, Place, Reading

CHECKPOINT = ".pt"
INCOMPLETE = ".incomplete"
EMBEDDED_MANIFEST = "manifest.json"
ABANDONED_S = 3_600.0
"""A folder that something is built in and that has not changed for this long was left by a killed process."""

COUNTED = 10_000
"""Entries of a foreign folder that are looked at for its size."""


def is_model_folder(path: str) -> bool:
    """Whether a folder directly holds a file that models are made of. Folders that cannot be listed hold none."""
    try:
        with os.scandir(path) as found:
            return any(entry.name.lower().endswith((*WEIGHTS, "config.json", INCOMPLETE)) for entry in found)
    except OSError:
        return False


def scan_folder(folder: Path, name: str, place: Place, layout: Layout = "plain") -> Stored:
    """A folder with a model's files in it, without links to blobs. Raises Cancelled."""
    reading = Reading(place, folder)
    files: list[StoredFile] = []
    _walk(reading, str(folder), "", files)
    if layout == "plain" and not any(file.name.lower().endswith(WEIGHTS) for file in files) and not reading.partials:
        reading.blame("missing-file", folder, f"{shown(name)} has no weights: {amount(reading.bytes)} in all")
    manifest = {"embedded": EMBEDDED_MANIFEST, "converted": report.NAME}.get(layout)
    if manifest is not None and not any(file.name == manifest for file in files):
        reading.blame("missing-file", folder / manifest, f"{shown(name)} has no {manifest}", manifest)
    elif layout == "embedded":
        _compare(reading, folder / EMBEDDED_MANIFEST, {file.name: file for file in files})
    return reading.row(name, layout, tuple(files))


def _walk(reading: Reading, folder: str, below: str, files: list[StoredFile]) -> None:
    for entry in reading.children(folder, below or Path(folder).name):
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            # What huggingface_hub notes beside files that it was told to put into this folder.
            hidden = entry.name == ".cache" and not below
            if name.count("/") == DEEPEST:
                reading.blame("unreadable", entry.path, f"{shown(name)} lies too deep to be looked into")
            else:
                _walk(reading, entry.path, name + "/", [] if hidden else files)
            continue
        payload = payloads.of_entry(entry, reading.place.bounds)
        if entry.name.endswith(INCOMPLETE):
            reading.partials.append(Partial(Path(entry.path), entry.name.removesuffix(INCOMPLETE), payload.bytes))
            continue
        reading.count(payload)
        _add(reading, entry.path, name, payload, files)


def _add(reading: Reading, path: str, name: str, payload: Payload, files: list[StoredFile]) -> None:
    """Take a file into a row, with what is wrong with it."""
    file = StoredFile(name, str(path), payload.blob, payload.bytes, payload.inode)
    files.append(file)
    fault = (payload.kind, f"{shown(name)} {payload.problem}") if payload.kind is not None else None
    fault = fault or payloads.content_fault(file.place, name, payload.bytes)
    if fault is not None:
        reading.blame(fault[0], path, fault[1], name, payload.bytes)


def _compare(reading: Reading, manifest: Path, files: dict[str, StoredFile]) -> None:
    """Compare sizes with the manifest of `core.models.builtin`, which compares the hashes itself on each use."""
    try:
        listed = {name: int(entry["bytes"]) for name, entry in json.loads(manifest.read_bytes())["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        reading.blame("unreadable", manifest, f"{manifest.name} cannot be read as a list of files", manifest.name)
        return
    for name, size in listed.items():
        if not is_safe_name(name):
            reading.blame("escape", manifest, f"{manifest.name} names “{shown(name)}”, outside its folder")
        elif name not in files:
            reading.blame("missing-file", manifest.parent / name, f"{name} is missing", name)
        elif files[name].bytes != size:
            detail = f"{shown(name)} has {amount(files[name].bytes)} instead of {amount(size)}"
            reading.blame("truncated", files[name].path, detail, name, files[name].bytes)


def scan_checkpoints(entries: Sequence[os.DirEntry[str]], place: Place) -> Iterator[Stored]:
    """A row for each .pt file and for each that is still to come: `<name>.pt` and `<name>.pt.incomplete`."""
    found: dict[str, list[os.DirEntry[str]]] = {}
    for entry in entries:
        found.setdefault(entry.name.removesuffix(INCOMPLETE), []).append(entry)
    for name, members in sorted(found.items()):
        reading = Reading(place, place.root / name)
        files: list[StoredFile] = []
        for entry in members:
            payload = payloads.of_entry(entry, place.bounds)
            if entry.name == name:
                reading.count(payload)
                _add(reading, entry.path, name, payload, files)
                _check_checkpoint(reading, files[-1])
            else:
                reading.partials.append(Partial(Path(entry.path), name, payload.bytes))
        if files and not reading.faults:
            for partial in reading.partials:
                what = f"{shown(partial.path.name)} ({amount(partial.bytes)})"
                detail = f"{what} is left of a download; {shown(name)} is there"
                reading.blame("orphaned-partial", partial.path, detail, bytes_=partial.bytes)
        yield reading.row(shown(name), "checkpoint", tuple(files))


def _check_checkpoint(reading: Reading, file: StoredFile) -> None:
    if reading.faults:
        return
    fault = structure.problem(file.path, shown(file.name))
    if fault is not None:
        reading.blame(fault[0], file.path, fault[1], file.name, file.bytes)


def scan_embedded(folder: Path, place: Place) -> Iterator[Stored]:
    """A row for each unpacked layout: `embedded/nano-<hash>/<layout>/`."""
    yield from _below(folder, place, lambda model: _below(model, place, lambda made: [_made(made, place, "embedded")]))


def scan_converted(folder: Path, place: Place) -> Iterator[Stored]:
    """A row for each model that this program converted: `converted/<name>/`."""
    yield from _below(folder, place, lambda made: [_made(made, place, "converted")])


def _below(folder: Path, place: Place, rows: Callable[[Path], Iterator[Stored] | list[Stored]]) -> Iterator[Stored]:
    """The rows of all folders in a folder of ours; lock files are overlooked, other files are foreign."""
    reading = Reading(place, folder)
    for entry in reading.children(folder, folder.name):
        if reading.is_folder(entry, entry.name):
            if not entry.name.startswith(".") or _abandoned(entry):
                yield from rows(Path(entry.path))
        elif not entry.name.endswith(".lock") and not any(fault.path == Path(entry.path) for fault in reading.faults):
            yield scan_foreign(entry, place, f"nothing reads files in {shown(folder.name)}")
    if reading.faults:
        yield reading.row(shown(folder.name), "foreign")


def _abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_S
    except OSError:
        return False


def _made(folder: Path, place: Place, layout: Layout) -> Stored:
    if not folder.name.startswith("."):
        name = f"{folder.parent.name}/{folder.name}" if layout == "embedded" else folder.name
        return scan_folder(folder, shown(name), place, layout)
    reading = Reading(place, folder)
    _measure(reading, str(folder), COUNTED)
    reading.blame("orphaned-partial", folder, f"{shown(folder.name)} was left by a process that was killed")
    return reading.row(shown(folder.name), layout)


def scan_foreign(entry: os.DirEntry[str], place: Place, why: str) -> Stored:
    """Something that does not belong in a cache. Raises Cancelled.

    why: the rest of a sentence that begins with its name
    """
    reading = Reading(place, Path(entry.path))
    payload = payloads.of_entry(entry, place.bounds)
    at_least = ""
    if entry.is_dir(follow_symlinks=False):
        at_least = "" if _measure(reading, entry.path, COUNTED) else "at least "
    else:
        reading.count(payload)
    # A broken link or one that leaves the cache is worse than being out of place, and is mended in another way.
    if payload.kind in ("escape", "broken-link"):
        reading.blame(payload.kind, entry.path, f"{shown(entry.name)} {payload.problem}")
    size = f" ({at_least}{amount(reading.bytes)})"
    reading.blame("foreign", entry.path, f"{shown(entry.name)}{size} does not belong here: {why}", bytes_=reading.bytes)
    return reading.row(shown(entry.name), "foreign")


def _measure(reading: Reading, folder: str, left: int) -> int:
    """Count the bytes below a folder; returns how many more entries may be looked at, 0 where there were too many."""
    for entry in reading.children(folder, Path(folder).name):
        left -= 1
        if left <= 0:
            return 0
        if entry.is_dir(follow_symlinks=False):
            left = _measure(reading, entry.path, left)
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            reading.count(Payload(entry.path, status.st_size, (status.st_dev, status.st_ino), status.st_mtime))
    return left
