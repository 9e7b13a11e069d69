"""Names of the Hugging Face cache layout, as huggingface_hub 2.4 makes and reads them, without importing it.

<cache>/models--org--name/refs/main                  commit of a branch
<cache>/models--org--name/snapshots/<commit>/<name>  link to ../../blobs/<etag>
<cache>/models--org--name/blobs/<etag>               sha256 of a large file, else git's sha1; or a link to
<cache>/blobs/<xx>/<xet hash>                        the store that all repositories share, where it has its marker
<cache>/models--org--name/trees/<commit>.json        what the commit holds: core.models.manifest
<cache>/.locks/models--org--name/<etag>.lock         held while a blob is fetched
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from speedtest_tui.core import darwin

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space", "kernels": "kernel"}
"""First part of a repository's folder name, and the kind that it means."""

BLOBS, SNAPSHOTS, REFS, LISTS = "blobs", "snapshots", "refs", "trees"
"""The parts of a repository."""

LOCKS = ".locks"
SHARED_STORE = "blobs"
SHARED_MARKER = ".huggingface-shared-blobs"
SHARED_MARKER_TEXT = "1\n"
COMMIT_LENGTH = 40

EMBEDDED, EMBEDDED_LIST = "embedded", "manifest.json"
"""Our own models, unpacked, and what each consists of: `<local>/embedded/<model>-<hash>/<layout>/manifest.json`."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|(?:^|/)\.{0,2}(?:/|\Z)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}")
_PARTIAL = re.compile(r"(.+?)(?:\.[0-9a-f]{8})?\.incomplete")


def repository_folder(cache: Path, repository: str, kind: str = "model") -> Path:
    """`models--org--name`, as huggingface_hub names it."""
    return cache / f"{kind}s--{repository.replace('/', '--')}"


def blob_file(repository: Path, etag: str) -> Path:
    """Where a payload lies, or what links to it in the shared store."""
    return repository / BLOBS / etag


def snapshot_folder(repository: Path, commit: str) -> Path:
    """Where the links to a commit's payloads lie."""
    return repository / SNAPSHOTS / commit


def ref_file(repository: Path, name: str) -> Path:
    """What says which commit a branch is."""
    return repository / REFS / name


def partial_of(file: Path) -> Path:
    """What becomes a blob or checkpoint while it is downloaded."""
    return file.with_name(f"{file.name}.incomplete")


def partials_of(blob: Path) -> tuple[Path, ...]:
    """What there may be of a blob that is no whole one: ours first, then what huggingface_hub 2 has left."""
    return partial_of(blob), *blob.parent.glob(f"{blob.name}.????????.incomplete")


def payload_of(path: Path, cache: Path) -> Path:
    """The file that holds a snapshot's file: its blob, or what the blob leads to in the shared store."""
    if not path.is_symlink():
        return path
    blob = first_hop(path)
    if blob.is_symlink() and is_shared_target(store := first_hop(blob), cache):
        return store
    return blob if is_within(blob, cache) else path


def commit_of(path: Path, repository: Path) -> str:
    """The commit in whose snapshot a path lies; "" for other paths."""
    parts = path.relative_to(repository).parts if is_within(path, repository) else ()
    return parts[1] if len(parts) > 2 and parts[0] == SNAPSHOTS else ""


def repository_id(folder_name: str) -> tuple[str, str] | None:
    """("model", "org/name") of `models--org--name`; None where a name is not a repository's."""
    prefix, dashes, rest = folder_name.partition("--")
    repository = rest.replace("--", "/")
    if not dashes or prefix not in KINDS or not is_safe_name(repository):
        return None
    return KINDS[prefix], repository


def is_safe_name(name: str) -> bool:
    """Whether a name from a manifest, ref or archive stays below the folder that it is joined to.

    Relative, without empty parts, "." or "..", and without what a terminal or another system reads as something else:
    backslashes, control characters, lone surrogates.
    """
    return _UNSAFE.search(name) is None


def is_safe_part(name: str) -> bool:
    """Whether a name is safe and names something directly inside a folder."""
    return "/" not in name and is_safe_name(name)


def digest_of(blob_name: str) -> tuple[Literal["sha256", "git-sha1"], str] | None:
    """What a blob's name promises of its content; None where it is not a hash."""
    if _SHA256.fullmatch(blob_name):
        return "sha256", blob_name
    return ("git-sha1", blob_name) if _GIT_SHA1.fullmatch(blob_name) else None


def is_sha256(text: str) -> bool:
    """Whether a text is a sha256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Whether a text is a commit's name."""
    return _GIT_SHA1.fullmatch(text) is not None


def is_begun_commit(text: str) -> bool:
    """Whether a text is the beginning of a commit's name."""
    return len(text) < COMMIT_LENGTH and is_commit(text.ljust(COMMIT_LENGTH, "0"))


def etag_of_partial(file_name: str) -> str | None:
    """The blob that `<etag>.incomplete` (ours and huggingface_hub 1's) or `<etag>.<8 hex>.incomplete` (2's) becomes."""
    if not file_name.endswith(".incomplete"):
        return None
    found = _PARTIAL.fullmatch(file_name)
    return found[1] if found else None


def first_hop(link: Path) -> Path:
    """Where a link points, absolute and normalised, but without following what is there. Raises OSError.

    The hash in a blob's name is lost one hop further on: the blob may itself be a link into the shared store.
    """
    return Path(os.path.normpath(link.parent.absolute() / link.readlink()))


def is_within(path: Path, root: Path) -> bool:
    """Whether a path names something below a folder, going by names alone."""
    inside, outside = os.path.normpath(path), os.path.normpath(root)
    return inside.startswith(outside.rstrip("/") + "/")


def shared_blob(cache: Path, xet_hash: str) -> Path:
    """Where the shared store keeps a payload. Raises ValueError for what is no hash: it would become a path."""
    if not is_sha256(xet_hash):
        raise ValueError(f"not a xet hash: {xet_hash!r}")
    return cache / SHARED_STORE / xet_hash[:2] / xet_hash


def has_shared_store(cache: Path) -> bool:
    """Whether `<cache>/blobs` is huggingface_hub's store: a folder of that name may be somebody else's."""
    store = cache / SHARED_STORE
    marker = store / SHARED_MARKER
    try:
        if store.is_symlink() or marker.is_symlink() or not marker.is_file():
            return False
        with darwin.opened(marker) as opened:
            return opened.read(len(SHARED_MARKER_TEXT) + 1) == SHARED_MARKER_TEXT.encode()
    except OSError:
        return False


def is_shared_name(path: Path, cache: Path) -> bool:
    """Whether a path has the form of a payload in a cache's shared store, going by names alone."""
    name = path.name
    return is_sha256(name) and Path(os.path.normpath(path)) == shared_blob(cache, name)


def is_shared_target(path: Path, cache: Path) -> bool:
    """Whether a path is a payload's in a store that huggingface_hub owns."""
    return is_shared_name(path, cache) and has_shared_store(cache)
