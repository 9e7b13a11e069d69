"""What repairs one model in one cache, from the status that an examination found.

What is on this machine already, in the same cache or another, is linked instead of downloaded; weights under another
name than the backend reads get that name where their header says that they are what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.base import Advice, ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.models import builtin, layout, manifest, remembered
from speedtest_tui.core.models.inspect import MLX_WEIGHTS, find_other_layout
from speedtest_tui.core.models.inventory import Stored, StoredFile
from speedtest_tui.core.models.locks import lock_of
from speedtest_tui.core.models.places import root_of
from speedtest_tui.core.models.status import CACHE_NAMES, CacheName, CacheState, FileState
from speedtest_tui.core.models.structure import problem
from speedtest_tui.core.repair.step import Note, Plan, Step, StepKind


@dataclass(frozen=True)
class BrokenModel:
    """A model in one cache that is not as it should be.

    download: the command that downloads the model
    fallback_ready: whether its fallback can be loaded
    """

    spec: ModelSpec
    cache: CacheName
    state: CacheState
    download: str
    fallback_ready: bool = False

    @property
    def root(self) -> Path:
        """The folder that no change may leave."""
        state = self.state
        if state.repository is not None:
            return state.repository.parent
        return state.path.parent if self.spec.kind == "openai" and state.path else root_of(self.cache)

    @property
    def name(self) -> str:
        """As in a Request: the repository, or the .pt file's name."""
        return self.spec.source if self.spec.kind == "hub" else self.spec.source.rpartition("/")[2]

    def note(self, what: str, todo: str) -> Plan:
        """A plan of no steps."""
        return Plan((), (Note(self.spec.source, self.cache, Advice(what, todo)),))

    def step(self, kind: StepKind, path: Path, part: str = "", manner: str = "") -> Step:
        """A step for this model, in its cache."""
        return Step(kind, path, self.root, self.cache, self.spec.source, part, manner)


def plan_fix(model: BrokenModel, stored: Sequence[Stored]) -> Plan:
    """The steps for a model, and what they leave. Nothing where it is complete, missing or not applicable."""
    state, spec = model.state, model.spec
    if state.state in ("complete", "missing", "not-applicable"):
        return Plan()
    blocked = [fault for fault in state.faults if fault.todo]
    notes = [Note(str(fault.path), model.cache, Advice(fault.detail, fault.todo)) for fault in blocked]
    if blocked and len(blocked) == len(state.faults):
        return Plan((), tuple(notes))
    if spec.kind == "embedded":
        return Plan((_unpack(model),))
    if spec.kind == "folder" and state.path is not None:
        return model.note(f"{state.path.name} is damaged: {state.detail}", "convert or download it again")
    if state.path is not None and any(layout.is_within(state.path, folder) for folder in locations.converted_folders()):
        return model.note(f"the converted model {state.path.name} is damaged: {state.detail}", "convert it again")
    if not state.files and state.faults:
        return _whole(model)
    steps: list[Step] = []
    to_download: list[FileState] = []
    for file in state.files:
        if file.fault is None or file.fault.todo:
            continue
        if file.fault.kind == "wrong-layout":
            found = _adopt(model)
            steps += found.steps
            notes += found.notes
        elif (source := elsewhere(file, state.repository, model.root, stored)) is not None:
            steps.append(_relink(model, file, source))
        else:
            to_download.append(file)
    if state.state == "wrong-layout" and not steps and not notes:
        found = _adopt(model)
        steps += found.steps
        notes += found.notes
    if to_download or not (steps or notes):
        steps.append(_download(model, to_download))
    return Plan(tuple(steps), tuple(notes))


def _unpack(model: BrokenModel) -> Step:
    source = model.spec.source
    folder = model.state.path or builtin.folder_of(source, locations.local_cache())
    return Step("unpack", folder, locations.local_cache(), model.cache, source, manner="again", text=source)


def _whole(model: BrokenModel) -> Plan:
    """For a model that cannot be looked into: a folder is a link to nowhere or elsewhere, or may not be read."""
    fault, spec, root = model.state.faults[0], model.spec, model.root
    if fault.kind not in ("broken-link", "escape"):
        return model.note(f"{model.name}: {fault.detail}", f"make it readable: chmod u+rwX '{fault.path}'")
    request = Request(spec, model.cache, root)
    step = Step(
        "download", fault.path, root, model.cache, spec.source, manner="again in place of a link that leads astray"
    )
    return Plan((replace(step, replaces=(fault.path,), download_bytes=None, request=request),))


def _relink(model: BrokenModel, file: FileState, source: Path) -> Step:
    """`file` becomes a link to a payload of its own cache, or a second name or copy of one elsewhere."""
    root, repository = model.root, model.state.repository
    blob = blob_of(file, repository) if repository else None
    manner = "to its content"
    if not layout.is_within(source, root) or (blob is not None and source.parent != blob.parent):
        manner = f"to the good copy in {_place(source)} (no download)"
    return replace(
        model.step("relink", file.path, file.name, manner),
        target=source,
        text=blob.name if blob else file.sha256,
        lock=lock_of(blob, root) if blob else None,
    )


