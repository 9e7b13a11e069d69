"""Ways in which a cache on disk goes bad, by name. Those that take a path damage the payload behind all its links."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from caches import HubCache, link, write
from contents import lfs_pointer

NOWHERE = "dead" * 10
OUTSIDE = "../../../../outside/secret"


def truncate(path: Path, keep: int | None = None) -> None:
    """Keep so many bytes of a file, or half of it."""
    path = writable(path)
    os.truncate(path, path.stat().st_size // 2 if keep is None else keep)


def extend(path: Path, data: bytes = b"\0" * 64) -> None:
    """Let something follow a file's end."""
    with writable(path).open("ab") as stream:
        stream.write(data)


def flip_byte(path: Path, at: int | None = None, keep_mtime: bool = True) -> None:
    """Invert a byte, the last where `at` is None: same size and, unless told otherwise, same time of change."""
    path = writable(path)
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(before.st_size - 1 if at is None else at)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 0xFF]))
    if keep_mtime:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def pointer(path: Path, size: int = 1_600_000_000) -> None:
    """Put the text there that git keeps in place of a large file."""
    writable(path).write_bytes(lfs_pointer("ab" * 32, size))


def empty(path: Path) -> None:
    """Keep nothing of a file but its name."""
    truncate(path, 0)


def garbage(path: Path) -> None:
    """Overwrite a file's first bytes, so that its own header can no longer be read."""
    with writable(path).open("r+b") as stream:
        stream.write(b"\xff" * 16)


def folder_for_file(path: Path) -> None:
    """Put a folder where a file belongs."""
    path.unlink()
    path.mkdir()


def unreadable(path: Path) -> bool:
    """Take away the right to read a file or folder. Returns whether that keeps this process out: root it does not."""
    path.chmod(0)
    return not os.access(path, os.R_OK)


def break_link(path: Path) -> Path:
    """Remove what a snapshot's link leads to. Returns what was removed."""
    target = Path(os.path.normpath(path.parent / path.readlink()))
    target.unlink()
    return target


def remove_file(made: HubCache, name: str) -> None:
    """Remove a file from the snapshot, and its blob."""
    made.file(name).unlink()
    made.blob(name).unlink()


def unlink_from_snapshot(made: HubCache, name: str) -> None:
    """Remove a file from the snapshot only: its blob is whole and waits to be linked again."""
    made.file(name).unlink()


def remove_ref(made: HubCache) -> None:
    """No branch leads to the snapshot any more."""
    made.ref.unlink()


def half_write_ref(made: HubCache) -> None:
    """A ref of which 12 of 40 digits reached the disk."""
    made.ref.write_text(made.commit[:12])


def point_ref_nowhere(made: HubCache) -> None:
    """A ref to a commit that is not there."""
    made.ref.write_text(NOWHERE)


def escape_ref(made: HubCache) -> None:
    """A ref that names a folder outside the snapshots."""
    made.ref.write_text("../../..")


def remove_manifest(made: HubCache) -> None:
    """What huggingface_hub 1.x left: no list of what should be there."""
    made.manifest.unlink()


def corrupt_manifest(made: HubCache) -> None:
    """A list of which half was written."""
    truncate(made.manifest)


def escape_manifest(made: HubCache, name: str = OUTSIDE) -> None:
    """A list with one more file, whose name leads outside the cache."""
    tree = json.loads(made.manifest.read_text())
    tree["files"][name] = {"size": 1, "blob_id": "0" * 40}
    made.manifest.write_text(json.dumps(tree, indent=1))


def escape_link(path: Path, target: Path) -> None:
    """Let a snapshot's file be a link to something outside the cache."""
    path.unlink()
    link(path, target)


def hub_partial(made: HubCache, name: str, count: int, suffix: str = ".0badc0de") -> Path:
    """What huggingface_hub 2.x leaves when it is killed: the first `count` bytes of a file, under its own name.

    suffix: "" for the name that huggingface_hub 1.x and we use
    """
    content = made.contents[name]
    data = content.source if isinstance(content.source, bytes) else content.source.read_bytes()
    path = made.blob(name).with_name(f"{content.etag}{suffix}.incomplete")
    write(path, data[:count])
    return path


def orphan_partial(made: HubCache, count: int = 1000) -> Path:
    """A partial download of a file that no snapshot and no list knows."""
    path = made.folder / "blobs" / f"{'0f' * 32}.0badc0de.incomplete"
    write(path, bytes(count))
    return path


def superfluous_partial(made: HubCache, name: str) -> Path:
    """A partial download of a file that is whole: what a killed download leaves beside the one that followed."""
    return hub_partial(made, name, made.contents[name].size // 2)


def stale_lock(made: HubCache, name: str) -> Path:
    """A lock that nobody holds, of a blob that is there."""
    write(made.lock(name), b"")
    return made.lock(name)


def no_exist(made: HubCache, name: str) -> Path:
    """The note that a file does not exist at the hub: no fault."""
    path = made.folder / ".no_exist" / made.commit / name
    write(path, b"")
    return path


def foreign_file(root: Path, name: str = "notes.txt") -> Path:
    """A file in a cache that does not belong there."""
    write(root / name, b"not a model\n")
    return root / name


def wrong_layout(folder: Path, weights: str = "weights.safetensors") -> Path:
    """Rename weights to what transformers calls them; mlx-whisper does not look there. Returns the new path."""
    return (folder / weights).rename(folder / "model.safetensors")


def hollow(root: Path, repository: str) -> Path:
    """A repository of folders only, which other tools take for a model: 4 KB as `du` counts. Returns its folder."""
    folder = root / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots").mkdir(parents=True)
    return folder


def remove_payload(made: HubCache, name: str) -> None:
    """Remove a payload from the shared store: the snapshot's link and the blob are there, and lead nowhere."""
    made.blob(name).resolve().unlink()


def remove_marker(made: HubCache) -> None:
    """Take away the file that says that `<root>/blobs` is the shared store."""
    (made.root / "blobs" / ".huggingface-shared-blobs").unlink()


def remove_repository(made: HubCache) -> None:
    """Remove a repository; its locks stay."""
    shutil.rmtree(made.folder)


def writable(path: Path) -> Path:
    """The payload behind all links, which may be written to now: the shared store's are read-only."""
    payload = path.resolve(strict=True)
    payload.chmod(payload.stat().st_mode | 0o200)
    return payload
