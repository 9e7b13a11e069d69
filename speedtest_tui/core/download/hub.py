"""Fetching a model from the Hugging Face hub into a cache, so that huggingface_hub itself then finds it there.

huggingface_hub does what it does well: tokens, endpoints, proxies, repository metadata. The bytes are fetched here, as
its own transfer throws away what it has when it is interrupted.

The list of the commit's files is written first (an interrupted download can then say what it lacks), each file becomes
a blob when its hash is right, and the ref comes last: until then the old model is the model. As after every download of
a part of a repository, `snapshot_download` refuses offline to hand out a snapshot of whose listed files some are not
there, unless it is asked for those that are; so the few small ones that no model needs are fetched, too.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui import __version__
from speedtest_tui.core.download import listing as space
from speedtest_tui.core.download import publish
from speedtest_tui.core.download import publish as locks
from speedtest_tui.core.download.child import Progress
from speedtest_tui.core.download.failures import TRY_LATER, Failure
from speedtest_tui.core.download.listing import COMMIT, Listing, choose, list_repository
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.download.transfer import EtagChanged, Wanted, fetch
from speedtest_tui.core.models import manifest
from speedtest_tui.core.models.hashes import HashJob, hash_files
from speedtest_tui.core.models.layout import digest_of, is_safe_name, lock_file, repository_folder, shared_blob
from speedtest_tui.core.models.manifest import ManifestFile

MOST_CHANGES = 3
"""How often a file may turn into another while it is being fetched."""


@dataclass(frozen=True)
class Fetched:
    """Where a model lies now; `revision` as in CacheState."""

    path: Path
    revision: str


def fetch_repository(request: Request, progress: Progress) -> Fetched:
    """Fetch what is missing of a model, and what is to be fetched again. Raises Failure, OSError."""
    progress.state("resolving")
    revision = request.revision or "main"
    if not is_safe_name(revision):
        raise Failure("unsafe", f"{revision!r} is no revision", "leave it out, or give a branch, tag or commit")
    listing = list_repository(request, progress)
    model, rest = choose(request, listing, progress)
    repository = Repository(request, listing, progress)
    total = sum(listing.files[name].size for name in (*model, *rest))
    repository.count((*model, *rest))
    progress.begin(sum(repository.counted.values()), total)
    space.require(total - sum(repository.counted.values()), request.root)
    ref = None if COMMIT.fullmatch(revision) else revision
    if all(repository.is_published(name) for name in model):
        # Nothing to do but the ref: a cache that may only be read is good enough.
        with contextlib.suppress(OSError):
            repository.fetch_rest(rest)
            repository.finish(ref)
        return Fetched(repository.snapshot.absolute(), listing.commit)
    repository.write_list()
    for name in model:
        repository.fetch_file(name)
    repository.fetch_rest(rest)
    repository.finish(ref)
    return Fetched(repository.snapshot.absolute(), listing.commit)


class Repository:
    """One repository's folder in a cache, while files enter it.

    counted: bytes of each file that are there already, unfinished ones included
    """

    def __init__(self, request: Request, listing: Listing, progress: Progress) -> None:
        from huggingface_hub import get_session
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        self._request, self._listing, self._progress = request, listing, progress
        self._files: dict[str, ManifestFile] = dict(listing.files)
        self._client = get_session()
        self._headers = build_hf_headers(library_name="speedtest-tui", library_version=__version__)
        self._folder = repository_folder(request.root, request.source)
        self._blobs = self._folder / "blobs"
        self.snapshot = self._folder / "snapshots" / listing.commit
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
        return publish.leads_to(pointer, self._blobs / file.etag) or (not pointer.is_symlink() and pointer.exists())

    def write_list(self) -> None:
        """Keep the commit's listing. Raises OSError."""
        if self._listing.whole and manifest.read(self._folder, self._listing.commit) != self._files:
            self._refuse_links(manifest.path_of(self._folder, self._listing.commit))
            manifest.write(self._folder, self._listing.commit, self._files)

    def fetch_rest(self, names: tuple[str, ...]) -> None:
        """Fetch files that the model can do without."""
        for name in names:
            try:
                self.fetch_file(name)
            except (Failure, OSError) as error:
                self._progress.note(f"{name}, which the model does not need, was left out: {error}")

    def finish(self, ref: str | None) -> None:
        """Write what says that it is all there. Raises OSError."""
        self.write_list()
        if ref:
            self._refuse_links(self._folder / "refs" / ref)
            publish.write_ref(self._folder, ref, self._listing.commit)

    def fetch_file(self, name: str) -> None:
        """Fetch one file unless it is there. Raises Failure, OSError."""
        if self.is_published(name):
            return
        self._progress.file(name)
        given_up: list[Path] = []
        for _ in range(MOST_CHANGES):
            try:
                self._fetch_as(name, self._files[name])
                # Only now: had it been a slip of the server's, the first file would have been continued.
                for partial in given_up:
                    partial.unlink(missing_ok=True)
                return
            except EtagChanged as changed:
                given_up.append(self._blobs / f"{self._files[name].etag}.incomplete")
                self._rename(name, changed)
        raise Failure("server", f"{name} keeps changing on the hub", TRY_LATER)

    def _fetch_as(self, name: str, file: ManifestFile) -> None:
        blob, pointer = self._blobs / file.etag, self.snapshot / name
        for path in (blob, pointer):
            self._refuse_links(path)
        self._blobs.mkdir(parents=True, exist_ok=True)
        request, trash = self._request, self._request.trash
        lock = lock_file(request.root, request.source, file.etag)
        with locks.held(lock, lambda: self._partial_bytes(file), name, request.patience, self._progress):
            if self._settled(name, file):
                self._progress.counted(file.size - self.counted[name])
            else:
                partial = publish.adopt_partial(self._blobs, file.etag)
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
        wanted = Wanted(name, url, source, file.size, *digest, file.etag, self._headers)
        credit = self.counted[name]
        fetch(wanted, partial, self._client, self._request.patience, self._progress, credit=credit)

    def _settled(self, name: str, file: ManifestFile) -> bool:
        """Whether a file needs no fetching, now that nobody else is at it; one that is to be replaced is hashed."""
        blob, pointer = self._blobs / file.etag, self.snapshot / name
        if name in self._request.again:
            # Somebody else may have mended it since the request was made.
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
        blob, pointer = self._blobs / file.etag, self.snapshot / name
        ours = not blob.is_symlink() or publish.shared_payload(blob, self._request.root) is not None
        return (ours and _size(blob) == file.size) or (not pointer.is_symlink() and _size(pointer) == file.size)

    def _is_right(self, path: Path, file: ManifestFile) -> bool:
        digest = digest_of(file.etag)
        assert digest is not None
        self._progress.state("checking")
        found = hash_files((HashJob(path, digest[0]),), lambda _done, _total: self._progress.tick(), threading.Event())
        return found[path] == digest[1]

    def _partial_bytes(self, file: ManifestFile) -> int:
        return publish.partial_bytes(self._blobs, file.etag)

    def _rename(self, name: str, changed: EtagChanged) -> None:
        """The hub has another file under this name than it listed."""
        old = self._files[name]
        size = old.size if changed.size is None else changed.size
        large = len(changed.etag) == 64
        new = ManifestFile(size, old.blob_id if large else changed.etag, changed.etag if large else "")
        self._files[name] = new
        self._progress.grow(new.size - old.size)
        self.counted[name] = 0
        self._progress.note(f"{name} has changed on the hub: fetching the new one")

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
