"""Downloading a model from the Hugging Face hub into a cache, so that huggingface_hub itself then finds it there.

huggingface_hub does what it does well: tokens, endpoints, proxies, repository metadata. The bytes are downloaded here,
as its own transfer throws away what it has when it is interrupted.

The list of the commit's files is written first (an interrupted download can then say what it lacks), each file becomes
a blob when its hash is right, and the ref comes last: until then the old model is the model. As after every download of
a part of a repository, `snapshot_download` refuses offline to hand out a snapshot of whose listed files some are not
there, unless it is asked for those that are; so the few small ones that no model needs are downloaded, too.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from speedtest_tui.core import removal
from speedtest_tui.core.download import publish
from speedtest_tui.core.download.failures import TRY_LATER, Failure, portal, require_room
from speedtest_tui.core.download.network import Questions, client, endless, hub_headers
from speedtest_tui.core.download.request import UNREACHABLE, Patience, Request
from speedtest_tui.core.download.transfer import (
    EtagChanged,
    Placed,
    Progress,
    RemoteFile,
    download,
    has_digest,
    retrying,
)
from speedtest_tui.core.models import layout, manifest
from speedtest_tui.core.models.layout import (
    digest_of,
    is_commit,
    is_safe_name,
    is_sha256,
    repository_folder,
    shared_blob,
)
from speedtest_tui.core.models.locks import lock_of
from speedtest_tui.core.models.manifest import ManifestFile
from speedtest_tui.core.models.wanted import accepted, is_weights, wanted

MOST_CHANGES = 3
"""How often a file may turn into another while it is being downloaded."""

ASKING_ATTEMPTS = 3
"""Before anything has come, somebody waits for the first sign of life: a dead network is told soon."""

MOST_FILES, MOST_PAGES, LARGEST = 100_000, 1_000, 1 << 46
"""Of one repository, and bytes of one file: beyond, an answer is no list of a model's files."""

REST_BYTES, REST_FILES = 8 << 20, 64
"""Up to this a repository's other files are downloaded with the model, as its snapshot is then complete: offline,
`snapshot_download` refuses one of whose listed files any is missing, and mlx-whisper asks in that way."""


def download_repository(request: Request, progress: Progress) -> Placed:
    """Download what is missing of a model, and what is to be downloaded again. Raises Failure, OSError."""
    progress.state("contacting")
    revision = request.spec.revision or "main"
    if not is_safe_name(revision):
        raise Failure("unsafe", f"{revision!r} is not a revision", "leave it out, or give a branch, tag or commit")
    if not is_safe_name(request.source):
        raise Failure("unsafe", f"{request.source!r} is not the name of a repository", "write it as owner/name")
    listing = list_repository(request, progress)
    model, rest = choose(request, listing, progress)
    repository = Repository(request, listing, progress)
    total = sum(listing.files[name].size for name in (*model, *rest))
    repository.count((*model, *rest))
    progress.begin(sum(repository.counted.values()), total)
    require_room(total - sum(repository.counted.values()), request.root)
    ref = None if is_commit(revision) else revision
    if all(repository.is_published(name) for name in model):
        # Nothing to do but the ref: a cache that may only be read is good enough.
        with contextlib.suppress(OSError):
            repository.download_rest(rest)
            repository.finish(ref)
        return Placed(repository.snapshot.absolute(), listing.commit)
    repository.write_list()
    for name in model:
        repository.download_file(name)
    repository.download_rest(rest)
    repository.finish(ref)
    return Placed(repository.snapshot.absolute(), listing.commit)


@dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    files: by name; where `whole` is false, only what could be found out of those that are needed
    """

    commit: str
    files: Mapping[str, ManifestFile]
    whole: bool


@dataclass(frozen=True)
class Large:
    """What the hub's tree says of a large file."""

    oid: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One line of the hub's tree; its names are the hub's."""

    type: str
    path: str
    oid: str = ""
    size: int = 0
    lfs: Large | None = None
    xetHash: str | None = None


@dataclass(frozen=True)
class Sibling:
    """A file as the hub's description of a repository has it."""

    rfilename: str


