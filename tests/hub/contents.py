"""What the local hub has to offer: files with their hashes, and repositories of commits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Source = bytes | Path
"""A file's bytes, or where they lie; what lies on disk is never held in memory."""

LARGE = (".safetensors", ".npz", ".bin", ".pt", ".msgpack", ".h5")
BLOCK = 4 << 20
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"


def is_large(name: str) -> bool:
    """Whether the real hub keeps files of this name as large files, whatever their size."""
    return name.endswith(LARGE)


def git_sha1(data: bytes) -> str:
    """The name that git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that git keeps in place of a large file."""
    return POINTER.format(sha256=sha256, size=size).encode()


@dataclass(frozen=True)
class Content:
    """One file. `lfs` decides by which hash it is known and over which route its bytes go."""

    source: Source
    lfs: bool = False

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return self._digest(b"", "sha256")

    @cached_property
    def blob_id(self) -> str:
        """What git knows: the file's own name, or that of the pointer to a large file."""
        if self.lfs:
            return git_sha1(lfs_pointer(self.sha256, self.size))
        return self._digest(b"blob %d\0" % self.size, "sha1")

    @property
    def etag(self) -> str:
        """What huggingface_hub names the blob after."""
        return self.sha256 if self.lfs else self.blob_id

    def _digest(self, prefix: bytes, algorithm: str) -> str:
        digest = hashlib.new(algorithm, prefix)
        if isinstance(self.source, bytes):
            digest.update(self.source)
            return digest.hexdigest()
        with self.source.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()


Files = Mapping[str, Content]


@dataclass
class Repository:
    """A model repository: all its commits, and the names that lead to them."""

    id: str
    gated: bool = False
    private: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, Source], lfs: Collection[str], commit: str | None = None) -> str:
        """Add a commit and let `main` lead to it. Returns its 40 hex digits."""
        contents = {name: Content(source, name in lfs) for name, source in files.items()}
        if commit is None:
            words = (self.id, str(len(self.commits)), *(f"{name} {file.etag}" for name, file in contents.items()))
            commit = hashlib.sha1("\n".join(words).encode()).hexdigest()
        self.commits[commit] = contents
        self.refs["main"] = commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag, commit or the start of one (7 digits or more) means."""
        if revision in self.refs:
            return self.refs[revision]
        if revision in self.commits:
            return revision
        starts = [commit for commit in self.commits if len(revision) >= 7 and commit.startswith(revision)]
        return starts[0] if len(starts) == 1 else None
