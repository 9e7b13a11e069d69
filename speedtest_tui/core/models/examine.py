"""How one model stands in one cache, cheaply: names, sizes and headers, no hashing, no loading, no network.

Only the files that the backend requires decide whether a model is usable; what else a repository has is a remark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from backends.base import ModelSpec
from speedtest_tui.core.format import of
from speedtest_tui.core.models import manifest as manifests
from speedtest_tui.core.models import unpacked
from speedtest_tui.core.models.inventory import Partial
from speedtest_tui.core.models.layout import etag_of_partial, is_safe_name, shown
from speedtest_tui.core.models.local_folder import recorded_hashes
from speedtest_tui.core.models.places import Place, exists, inner_roots, is_folder, is_link, names_in, places, root_of
from speedtest_tui.core.models.required import Shelf, required_files
from speedtest_tui.core.models.revisions import Revision, candidates, ref_fault
from speedtest_tui.core.models.status import CacheName, CacheState, Fault, FaultKind, FileState, StateName
from speedtest_tui.core.models.wanted import accepted, is_weights, wanted

STATE_OF: Mapping[FaultKind, StateName] = {
    "truncated": "damaged", "corrupt": "damaged", "empty": "damaged", "lfs-pointer": "damaged",
    "unreadable": "damaged", "escape": "damaged", "broken-link": "broken-link", "wrong-layout": "wrong-layout",
    "missing-file": "partial",
}  # fmt: skip
"""What a fault of a required file makes of its model."""

WORST_FIRST: tuple[StateName, ...] = ("damaged", "broken-link", "wrong-layout", "partial")
"""Which fault names the state where there are several."""

NOT_APPLICABLE = CacheState("not-applicable")
MISSING = CacheState("missing")


def examine(spec: ModelSpec, cache: CacheName) -> CacheState:
    """Say how a model stands in one cache; of several places there, the best one. Never raises for what is on disk."""
    if spec.missing_reason:
        return CacheState("not-applicable", detail=spec.missing_reason)
    if spec.kind == "bundled":
        return CacheState("not-applicable", detail="comes with its library")
    if spec.kind == "embedded":
        return unpacked.examine(spec, root_of("local")) if cache == "local" else NOT_APPLICABLE
    found = [_at(spec, place) for place in places(spec, cache)]
    if not found:
        return NOT_APPLICABLE
    # A half-fetched copy beside a whole one must not hide it, nor an empty folder a half-fetched copy.
    return min(found, key=lambda state: (state.state != "complete", state.state == "missing", -state.bytes))


def _at(spec: ModelSpec, place: Place) -> CacheState:
    if not all(is_safe_name(name) for file in spec.files for name in file.names):
        fault = Fault("escape", place.path, "the backend asks for a file outside the model's folder")
        return CacheState("damaged", detail=fault.detail, faults=(fault,))
    try:
        if is_link(place.path) and not exists(place.path):
            detail = f"{shown(place.path.name)} is a link to something that is not there"
            fault = Fault("broken-link", place.path, detail)
            return CacheState("broken-link", path=place.path, detail=detail, faults=(fault,))
        look: Callable[[ModelSpec, Place], CacheState] = {
            "hub": _repository, "plain": _plain, "converted": _plain, "checkpoint": _checkpoint,
        }[place.layout]  # fmt: skip
        return look(spec, place)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        fault = Fault("unreadable", place.path, f"{shown(place.path.name)} cannot be read: {reason.lower()}")
        return CacheState("damaged", path=place.path, detail=fault.detail, faults=(fault,))


def _repository(spec: ModelSpec, place: Place) -> CacheState:
    if not is_folder(place.path):
        return MISSING
    partials = partials_in(place.path)
    found = [_snapshot(spec, place.path, revision, partials) for revision in candidates(place.path, spec.revision)]
    if whole := next((state for state in found if state.state == "complete"), None):
        return whole
    if found:
        return found[0]
    fault = ref_fault(place.path)
    if not partials and not fault:
        return MISSING
    nowhere = Revision("", place.path / "snapshots" / "unknown", (fault,) if fault else ())
    return _snapshot(spec, place.path, nowhere, partials)


def partials_in(repository: Path) -> dict[str, Partial]:
    """Unfinished downloads of a repository by etag, of several the largest; those whose blob is there do not count."""
    found: dict[str, Partial] = {}
    for name in names_in(repository / "blobs"):
        etag = etag_of_partial(name)
        path = repository / "blobs" / name
        if etag is None or exists(path.with_name(etag)) or is_link(path):
            continue
        size = path.stat().st_size
        if etag not in found or size > found[etag].bytes:
            found[etag] = Partial(path, etag, size)
    return found


def _snapshot(spec: ModelSpec, repository: Path, revision: Revision, partials: Mapping[str, Partial]) -> CacheState:
    listed, list_faults = manifests.read_with_faults(repository, revision.name)
    # Such a repository has been begun: it has a ref, a snapshot or a partial download, be it of nothing required.
    roots, blobs = inner_roots(repository), repository / "blobs"
    state = _judged(spec, Shelf(revision.snapshot, listed, partials, roots, blobs=blobs), begun=True)
    faults = (*revision.faults, *list_faults)
    remarks = [state.detail, *(fault.detail for fault in faults if state.state == "complete")]
    return replace(
        state,
        path=revision.snapshot.absolute() if is_folder(revision.snapshot) else None,
        repository=repository.absolute(),
        revision=revision.name,
        faults=(*state.faults, *faults),
        detail="; ".join(filter(None, remarks)),
    )


def _plain(spec: ModelSpec, place: Place) -> CacheState:
    if not is_folder(place.path):
        return MISSING
    state = _judged(spec, Shelf(place.path, roots=inner_roots(place.path), hashes=recorded_hashes(place.path)))
    has_weights = any(is_weights(file.name) and file.bytes for file in state.files)
    if not place.certain and not has_weights:
        # Models of other owners share this name: without the weights nothing shows that it is this one.
        return MISSING
    return state if state.state == "missing" else replace(state, path=place.path.absolute())


def _checkpoint(spec: ModelSpec, place: Place) -> CacheState:
    partial = place.path.with_name(f"{place.path.name}.incomplete")
    file = spec.files[0]
    partials = {}
    if not exists(place.path) and not is_link(partial) and exists(partial):
        partials[file.sha256] = Partial(partial, file.sha256, partial.stat().st_size)
    state = _judged(spec, Shelf(place.path.parent, partials=partials, shared=True))
    if state.state == "missing":
        return MISSING
    path = place.path.absolute() if exists(place.path) else None
    return replace(state, path=path, revision=file.sha256[:12])


def _judged(spec: ModelSpec, shelf: Shelf, *, begun: bool = False) -> CacheState:
    """What the required files make of a model. "missing" where not a byte of them is there, unless it was `begun`."""
    files = required_files(spec.files, shelf)
    files = tuple(_layout_checked(state, file.names, shelf) for state, file in zip(files, spec.files, strict=True))
    faults = tuple(state.fault for state in files if state.fault)
    have = sum(state.bytes for state in files)
    if not faults and is_folder(shelf.folder):
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


def _layout_checked(state: FileState, names: tuple[str, ...], shelf: Shelf) -> FileState:
    """A missing file with weights under other names beside it is no download that stopped: it would never help."""
    if state.fault is None or state.fault.kind != "missing-file" or state.bytes or not is_weights(state.name):
        return state
    if shelf.shared or (shelf.manifest and any(name in shelf.manifest for name in names)):
        return state
    there = [name for name in names_in(shelf.folder) if is_weights(name) and exists(shelf.folder / name)]
    where = "there is" if there else "its repository has"
    there = there or [name for name in shelf.manifest or () if is_weights(name)]
    if not there:
        return state
    others = ", ".join(there[:2]) + (f" and {len(there) - 2} more" if len(there) > 2 else "")
    detail = f"{' or '.join(names)} is missing; {where} {shown(others)}, which the backend does not read"
    return replace(state, fault=replace(state.fault, kind="wrong-layout", detail=detail))


def _companions(spec: ModelSpec, shelf: Shelf) -> str:
    """A remark on files that the repository has and the folder has not; the backend works without them."""
    if not shelf.manifest:
        return ""
    needed = {name for file in spec.files if (name := accepted(file, shelf.manifest))}
    absent = [name for name in wanted(spec, shelf.manifest) if name not in needed and not exists(shelf.folder / name)]
    if not absent:
        return ""
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    return f"optional and not there: {shown(', '.join(absent[:3]))}{more}"