@dataclass(frozen=True)
class Description:
    """What is read of the hub's answer about a repository."""

    sha: str
    siblings: tuple[Sibling, ...] | None = None


def list_repository(request: Request, progress: Progress) -> Listing:
    """Ask the hub. Raises Failure."""
    from huggingface_hub import constants

    source = request.source
    patience = replace(request.patience, attempts=min(ASKING_ATTEMPTS, request.patience.attempts))
    questions = Questions(source, patience, client(patience))
    named = f"/revision/{quote(request.spec.revision, safe='')}" if request.spec.revision else ""
    address = f"{constants.ENDPOINT}/api/models/{quote(source)}"
    info, _ = retrying(lambda: questions.ask(Description, address + named), source, patience, progress)
    if not is_commit(info.sha):
        raise portal(source)
    progress.state("listing")
    try:
        return Listing(info.sha, _tree(questions, f"{address}/tree/{info.sha}", source, patience, progress), True)
    except Failure as failure:
        if failure.kind not in ("not-found", "server", "portal", "unexpected"):
            raise
    finally:
        progress.file("")
    # A mirror may know files and no listings.
    names = wanted(request.spec, [sibling.rfilename for sibling in info.siblings or ()])
    files = {name: _asked(source, name, info.sha, patience, progress) for name in names}
    return Listing(info.sha, files, False)


def _tree(
    questions: Questions, address: str, source: str, patience: Patience, progress: Progress
) -> dict[str, ManifestFile]:
    """All files of a commit, page by page. Raises Failure."""

    def ask(page: str) -> tuple[tuple[Entry, ...], str]:
        return retrying(lambda: questions.ask(tuple[Entry, ...], page), source, patience, progress)

    files: dict[str, ManifestFile] = {}
    page = f"{address}?recursive=true&expand=false"
    asked = {""}
    while page not in asked:
        asked.add(page)
        entries, page = ask(page)
        for entry in entries:
            if entry.type == "file":
                size, sha256 = (entry.lfs.size, entry.lfs.oid) if entry.lfs else (entry.size, "")
                file = ManifestFile(size, entry.oid, sha256, entry.xetHash or "")
                files[entry.path] = _checked(entry.path, file)
        if len(files) > MOST_FILES or len(asked) > MOST_PAGES or (page != "" and page in asked):
            raise endless(source)
        progress.file(f"{len(files):,} files")
        progress.state("listing")
    return files


