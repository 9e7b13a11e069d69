"""What a repository on the hub holds at one commit, and which of it is to be fetched.

Whether there is room for what is to come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from backends.base import ModelSpec
from speedtest_tui.core import disk
from speedtest_tui.core.download.child import Progress
from speedtest_tui.core.download.failures import Failure, no_room, portal
from speedtest_tui.core.download.request import Patience, Request
from speedtest_tui.core.download.transfer import retrying, timeouts
from speedtest_tui.core.models.layout import digest_of, is_safe_name
from speedtest_tui.core.models.manifest import ManifestFile
from speedtest_tui.core.models.wanted import accepted, is_weights, wanted

ASKING_ATTEMPTS = 3
"""Before anything has come, somebody waits for the first sign of life: a dead network is told soon."""

COMMIT = re.compile(r"[0-9a-f]{40}")
REST_BYTES, REST_FILES = 8 << 20, 64
"""Up to this a repository's other files are fetched with the model, as its snapshot is then complete: offline,
`snapshot_download` refuses one of whose listed files any is missing, and mlx-whisper asks in that way."""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    files: by name; where `whole` is false, only what could be found out of those that are needed
    """

    commit: str
    files: Mapping[str, ManifestFile]
    whole: bool


def list_repository(request: Request, progress: Progress) -> Listing:
    """Ask the hub. Raises Failure."""
    from huggingface_hub import HfApi, constants, get_session

    source = request.source
    patience = replace(request.patience, attempts=min(ASKING_ATTEMPTS, request.patience.attempts))
    # Without this the client of huggingface_hub would wait for ever for a server that says nothing.
    get_session().timeout = timeouts(patience)
    hub = HfApi(endpoint=constants.ENDPOINT)
    revision = request.revision or None
    limit = patience.stall_s
    info = retrying(lambda: hub.model_info(source, revision=revision, timeout=limit), source, patience, progress)
    commit = info.sha or ""
    if not COMMIT.fullmatch(commit):
        raise portal(source)
    try:
        return Listing(commit, retrying(lambda: _tree(hub, source, commit), source, patience, progress), True)
    except Failure as failure:
        if failure.kind not in ("not-found", "server", "portal", "unexpected"):
            raise
    # A mirror may know files and no listings.
    names = wanted(spec_of(request), [sibling.rfilename for sibling in info.siblings or ()])
    files = {name: _asked(source, name, commit, patience, progress) for name in names}
    return Listing(commit, files, False)


def spec_of(request: Request) -> ModelSpec:
    """What the request was made of."""
    return ModelSpec(request.kind, request.source, request.files, request.revision)


def choose(request: Request, listing: Listing, progress: Progress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names to fetch: those of the model, and those that make the snapshot whole. Raises Failure."""
    spec, names = spec_of(request), set(listing.files)
    model = list(wanted(spec, names))
    for file in spec.files:
        if accepted(file, names):
            continue
        stand_in = _other_layout(file.names, names)
        if stand_in is None:
            what = f"{request.source} has no {' or '.join(file.names)}"
            raise Failure("not-found", what, "choose another size or backend: this repository is not made for it")
        model.append(stand_in)
        progress.note(f"it has {stand_in} instead of {file.names[0]}: `speedtest-tui repair` links it afterwards")
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


def _tree(hub: Any, source: str, commit: str) -> dict[str, ManifestFile]:
    from huggingface_hub.hf_api import RepoFile

    files = {}
    for entry in hub.list_repo_tree(source, revision=commit, recursive=True):
        if isinstance(entry, RepoFile):
            files[entry.path] = _checked(
                entry.path,
                ManifestFile(
                    entry.lfs.size if entry.lfs else entry.size,
                    entry.blob_id,
                    entry.lfs.sha256 if entry.lfs else "",
                    entry.xet_hash or "",
                ),
            )
    return files


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
    if not is_safe_name(name) or digest_of(file.etag) is None or digest_of(file.blob_id) is None:
        what = f"the hub lists a file whose name or hash is none ({name[:60]!r})"
        raise Failure("unsafe", what, "do not use this repository; nothing of it was fetched")
    return file


MARGIN_BYTES = 64 << 20
"""What must be left afterwards: a file system that is full to the brim troubles everything else on it."""


def require(missing: int, place: Path) -> None:
    """Raises Failure where so many bytes do not fit."""
    left = disk.free(place)
    if missing and left is not None and left < missing + MARGIN_BYTES:
        raise no_room(missing + MARGIN_BYTES, left, place)
