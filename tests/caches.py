"""Good caches made by hand, without a server and without the code that they are to test, and the files of models."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contents import Content, Source, git_sha1, is_large

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.models import configs
from speedtest_tui.core.models.remembered import Hashed, remember_hashes

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "weights.safetensors"
FILES = (RequiredFile(("config.json",)), RequiredFile((WEIGHTS, "weights.npz")))  # nobody says whose settings these are
SPEC = ModelSpec("hub", "org/name", FILES)


def safetensors(
    data: bytes | int = 64, names: Sequence[str] = ("t",), dtype: str = "U8", shape: object = None
) -> bytes:
    """A file whose tensors all have the same bytes.

    data: these, or how many of them
    names, dtype, shape: of the tensors; of one dimension where there is no shape
    """
    data = b"x" * data if isinstance(data, int) else data
    entry = {"dtype": dtype, "shape": shape or [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps(dict.fromkeys(names, entry)).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data


def archive(*names: str) -> bytes:
    """A zip file, as numpy and PyTorch write them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"n" * 200)
    return buffer.getvalue()


CHECKPOINT = archive("x/data.pkl", "x/data/0")
TOKENIZER = b'{"model": {"type": "BPE"}, "added_tokens": []}'
"""What a tokenizer.json has at least."""
MLX_CONFIG = json.dumps(dict.fromkeys(configs.MLX_WHISPER, 4) | {"model_type": "whisper"}).encode()
HF_CONFIG = json.dumps(configs.TRANSFORMERS | {"model_type": "whisper"}).encode()


def _parakeet() -> dict[str, Any]:
    found: dict[str, Any] = {"target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel"}
    for section, names in configs.PARAKEET_SECTIONS.items():
        part = found
        for step in section.split("."):
            part = part.setdefault(step, {})
        part |= {name: "x" if name in configs.WORDS else [] if name in configs.LISTS else 4 for name in names.split()}
    return found


PARAKEET_CONFIG = json.dumps(_parakeet()).encode()
CANARY_CONFIG = json.dumps(
    {
        "target": "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel", "prompt_format": "canary2",
        "encoder": dict.fromkeys(("feat_in", "n_layers", "d_model", "n_heads"), 4), "head": {"num_classes": 4},
        "transf_decoder": {
            "config_dict": {"pre_ln": True}
            | dict.fromkeys(("num_layers", "hidden_size", "inner_size", "num_attention_heads"), 4)
        },
        "tokenizer": {"model_path": "tokenizer.model"},
    }
).encode()  # fmt: skip
"""What each library takes for the settings of a small model."""
GOOD = {"config.json": b"{}", WEIGHTS: safetensors()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def etag(name: str, data: bytes) -> str:
    """The name of a file's blob."""
    return sha256(data) if is_large(name) else git_sha1(data)


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
        """What is locked while the blob is downloaded."""
        return self.root / ".locks" / self.folder.name / f"{self.contents[name].etag}.lock"


def hub_cache(
    root: Path,
    repository: str,
    files: Mapping[str, Source],
    *,
    lfs: Collection[str] | None = None,
    manifest: bool = True,
    ref: bool = True,
    commit: str = COMMIT,
    only: Collection[str] | None = None,
) -> HubCache:
    """Make what huggingface_hub 2.4 would have left below `root`; of layout 1.x with `manifest=False`.

    lfs: which are large files, known by sha256; by their names where None
    only: names that are really there, as after an interrupted download; the manifest has all
    """
    contents = {name: Content(source, is_large(name) if lfs is None else name in lfs) for name, source in files.items()}
    made = HubCache(root, repository, commit, contents)
    made.snapshot.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if only is None or name in only:
            write(made.blob(name), content.source)
            link(made.file(name), made.blob(name))
    if ref:
        write(made.ref, commit.encode())
    if manifest:
        write_manifest(made)
    return made


def put(
    cache: Path,
    files: Mapping[str, bytes] | None = None,
    *,
    repository: str = SPEC.source,
    commit: str = COMMIT,
    ref: bool = True,
    manifest: bool = False,
    leave_out: tuple[str, ...] = (),
) -> Path:
    """Lay out a small repository. Returns the snapshot.

    files: without them what SPEC needs; in any other repository what mlx-whisper does
    leave_out: names that are in the manifest only
    """
    if files is None:
        files = GOOD if repository == SPEC.source else GOOD | {"config.json": MLX_CONFIG}
    there = files.keys() - set(leave_out)
    return hub_cache(cache, repository, files, manifest=manifest, ref=ref, commit=commit, only=there).snapshot


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


def shared(snapshot: Path) -> Path:
    """The same for the weights of what `put` laid out with GOOD files."""
    contents = {name: Content(data, is_large(name)) for name, data in GOOD.items()}
    repository = snapshot.parents[1].name.removeprefix("models--").replace("--", "/")
    return shared_store(HubCache(snapshot.parents[2], repository, snapshot.name, contents), WEIGHTS)


def plain_folder(folder: Path, files: Mapping[str, Source]) -> Path:
    """A folder of files, as `snapshot_download(local_dir=...)` or a copy by hand leaves it."""
    for name, source in files.items():
        write(folder / name, source)
    return folder


def write(path: Path, source: Source = b"x") -> Path:
    """A file and the folders above it. Returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    return path


def link(path: Path, target: Path) -> None:
    """A relative link and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


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