def choose(request: Request, listing: Listing, progress: Progress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names to download: those of the model, and those that make the snapshot whole. Raises Failure."""
    names = set(listing.files)
    model = list(wanted(request.spec, names))
    for file in request.spec.files:
        if file.optional or accepted(file, names):
            continue
        substitute = _other_layout(file.names, names)
        if substitute is None:
            what = f"{request.source} has no {' or '.join(file.names)}"
            raise Failure("not-found", what, "choose another size or backend: this repository is for something else")
        model.append(substitute)
        progress.note(f"it has {substitute} instead of {file.names[0]}: run speedtest-tui repair afterwards")
    for name in request.again:
        if name in names and name not in model:
            model.append(name)
    rest = sorted(names.difference(model))
    small = len(rest) <= REST_FILES and sum(listing.files[name].size for name in rest) <= REST_BYTES
    return tuple(model), tuple(rest) if listing.whole and small else ()


def _other_layout(wanted_names: tuple[str, ...], names: set[str]) -> str | None:
    """The one weights file of the kind that is asked for, under another name."""
    kinds = {PurePosixPath(name).suffix for name in wanted_names if is_weights(name)}
    found = [name for name in names if "/" not in name and PurePosixPath(name).suffix in kinds]
    return found[0] if len(found) == 1 else None


def _asked(source: str, name: str, commit: str, patience: Patience, progress: Progress) -> ManifestFile:
    """What the hub says of one file in answer to HEAD."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    def ask() -> ManifestFile:
        url = hf_hub_url(source, name, revision=commit, endpoint=constants.ENDPOINT)
        found = get_hf_file_metadata(url, timeout=patience.stall_s, endpoint=constants.ENDPOINT)
        if found.size is None or found.etag is None:
            raise portal(source)
        large = len(found.etag) == 64
        return _checked(name, ManifestFile(found.size, found.etag, found.etag if large else ""))

    return retrying(ask, source, patience, progress)


def _checked(name: str, file: ManifestFile) -> ManifestFile:
    """Raises Failure for what must not become a path: the listing is content from elsewhere."""
    hashes = digest_of(file.etag) and digest_of(file.blob_id) and (not file.xet_hash or is_sha256(file.xet_hash))
    if not is_safe_name(name) or not hashes or not 0 <= file.size < LARGEST:
        what = f"the hub lists a file with an invalid name, hash or size ({name[:60]!r})"
        raise Failure("unsafe", what, "do not use this repository; nothing of it was downloaded")
    return file


class Repository:
    """One repository's folder in a cache, while files enter it.

    counted: bytes of each file that are there already, unfinished ones included
    """

    def __init__(self, request: Request, listing: Listing, progress: Progress) -> None:
        from huggingface_hub import get_session

        self._request, self._listing, self._progress = request, listing, progress
        self._files: dict[str, ManifestFile] = dict(listing.files)
        self._client = get_session()
        self._headers = hub_headers()
        self._folder = repository_folder(request.root, request.source)
        self.snapshot = layout.snapshot_folder(self._folder, listing.commit)
        self.counted: dict[str, int] = {}

    def count(self, names: tuple[str, ...]) -> None:
        """Look at what is there of some files."""
        for name in names:
            file = self._files[name]
            there = name not in self._request.again and self._has(name, file)
            self.counted[name] = file.size if there else min(file.size, self._partial_bytes(file))

    def is_published(self, name: str) -> bool:
        """Whether a file needs nothing at all."""
        file = self._files[name]
        if name in self._request.again or not self._has(name, file):
            return False
        pointer = self.snapshot / name
        return publish.leads_to(pointer, self._blob(file)) or (not pointer.is_symlink() and pointer.exists())

    def write_list(self) -> None:
        """Keep the commit's listing. Raises OSError."""
        if self._listing.whole and manifest.read(self._folder, self._listing.commit) != self._files:
            self._refuse_links(manifest.path_of(self._folder, self._listing.commit))
            manifest.write(self._folder, self._listing.commit, self._files)

    def download_rest(self, names: tuple[str, ...]) -> None:
        """Download files that the model can do without."""
        for name in names:
            try:
                self.download_file(name)
            except (Failure, OSError) as error:
                self._progress.note(f"{name}, which the model does not need, was left out: {error}")
                if isinstance(error, Failure) and error.kind in (*UNREACHABLE, "stalled", "cut"):
                    return  # the next would be waited for as long

    def finish(self, ref: str | None) -> None:
        """Write what says that it is all there. Raises OSError."""
        self.write_list()
        folders = {(self.snapshot / name).parent for name in self._files}
        for folder in (*(self._folder / part for part in (layout.BLOBS, layout.REFS, layout.LISTS)), *folders):
            removal.sweep(folder)
        if ref:
            self._refuse_links(layout.ref_file(self._folder, ref))
            publish.write_ref(self._folder, ref, self._listing.commit)

    def download_file(self, name: str) -> None:
        """Download one file unless it is there. Raises Failure, OSError."""
        if self.is_published(name):
            return
        self._progress.file(name)
        given_up: list[Path] = []
        for _ in range(MOST_CHANGES):
            try:
                self._download_as(name, self._files[name])
                # Only now: had it been a slip of the server's, the first file would have been continued.
                for partial in given_up:
                    partial.unlink(missing_ok=True)
                return
            except EtagChanged as changed:
                given_up.append(layout.partial_of(self._blob(self._files[name])))
                self._rename(name, changed)
        raise Failure("server", f"{name} keeps changing on the hub", TRY_LATER)

    def _download_as(self, name: str, file: ManifestFile) -> None:
        blob, pointer = self._blob(file), self.snapshot / name
        for path in (blob, pointer):
            self._refuse_links(path)
        blob.parent.mkdir(parents=True, exist_ok=True)
        request, trash = self._request, self._request.trash
        lock = lock_of(blob, request.root)
        with publish.held(lock, lambda: self._partial_bytes(file), name, request.patience, self._progress):
            if self._settled(name, file):
                self._progress.counted(file.size - self.counted[name])
            else:
                partial = publish.adopt_partial(blob)
                self._transfer(name, file, partial)
                payload = publish.shared_payload(blob, request.root)
                if payload is not None and payload.name == file.xet_hash:
                    publish.place_shared(partial, payload, trash)
                publish.place(partial, blob, trash)
            self.counted[name] = file.size
            if blob.exists():
                publish.link(blob, pointer, trash)

    def _transfer(self, name: str, file: ManifestFile, partial: Path) -> None:
        from huggingface_hub import constants, hf_hub_url

        digest = digest_of(file.etag)
        assert digest is not None
        source = self._request.source
        url = hf_hub_url(source, name, revision=self._listing.commit, endpoint=constants.ENDPOINT)
        remote = RemoteFile(name, url, source, file.size, *digest, file.etag, self._headers)
        credit = self.counted[name]
        download(remote, partial, self._client, self._request.patience, self._progress, credit=credit)

    def _settled(self, name: str, file: ManifestFile) -> bool:
        """Whether a file needs no download, now that nobody else is at it; one that is to be replaced is hashed."""
        blob, pointer = self._blob(file), self.snapshot / name
        if name in self._request.again:
            # Somebody else may have repaired it since the request was made.
            present = blob if blob.exists() else pointer
            return present.is_file() and self._is_right(present, file)
        if self._has(name, file):
            return True
        if not file.xet_hash:
            return False
        payload = shared_blob(self._request.root, file.xet_hash)
        if _size(payload) != file.size or not self._is_right(payload, file):
            return False
        publish.borrow_shared(payload, blob)
        self._progress.note(f"{name} was already there, in another repository of this cache")
        return True

    def _has(self, name: str, file: ManifestFile) -> bool:
        """Whether the cache holds a file of the right size, as a blob of its own or in the place of a link to one."""
        blob, pointer = self._blob(file), self.snapshot / name
        ours = not blob.is_symlink() or publish.shared_payload(blob, self._request.root) is not None
        return (ours and _size(blob) == file.size) or (not pointer.is_symlink() and _size(pointer) == file.size)

    def _is_right(self, path: Path, file: ManifestFile) -> bool:
        digest = digest_of(file.etag)
        assert digest is not None
        return has_digest(path, *digest, self._progress)

    def _blob(self, file: ManifestFile) -> Path:
        return layout.blob_file(self._folder, file.etag)

    def _partial_bytes(self, file: ManifestFile) -> int:
        return publish.partial_bytes(self._blob(file))

    def _rename(self, name: str, changed: EtagChanged) -> None:
        """The hub has another file under this name than it listed."""
        old = self._files[name]
        size = old.size if changed.size is None else changed.size
        large = len(changed.etag) == 64
        new = ManifestFile(size, old.blob_id if large else changed.etag, changed.etag if large else "")
        self._files[name] = new
        self._progress.grow(new.size - old.size)
        self.counted[name] = 0
        self._progress.note(f"{name} has changed on the hub: downloading the new one")

    def _refuse_links(self, path: Path) -> None:
        """Raises Failure where a folder on the way from the repository to a file leads elsewhere."""
        for folder in path.relative_to(self._folder).parents:
            place = self._folder / folder
            # The repository itself may be a link to a bigger disk, put there by its owner.
            if place != self._folder and place.is_symlink():
                raise Failure("unsafe", f"{place} leads out of its repository", "remove that link, then try again")


def _size(path: Path) -> int | None:
    """Of a file, links followed; None for what is none."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
