"""Caches made by hand, file by file, with contents that pass for weights: what `core.models` is to look at."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.models.remembered import Hashed, remember_hashes

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "weights.safetensors"
FILES = (RequiredFile(("config.json",)), RequiredFile(("weights.safetensors", "weights.npz")))
SPEC = ModelSpec("hub", "org/name", FILES)


def safetensors(size: int = 64, fill: bytes = b"x") -> bytes:
    """A file with one tensor of `size` bytes."""
    header = json.dumps({"t": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + fill * size


def archive(*names: str) -> bytes:
    """A zip file, as numpy and PyTorch write them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"n" * 200)
    return buffer.getvalue()


CHECKPOINT = archive("x/data.pkl", "x/data/0")
GOOD = {"config.json": b"{}", "weights.safetensors": safetensors()}


def is_large(name: str) -> bool:
    return not name.endswith((".json", ".txt", ".md"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def etag(name: str, data: bytes) -> str:
    """The name of a file's blob."""
    return sha256(data) if is_large(name) else git_sha1(data)


def put(
    cache: Path,
    files: Mapping[str, bytes] = GOOD,
    *,
    repository: str = "org/name",
    commit: str = COMMIT,
    ref: bool = True,
    manifest: bool = False,
    leave_out: tuple[str, ...] = (),
) -> Path:
    """Lay out a repository as huggingface_hub does. Returns the snapshot.

    leave_out: names that are in the manifest only
    """
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, data in files.items():
        if name not in leave_out:
            blob = folder / "blobs" / etag(name, data)
            blob.parent.mkdir(exist_ok=True)
            blob.write_bytes(data)
            link = snapshot / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
    if manifest:
        entries = {name: _entry(name, data) for name, data in files.items()}
        (folder / "trees").mkdir(exist_ok=True)
        (folder / "trees" / f"{commit}.json").write_text(json.dumps({"format_version": 1, "files": entries}))
    if ref:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(commit)
    return snapshot


def _entry(name: str, data: bytes) -> dict[str, object]:
    if not is_large(name):
        return {"size": len(data), "blob_id": git_sha1(data)}
    return {"size": len(data), "blob_id": "0" * 40, "lfs_sha256": sha256(data), "lfs_size": len(data)}


def payload(link: Path) -> Path:
    """What a link leads to; made writable."""
    real = link.resolve()
    if real.exists():
        real.chmod(0o644)
    return real


def flip(path: Path) -> None:
    """Change the last byte behind a link: same size, and its structure stays sound."""
    data = bytearray(payload(path).read_bytes())
    data[-1] ^= 0xFF
    payload(path).write_bytes(bytes(data))


def found_corrupt(path: Path) -> None:
    """Let hashing have found that a file, or what a link leads to, is not what it should be."""
    status = path.stat()
    remember_hashes([(path, Hashed(status.st_size, status.st_mtime_ns, "0" * 64, ok=False))])
