"""Good caches made by hand, without a server and without the code that they are to test."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from contents import Content, Source, is_large

COMMIT = "c0ffee" + "0" * 34


@dataclass(frozen=True)
class HubCache:
    """One repository in a cache's hub layout, with one snapshot."""

    root: Path
    repository: str
    commit: str
    contents: Mapping[str, Content]

    @property
    def folder(self) -> Path:
        """`<root>/models--org--name`."""
        return self.root / f"models--{self.repository.replace('/', '--')}"

    @property
    def snapshot(self) -> Path:
        """The folder that a backend loads."""
        return self.folder / "snapshots" / self.commit

    @property
    def ref(self) -> Path:
        """The file that says which commit `main` is."""
        return self.folder / "refs" / "main"

    @property
    def manifest(self) -> Path:
        """huggingface_hub 2's own list of the snapshot's files."""
        return self.folder / "trees" / f"{self.commit}.json"

    def file(self, name: str) -> Path:
        """A file's link in the snapshot."""
        return self.snapshot / name

    def blob(self, name: str) -> Path:
        """Where that link leads."""
        return self.folder / "blobs" / self.contents[name].etag

    def lock(self, name: str) -> Path:
        """What is locked while the blob is fetched."""
        return self.root / ".locks" / self.folder.name / f"{self.contents[name].etag}.lock"


def hub_cache(
    root: Path,
    repository: str,
    files: Mapping[str, Source],
    *,
    lfs: Collection[str] | None = None,
    manifest: bool = True,
    commit: str = COMMIT,
    only: Collection[str] | None = None,
) -> HubCache:
    """Make what huggingface_hub 2.4 would have left below `root`; of layout 1.x with `manifest=False`.

    lfs: which are large files, known by sha256; by their names where None
    only: names that are really there, as after an interrupted download; the manifest has all
    """
    contents = {name: Content(source, is_large(name) if lfs is None else name in lfs) for name, source in files.items()}
    made = HubCache(root, repository, commit, contents)
    for name, content in contents.items():
        if only is None or name in only:
            write(made.blob(name), content.source)
            link(made.file(name), made.blob(name))
    write(made.ref, commit.encode())
    if manifest:
        write_manifest(made)
    return made


def write_manifest(made: HubCache, xet: Mapping[str, str] | None = None) -> None:
    """Write `trees/<commit>.json`, format 1, as huggingface_hub 2.4 `_tree_cache.py` does."""
    files: dict[str, dict[str, object]] = {}
    for name, content in sorted(made.contents.items()):
        files[name] = {"size": content.size, "blob_id": content.blob_id}
        if content.lfs:
            files[name] |= {"lfs_sha256": content.sha256, "lfs_size": content.size}
        if xet and name in xet:
            files[name]["xet_hash"] = xet[name]
    write(made.manifest, json.dumps({"format_version": 1, "files": files}, indent=1).encode())


def shared_store(made: HubCache, name: str) -> Path:
    """Move a file's payload into the store that all repositories share, as Xet downloads do. Returns the payload.

    The same bytes of another repository are linked to the payload that is there. Marker, list of references and
    read-only mode are as `utils/_shared_blobs.py` of huggingface_hub 2.4 makes them.
    """
    blob = made.blob(name)
    xet = hashlib.sha256(b"xet" + made.contents[name].sha256.encode()).hexdigest()
    payload = made.root / "blobs" / xet[:2] / xet
    write(made.root / "blobs" / ".huggingface-shared-blobs", b"1\n")
    payload.parent.mkdir(exist_ok=True)
    if payload.exists():
        blob.unlink()
    else:
        blob.rename(payload)
        payload.chmod(0o444)
    with payload.with_name(f"{xet}.refs").open("a", encoding="utf-8") as references:
        references.write(f"{made.folder.name}/blobs/{blob.name}\n")
    link(blob, payload)
    write_manifest(made, {name: xet})
    return payload


def plain_folder(folder: Path, files: Mapping[str, Source]) -> Path:
    """A folder of files, as `snapshot_download(local_dir=...)` or a copy by hand leaves it."""
    for name, source in files.items():
        write(folder / name, source)
    return folder


def checkpoint(path: Path, source: Source) -> Path:
    """One .pt file."""
    write(path, source)
    return path


def write(path: Path, source: Source) -> None:
    """A file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)


def link(path: Path, target: Path) -> None:
    """A relative link and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))
