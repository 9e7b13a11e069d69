"""The embedded models as folders on disk, one per layout, made on first use and checked on every use.

The folder of "<model>/<layout>" is `<cache>/embedded/<model>-<first 12 hex of the compact file's sha256>/<layout>/`. It
comes into being by one rename, with its manifest, so an interrupted process leaves nothing that `find` accepts; a lock
lets one process build while others wait.
"""

from __future__ import annotations

import errno
import hashlib
import json
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.embedded import layouts
from speedtest_tui.core import darwin, disk, removal
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.layout import EMBEDDED, EMBEDDED_LIST
from speedtest_tui.core.process.child import Parent, serve
from speedtest_tui.core.process.lines import Message

LOCK_SECONDS = 300.0
"""How long to wait for another process that unpacks the same layout: 100 times what the slowest layout takes here."""

NOT_A_FOLDER = (errno.ENOTDIR, errno.EEXIST)


class UnpackError(UserError):
    """An embedded model cannot be unpacked; `what` names the folder and the reason."""


def folder_of(layout: str, cache: Path) -> Path:
    """Return where "<model>/<layout>" belongs, whether or not it is there. Raises ValueError for an unknown one."""
    source = layouts.source_sha256(layout)
    model, _, name = layout.partition("/")
    return cache.absolute() / EMBEDDED / f"{model}-{source[:12]}" / name


def find(layout: str, cache: Path) -> Path | None:
    """Return the folder of a layout that is unpacked and whole, else None.

    Reads every byte of it: the files must have the sizes and hashes that the manifest says, and the manifest must be of
    this program's compact file and format. Raises ValueError for an unknown layout.
    """
    folder = folder_of(layout, cache)
    try:
        return folder if is_whole(folder, layout) else None
    except OSError:
        return None


def is_whole(folder: Path, layout: str) -> bool:
    """Whether `folder` holds exactly what its manifest says and what this program would write. Raises OSError."""
    try:
        manifest = json.loads(darwin.content(folder / EMBEDDED_LIST))
    except ValueError:
        return False
    names = layouts.files(layout)
    # A name too many counts as damage: libraries prefer some names to others, and would read what nobody checked.
    there = {path.name for path in folder.iterdir() if not disk.is_left_by_a_system(path.name)}
    present = {name for name in there if not name.startswith(".")}
    if present != {*names, EMBEDDED_LIST}:
        return False
    return bool(manifest == describe(folder, layout, names))


def describe(folder: Path, layout: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the manifest of `folder` as it is now: size in bytes and sha256 of each of `names`. Raises OSError."""
    files = {}
    for name in names:
        data = darwin.content(folder / name)
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {
        "layout": layout.rpartition("/")[2],
        "format": layouts.FORMAT,
        "source_sha256": layouts.source_sha256(layout),
        "files": files,
    }


def materialise(layout: str, cache: Path) -> Path:
    """Return the absolute folder of a layout, unpacked now where it was not, or damaged.

    layout: one of `layouts.LAYOUTS`; "nano/openai" imports torch into this process, unless it is already unpacked
    cache: the local cache; made where missing
    Raises UnpackError, and ValueError for an unknown layout.
    """
    found = find(layout, cache)
    if found is not None:
        return found
    target = folder_of(layout, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return build_alone(layout, cache, target)
    except OSError as error:
        raise explained(error, target.parent) from error
    except ImportError as error:
        raise UnpackError(
            f"the nano model {layout} needs the module {error.name or error}, which is missing",
            "install it; `speedtest-tui doctor` says how",
        ) from error


def build_alone(layout: str, cache: Path, target: Path) -> Path:
    """Build a layout while no other process does; what another process finished meanwhile is taken as it is."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise UnpackError(
            f"{target.parent}: another process has been unpacking the nano model for {LOCK_SECONDS:.0f} s",
            "end that process, then try again",
        ) from None
    try:
        found = find(layout, cache)
        if found is not None:
            return found
        clear(target)
        with disk.new_folder(target) as folder:
            names = layouts.write(layout, folder)
            manifest = describe(folder, layout, names)
            disk.write_text(folder / EMBEDDED_LIST, json.dumps(manifest, indent=2) + "\n")
        return target
    finally:
        lock.release()


def clear(target: Path) -> None:
    """Make room for `target`: move what is there aside in one rename, then remove it and what killed builds left.

    Only under the lock, as every hidden folder of this layout then belongs to no one.
    """
    if target.exists() or target.is_symlink():
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".damaged", dir=target.parent))
        target.rename(aside / target.name)
    removal.sweep(target.parent, target.name, older_s=0)


def explained(error: OSError, folder: Path) -> UnpackError:
    """Say in one line why the system refused to let the model be unpacked below `folder`."""
    elsewhere = "choose another folder with SPEEDTEST_MODELS_DIR"
    if error.errno in NOT_A_FOLDER:
        return UnpackError(f"{folder}: a file stands where a folder belongs", f"remove it, or {elsewhere}")
    advice = disk.advice(error, folder, elsewhere)
    return UnpackError(f"cannot unpack the nano model (up to 14 MB): {advice.what}", advice.todo)


@dataclass(frozen=True)
class Unpacked(Message):
    """What `unpack_apart`'s child answers."""

    path: Path


def unpack_apart(layout: str, cache: Path, cancelled: threading.Event | None = None) -> Path | None:
    """As `materialise`, in a process of its own; None where it was cancelled. Raises UserError.

    "nano/openai" imports torch, which does not belong in the process that draws the screen.
    """
    from speedtest_tui.core.process.parent import ask

    order = {"layout": layout, "cache": str(cache)}
    answer = ask(__name__, order, Unpacked, "unpacking the built-in model", cancelled)
    return answer.path if answer else None


def _work(parent: Parent) -> None:
    parent.send(Unpacked(materialise(parent.order["layout"], Path(parent.order["cache"]))))


if __name__ == "__main__":
    serve(_work)