def _place(source: Path) -> str:
    for cache, name in CACHE_NAMES.items():
        if layout.is_within(source, root_of(cache)):
            return f"the {name} cache"
    return str(source.parent)


def _adopt(model: BrokenModel) -> Plan:
    """A link by the name that the backend reads, where the weights are what it means by that name."""
    other = find_other_layout(model.spec, model.state)
    if advice := other.advice(model.spec, model.state, model.download, fallback_ready=model.fallback_ready):
        return Plan((), (Note(model.spec.source, model.cache, advice),))
    assert other.present is not None
    manner = f"to {other.present.name}, which mlx-whisper can read"
    step = model.step("adopt", other.present.with_name(MLX_WEIGHTS), MLX_WEIGHTS, manner)
    return Plan((replace(step, target=other.present),))


def _download(model: BrokenModel, files: Sequence[FileState]) -> Step:
    """One download for all that a model lacks; damaged files are downloaded again and kept in the trash."""
    spec, state = model.spec, model.state
    damaged = [file for file in files if file.fault is not None and file.fault.kind != "missing-file"]
    is_plain = spec.kind == "hub" and state.repository is None
    cache: CacheName = "local" if is_plain else model.cache
    root = locations.local_cache() if is_plain else model.root
    again = () if is_plain else tuple(file.name for file in damaged)
    request = Request(spec, cache, root, again)
    settled = not is_plain and not any(fault.kind == "bad-ref" for fault in state.faults)
    if settled and spec.kind == "hub" and layout.is_commit(state.revision) and state.revision != spec.revision:
        # The commit that is there, so that what is whole need not be downloaded; if the hub has dropped it, its main.
        asked = replace(request, reason=f"the hub has no commit {state.revision[:12]} any more")
        request = replace(request, spec=replace(spec, revision=state.revision), fallback=asked)
    part, manner = ("", "again") if damaged else ("the download", "")
    if is_plain and state.path is not None:
        part, manner = "", f"into the local cache, beside the damaged folder {state.path}"
    elif damaged and spec.kind == "hub":
        part = damaged[0].name if len(damaged) == 1 else f"{len(damaged)} files"
    whole = layout.repository_folder(root, spec.source) if spec.kind == "hub" else root / spec.files[0].names[0]
    return Step(
        "download" if damaged or is_plain else "resume",
        damaged[0].path if damaged and not is_plain else whole,
        root,
        cache,
        spec.source,
        part,
        manner,
        replaces=() if is_plain else tuple(path for file in damaged for path in replaced(file.path, model.root)),
        download_bytes=None if is_plain else _bytes_missing(state, files, damaged),
        lock=root / f".{model.name}.lock" if spec.kind == "openai" else None,
        request=request,
    )


def _bytes_missing(state: CacheState, files: Sequence[FileState], damaged: Sequence[FileState]) -> int | None:
    if not files:
        return None if state.expected_bytes is None else max(0, state.expected_bytes - state.bytes)
    if any(file.expected_bytes is None for file in files):
        return None
    return sum((file.expected_bytes or 0) - (0 if file in damaged else file.bytes) for file in files)


def replaced(path: Path, root: Path) -> tuple[Path, ...]:
    """What a download of a damaged file replaces: its payload, and the link to it where that leads astray."""
    payload = layout.payload_of(path, root)
    blob = layout.first_hop(path) if path.is_symlink() else path
    return tuple(dict.fromkeys(one for one in (path, blob, payload) if layout.is_within(one, root)))


def blob_of(file: FileState, repository: Path) -> Path | None:
    """The blob that a file of a snapshot should lead to; None where nothing says which."""
    etag = file.sha256 or file.git_sha1
    if file.path.is_symlink():
        hop = layout.first_hop(file.path)
        # The link's own word where it is a blob's name, wherever it leads: caches get moved.
        if layout.digest_of(hop.name) and (not etag or hop == layout.blob_file(repository, hop.name)):
            etag = hop.name
    return layout.blob_file(repository, etag) if layout.digest_of(etag) else None


def elsewhere(file: FileState, repository: Path | None, root: Path, stored: Sequence[Stored]) -> Path | None:
    """A sound file with the content that `file` should have, or None. Hashing it is left to who uses it.

    First the repository's own blob, then the shared store, then equal files of all caches.
    """
    blob = blob_of(file, repository) if repository else None
    broken = layout.payload_of(file.path, root)
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
                yield layout.payload_of(other.path, row.root)


def _means_the_same(other: StoredFile, file: FileState, blob: Path | None) -> bool:
    if other.inode is None or other.path == file.path:
        return False
    if blob is not None:
        return other.blob.name == blob.name
    # A checkpoint has no name that says its content; its hash is known and will be asked for.
    return bool(file.sha256) and other.name == file.name


def _xet_hash(file: FileState, repository: Path) -> str:
    """What the commit's list calls the file's payload in the shared store."""
    listed = (manifest.read(repository, layout.commit_of(file.path, repository)) or {}).get(file.name)
    return listed.xet_hash if listed else ""


def _is_sound(candidate: Path, file: FileState) -> bool:
    try:
        size = candidate.stat().st_size
    except OSError:
        return False
    if file.expected_bytes not in (None, size) or remembered.verdict(candidate) == "corrupt":
        return False
    return problem(candidate, file.name) is None
