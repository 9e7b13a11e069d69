"""The list of a commit's files that huggingface_hub 2.x keeps in `trees/<commit>.json`: sizes and hashes, offline.

The format is huggingface_hub 2.4's own (version 1), in both directions: what is written here is read there.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedtest_tui.core import darwin, disk
from speedtest_tui.core.codec import Damaged, decode, encode, plain, typed
from speedtest_tui.core.format import one_line
from speedtest_tui.core.models.layout import LISTS, digest_of, is_safe_name, is_safe_part, is_sha256
from speedtest_tui.core.models.status import Fault

FORMAT_VERSION = 1
LARGEST = 64_000_000
"""Bytes that are read at most: 5,000 files make 1 MB, and what is larger is no list."""


@dataclass(frozen=True)
class ManifestFile:
    """One file of a commit.

    size: bytes
    blob_id: git's sha1 of the file, or of the pointer that stands for it
    sha256: of the content of a large file, else ""
    xet_hash: its name in the shared store, else ""
    """

    size: int
    blob_id: str
    sha256: str = ""
    xet_hash: str = ""

    @property
    def etag(self) -> str:
        """The name of its blob."""
        return self.sha256 or self.blob_id


Manifest = Mapping[str, ManifestFile]


@dataclass(frozen=True)
class Entry:
    """A file as huggingface_hub writes it."""

    size: int
    blob_id: str
    lfs_sha256: str | None = None
    lfs_size: int | None = None
    xet_hash: str | None = None


@dataclass(frozen=True)
class Document:
    """The list as a whole; `files` are entries by name in the version that is known here."""

    format_version: int
    files: Any


def path_of(repository: Path, commit: str) -> Path:
    """Where the list of a commit lies. Raises ValueError for a commit that is no plain name."""
    if not is_safe_part(commit):
        raise ValueError(f"not the name of a commit: {commit!r}")
    return repository / LISTS / f"{commit}.json"


def read(repository: Path, commit: str) -> Manifest | None:
    """The files of a commit by name; None where there is no list, or none that this program understands."""
    return read_with_faults(repository, commit)[0]


def read_with_faults(repository: Path, commit: str) -> tuple[Manifest | None, tuple[Fault, ...]]:
    """As `read`, with what is wrong with the list. Names that would leave the repository are left out and reported."""
    if not is_safe_part(commit):
        return None, ()
    path = path_of(repository, commit)
    try:
        files = _files_in(path)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        return None, (_unreadable(path, error.strerror or str(error)),)
    except Damaged:
        return None, (_unreadable(path, "it is damaged"),)
    if files is None:
        return None, ()
    if _all_safe(files):
        return files, ()
    manifest: dict[str, ManifestFile] = {}
    faults = []
    for name, file in files.items():
        if is_safe_name(name) and is_safe_part(file.etag):
            manifest[name] = file
            continue
        what = "names a file" if is_safe_name(name) else "names"
        outside = (
            f"{LISTS}/{path.name} {what} “{one_line(name)}” whose place would be outside its folder; it is left out"
        )
        faults.append(Fault("escape", path, outside, name))
    return manifest, tuple(faults)


def _all_safe(files: Manifest) -> bool:
    """Whether none would leave its folder, in one look: names are safe exactly where the path of them all is."""
    etags = "/".join(file.etag for file in files.values())
    return is_safe_name("/".join(files)) and is_safe_name(etags) and etags.count("/") == len(files) - 1


def _files_in(path: Path) -> dict[str, ManifestFile] | None:
    """All entries, unsafe ones included; None for another version of the format. Raises whatever damage raises."""
    information = path.stat()
    # Opening a pipe would wait for ever.
    if not stat.S_ISREG(information.st_mode):
        raise OSError(0, "it is not a file")
    if information.st_size > LARGEST:
        raise OSError(0, "it is too large for a list")
    document = decode(Document, darwin.content(path))
    if document.format_version != FORMAT_VERSION:
        return None
    return {name: _file(entry) for name, entry in typed(dict[str, Entry], document.files).items()}


def _file(entry: Entry) -> ManifestFile:
    size, sha256, xet_hash = entry.lfs_size or entry.size, entry.lfs_sha256 or "", entry.xet_hash or ""
    # huggingface_hub ignores a list with a xet hash that is none: it would become a path in the shared store.
    if size < 0 or (sha256 and not is_sha256(sha256)) or (xet_hash and not is_sha256(xet_hash)):
        raise Damaged("holds an invalid size or hash")
    return ManifestFile(size, entry.blob_id, sha256, xet_hash)


def _unreadable(path: Path, why: str) -> Fault:
    detail = f"{LISTS}/{one_line(path.name)}, the list of a commit's files, cannot be read: {why}"
    return Fault("unreadable", path, detail)


def etags(manifests: Mapping[str, Manifest | None]) -> dict[str, int]:
    """The blobs that some manifests name, with their sizes in bytes."""
    return {file.etag: file.size for files in manifests.values() if files for file in files.values()}


def write(repository: Path, commit: str, files: Manifest) -> None:
    """Keep the list of a commit's files as huggingface_hub 2.4 does. Raises OSError; ValueError for unsafe names."""
    path = path_of(repository, commit)
    for name, file in files.items():
        if not is_safe_name(name) or digest_of(file.etag) is None:
            raise ValueError(f"not a file of a repository: {name!r}")
    entries = {
        name: Entry(one.size, one.blob_id, one.sha256 or None, one.size if one.sha256 else None, one.xet_hash or None)
        for name, one in sorted(files.items())
    }
    # What a file has not is left out, not null.
    given = {
        name: {key: value for key, value in one.items() if value is not None} for name, one in plain(entries).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(path, encode(Document(FORMAT_VERSION, given), indent=1))
