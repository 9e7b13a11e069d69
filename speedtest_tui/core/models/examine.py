"""How one model stands in one cache, from the rows of the places where it may lie. No hashing, loading or network.

Only the files that the backend requires decide whether a model is usable; what else a repository has is a remark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from backends.base import ModelSpec
from speedtest_tui.core.format import of, one_line
from speedtest_tui.core.models import builtin, layout, reading, repository
from speedtest_tui.core.models import folder as folders
from speedtest_tui.core.models.inventory import Stored
from speedtest_tui.core.models.layout import EMBEDDED_LIST, is_safe_name, is_safe_part, repository_id
from speedtest_tui.core.models.places import Place, places, root_around, root_of
from speedtest_tui.core.models.reading import Root
from speedtest_tui.core.models.required import Shelf, required_files
from speedtest_tui.core.models.status import CacheName, CacheState, Fault, FaultKind, FileState, StateName
from speedtest_tui.core.models.wanted import INDEX, accepted, is_weights, wanted

STATE_OF: Mapping[FaultKind, StateName] = {
    "truncated": "damaged", "corrupt": "damaged", "empty": "damaged", "lfs-pointer": "damaged",
    "unreadable": "damaged", "escape": "damaged", "broken-link": "broken-link", "wrong-layout": "wrong-layout",
    "missing-file": "partial", "evicted": "evicted",
}  # fmt: skip
"""What a fault of a required file makes of its model."""

WORST_FIRST: tuple[StateName, ...] = ("damaged", "broken-link", "wrong-layout", "evicted", "partial")
"""Which fault names the state where there are several."""

NOT_APPLICABLE = CacheState("not-applicable")
MISSING = CacheState("missing")
ON_FIRST_USE = "built in, unpacked on first use"
HIDING: tuple[FaultKind, ...] = ("unreadable", "escape", "broken-link", "evicted")
"""Faults of a folder that keep what is in it from being seen."""

AGAIN = "unpacked again on the next use"


def examine(spec: ModelSpec, cache: CacheName) -> CacheState:
    """Say how a model stands in one cache; of several places there, the best one. Never raises for what is on disk."""
    if spec.missing_reason:
        return CacheState("not-applicable", detail=spec.missing_reason)
    if spec.kind == "bundled":
        return CacheState("not-applicable", detail="comes with its library")
    if spec.kind == "embedded":
        return _embedded(spec) if cache == "local" else NOT_APPLICABLE
    found = [_at(spec, place, cache) for place in places(spec, cache)]
    if not found:
        return NOT_APPLICABLE
    # A half-downloaded copy beside a whole one must not hide it, nor an empty folder a half-downloaded copy.
    return min(found, key=lambda state: (state.state != "complete", state.state == "missing", -state.bytes))


def _at(spec: ModelSpec, place: Place, cache: CacheName) -> CacheState:
    path = place.path
    if not all(is_safe_name(name) for file in spec.files for name in file.names):
        return _refused("damaged", Fault("escape", path, "the backend asks for a file outside the model's folder"))
    if blocked := reading.obstacle(path.parent if place.layout == "checkpoint" else path):
        if blocked.path == path and not place.certain:
            return MISSING
        return replace(_refused(STATE_OF[blocked.kind], blocked), path=None if blocked.todo else path)
    try:
        root = root_around(path, cache)
        if place.layout == "checkpoint":
            return _checkpoint(spec, path, root)
        if not path.is_dir():
            return MISSING
        return _repository(spec, path, root) if place.layout == "hub" else _plain(spec, place, root)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        detail = f"{one_line(path.name)} cannot be read: {reason.lower()}"
        return replace(_refused("damaged", Fault("unreadable", path, detail)), path=path)


def _refused(state: StateName, fault: Fault) -> CacheState:
    """A model that nothing can be said of but what keeps it from being read."""
    return CacheState(state, detail=fault.detail, faults=(fault,))


def _repository(spec: ModelSpec, path: Path, root: Root) -> CacheState:
    kind, name = repository_id(path.name) or ("model", path.name)
    row = repository.read(path, kind, name, root)
    found = [_snapshot(spec, row, root, commit, faults) for commit, faults in _revisions(row, spec.revision)]
    if whole := next((state for state in found if state.state == "complete"), None):
        return whole
    hiding = [fault for fault in row.faults if fault.kind in HIDING and not fault.name]
    for hidden in hiding:
        # Whatever is said of the files, they may be where nobody can look now.
        if hidden.todo and hidden.path.name in (layout.BLOBS, layout.SNAPSHOTS):
            return _refused(STATE_OF[hidden.kind], hidden)
    if found:
        return found[0]
    if hiding:
        return replace(_refused(STATE_OF[hiding[0].kind], hiding[0]), path=path)
    ref = _ref_fault(row)
    return _snapshot(spec, row, root, "", (ref,) if ref else ()) if row.partials or ref else MISSING


def _revisions(row: Stored, pinned: str) -> Iterator[tuple[str, tuple[Fault, ...]]]:
    """The commits that may be meant, the best one first, each with what is wrong with the way to it.

    pinned: a commit, or an empty string for what `refs/main` names. Where that is missing or names no snapshot, the
    other snapshots follow, the newest first.
    """
    if pinned:
        if is_safe_part(pinned):
            yield pinned, ()
        return
    named, fault = dict(row.refs).get("main", ""), _ref_fault(row)
    there = {snapshot.revision for snapshot in row.snapshots}
    if named:
        yield named, (fault,) if fault and named in there else ()
    if named not in there:
        for snapshot in sorted(row.snapshots, key=lambda one: -reading.modified(one.path)):
            yield snapshot.revision, (fault,) if fault else ()


def _ref_fault(row: Stored) -> Fault | None:
    """What is wrong with `refs/main`; None also where another ref names a snapshot, as after a download of a tag."""
    refs = row.path / "refs"
    return next((fault for fault in row.faults if fault.path in (refs, refs / "main")), None)


def _snapshot(spec: ModelSpec, row: Stored, root: Root, commit: str, ways: tuple[Fault, ...]) -> CacheState:
    snapshot = next((one for one in row.snapshots if one.revision == commit), None)
    folder = row.path / "snapshots" / (commit or "unknown")
    partials = repository.largest_of(one for one in row.partials if one.etag not in row.blobs)
    files = {file.name: file for file in snapshot.files} if snapshot else {}
    faults = {fault.path: fault for fault in row.faults}
    if folder in faults and (snapshot is None or faults[folder].todo):
        hidden = replace(_refused(STATE_OF.get(faults[folder].kind, "damaged"), faults[folder]), revision=commit)
        return replace(hidden, repository=row.path.absolute())
    shelf = Shelf(root, folder, files, faults, row.manifests.get(commit), partials, blobs=row.blobs, shared=spec.shared)
    # Such a repository has been begun: it has a ref, a snapshot or a partial download, be it of nothing required;
    # one that many models share may have been for another.
    state = _judged(spec, shelf, there=snapshot is not None, begun=not spec.shared)
    listing = row.path / "trees" / f"{commit}.json"
    ways += tuple(fault for fault in row.faults if fault.path == listing)
    remarks = [state.detail, *(_remark(fault, commit) for fault in ways if state.state == "complete")]
    return replace(
        state,
        path=folder.absolute() if snapshot else None,
        repository=row.path.absolute(),
        revision=commit,
        faults=tuple(dict.fromkeys((*state.faults, *ways))),
        detail="; ".join(filter(None, remarks)),
    )


def _remark(fault: Fault, commit: str) -> str:
    return f"{fault.detail}; snapshot {one_line(commit[:12])} is used" if fault.kind == "bad-ref" else fault.detail


def _plain(spec: ModelSpec, place: Place, root: Root) -> CacheState:
    names = [name for file in spec.files for name in file.names]
    # Shards may lie in a folder of their own.
    deepest = max((name.count("/") + name.endswith(INDEX) for name in names), default=0)
    row = folders.read(place.path, place.path.name, root, deepest=deepest)
    state = _judged(spec, replace(_shelf(row, root, place.path), hashes=folders.recorded_hashes(place.path)))
    if not place.certain and not any(is_weights(file.name) and (file.bytes or _is_away(file)) for file in state.files):
        # Models of other owners share this name: without the weights nothing shows that it is this one.
        return MISSING
    return state if state.state == "missing" else replace(state, path=place.path.absolute())


def _is_away(file: FileState) -> bool:
    return file.fault is not None and file.fault.kind == "evicted"


def _checkpoint(spec: ModelSpec, path: Path, root: Root) -> CacheState:
    row = folders.checkpoint(path.name, root)
    file = spec.files[0]
    partials = {} if row.files else {one.sha256: part for one, part in zip(spec.files, row.partials, strict=False)}
    state = _judged(spec, replace(_shelf(row, root, path.parent), partials=partials, shared=True))
    if state.state == "missing":
        return MISSING
    return replace(state, path=path.absolute() if row.files else None, revision=file.sha256[:12])


def _shelf(row: Stored, root: Root, folder: Path) -> Shelf:
    return Shelf(root, folder, {file.name: file for file in row.files}, {fault.path: fault for fault in row.faults})


def _embedded(spec: ModelSpec) -> CacheState:
    """An embedded model: unpacked and whole, damaged, or not unpacked yet.

    Cheap: sizes only. `builtin` compares every hash when the model is used, and unpacks it again where one is wrong.
    """
    try:
        path = builtin.folder_of(spec.source, root_of("local"))
    except (ValueError, OSError):
        return CacheState("not-applicable", detail="this version has no such model")
    try:
        if blocked := reading.obstacle(path):
            return _refused(STATE_OF[blocked.kind], blocked)
        if not path.is_dir():
            return CacheState("missing", detail=ON_FIRST_USE)
        row = folders.read(path, path.name, root_around(path, "local"), "embedded")
        listed = folders.embedded_files(path)
    except (OSError, ValueError):
        detail = f"{EMBEDDED_LIST} cannot be read as a list of files"
        fault = Fault("unreadable", path / EMBEDDED_LIST, detail, EMBEDDED_LIST)
        return replace(_refused("damaged", fault), path=path, detail=f"{detail}; {AGAIN}")
    there = {file.name: file.bytes for file in row.files}
    faults = {fault.path: fault for fault in row.faults}
    files = tuple(
        FileState(name, path / name, there.get(name, 0), one.bytes, one.sha256, fault=faults.get(path / name))
        for name, one in listed.items()
    )
    return CacheState(
        "damaged" if row.faults else "complete",
        sum(file.bytes for file in files),
        _expected(files),
        path,
        revision=path.parent.name,
        detail=f"{row.faults[0].detail}; {AGAIN}" if row.faults else "",
        files=files,
        faults=row.faults,
    )


def _judged(spec: ModelSpec, shelf: Shelf, *, there: bool = True, begun: bool = False) -> CacheState:
    """What the required files make of a model. "missing" where not a byte of them is there, unless it was `begun`."""
    files = required_files(spec.files, shelf)
    faults = tuple(dict.fromkeys(state.fault for state in files if state.fault))
    have = sum(state.bytes for state in files)
    if not faults and there:
        return CacheState("complete", have, have, files=files, detail=_companions(spec, shelf))
    named = {STATE_OF[fault.kind] for fault in faults}
    worst: StateName = next((state for state in WORST_FIRST if state in named), "partial")
    if worst == "partial" and not have and not begun:
        return MISSING
    detail = progress(files) if worst == "partial" else next(f.detail for f in faults if STATE_OF[f.kind] == worst)
    return CacheState(worst, have, _expected(files), detail=detail, files=files, faults=faults)


def progress(files: tuple[FileState, ...]) -> str:
    """ "2 of 4 files, 37 of 483 MB"."""
    whole = sum(1 for state in files if state.fault is None)
    have, expected = sum(state.bytes for state in files), _expected(files)
    figures = f", {of(have, expected)}" if have or expected else ""
    return f"{whole} of {len(files)} files{figures}"


def _expected(files: tuple[FileState, ...]) -> int | None:
    """Bytes of all files when they are whole; None where one of them does not say."""
    sizes = [
        state.bytes if state.expected_bytes is None and state.fault is None else state.expected_bytes for state in files
    ]
    return sum(size for size in sizes if size is not None) if None not in sizes else None


def _companions(spec: ModelSpec, shelf: Shelf) -> str:
    """A remark on files that the repository has and the folder has not; the backend works without them."""
    if not shelf.manifest:
        return ""
    needed = {name for file in spec.files if not file.optional and (name := accepted(file, shelf.manifest))}
    absent = [name for name in wanted(spec, shelf.manifest) if name not in needed and not shelf.has(name)]
    if not absent:
        return ""
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    return f"optional and not there: {one_line(', '.join(absent[:3]))}{more}"
