"""Verified files enter a cache in huggingface_hub's own layout: blob, link, ref, each in one rename.

While a file enters its lock is held, the one that huggingface_hub takes: whoever comes second finds the file there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from speedtest_tui.core import disk
from speedtest_tui.core.download.failures import Failure
from speedtest_tui.core.download.request import Patience
from speedtest_tui.core.download.transfer import Progress
from speedtest_tui.core.models.layout import first_hop, is_shared_target, partials_of, ref_file
from speedtest_tui.core.models.locks import LOOK_SECONDS, Busy, holding

NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EMLINK)
"""What file systems say that have no links, or not between these two places."""


def adopt_partial(blob: Path) -> Path:
    """The partial file of a blob; what huggingface_hub left of it is taken over if it is more.

    Only to be called while the blob's lock is held: huggingface_hub holds it, too, for as long as it writes, so that
    what lies there now is nobody's. Raises OSError.
    """
    ours, *others = partials_of(blob)
    theirs = max(others, key=solid_bytes, default=None)
    if theirs is not None and solid_bytes(theirs) > solid_bytes(ours):
        os.truncate(theirs, solid_bytes(theirs))
        theirs.replace(ours)
    return ours


def partial_bytes(blob: Path) -> int:
    """How much of a blob is there to be resumed."""
    return max(map(solid_bytes, partials_of(blob)))


def solid_bytes(path: Path) -> int:
    """Bytes from the start of a file to its first hole: a parallel download may have written the end first."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            size = os.fstat(descriptor).st_size
            with contextlib.suppress(OSError):
                return min(size, os.lseek(descriptor, 0, os.SEEK_HOLE)) if size else 0
            return size
        finally:
            os.close(descriptor)
    return 0


def place(partial: Path, blob: Path, trash: Path | None) -> None:
    """Let a verified partial file become the blob; what stood there goes into the trash, if there is one."""
    discard(blob, trash)
    partial.replace(blob)
    disk.sync_folder(blob.parent)


def place_shared(partial: Path, payload: Path, trash: Path | None) -> None:
    """Replace a payload of the shared store by a verified file, without a moment in which it is not there.

    Other repositories have links to the payload, and a file that is to be linked again is accepted by its size alone:
    a damaged payload would come back. Both names share the bytes where the file system can.
    """
    discard(payload, trash)
    _replace(payload, lambda new: _same_file(partial, new))
    # huggingface_hub keeps payloads read-only, so that nobody who edits a snapshot edits them all.
    with contextlib.suppress(OSError):
        payload.chmod(partial.stat().st_mode & 0o444)
    disk.sync_folder(payload.parent)


def borrow_shared(payload: Path, blob: Path) -> None:
    """Make a verified payload of the shared store this repository's blob, without copying where that is possible.

    A second name, not a symlink: huggingface_hub removes a payload that its own links alone have used.
    """
    _replace(blob, lambda new: _same_file(payload, new))


def link(blob: Path, pointer: Path, trash: Path | None) -> None:
    """Let a snapshot's file lead to its blob by a relative link; where there can be none, by being the file itself."""
    if leads_to(pointer, blob):
        return
    pointer.parent.mkdir(parents=True, exist_ok=True)
    discard(pointer, trash)
    try:
        if os.environ.get("HF_HUB_DISABLE_SYMLINKS", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise OSError(errno.ENOTSUP, "links are switched off")
        _replace(pointer, lambda new: new.symlink_to(os.path.relpath(blob, pointer.parent)))
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # As huggingface_hub does: the one copy is where it is looked for.
        if blob.is_symlink():
            _replace(pointer, lambda new: shutil.copyfile(blob, new))
        else:
            blob.replace(pointer)
    disk.sync_folder(pointer.parent)


def leads_to(pointer: Path, blob: Path) -> bool:
    """Whether a snapshot's file is a link to this blob."""
    try:
        return pointer.is_symlink() and first_hop(pointer) == Path(os.path.normpath(blob.absolute()))
    except OSError:
        return False


def shared_payload(blob: Path, cache: Path) -> Path | None:
    """The payload in the shared store to which a blob is a link, or None."""
    try:
        target = first_hop(blob)
    except OSError:
        return None
    return target if is_shared_target(target, cache.absolute()) else None


def write_ref(repository: Path, revision: str, commit: str) -> None:
    """Say which commit a branch is. The last thing to be written: until then the old model is the model."""
    ref = ref_file(repository, revision)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if disk.read_plain(ref, 100)[0].decode() == commit:
            return
    ref.parent.mkdir(parents=True, exist_ok=True)
    disk.write_text(ref, commit)
    ref.chmod(0o644)


def discard(path: Path, trash: Path | None) -> None:
    """Keep a second name of a file in the trash before it is replaced; links and folders are moved there."""
    if trash is None or not os.path.lexists(path):
        return
    trash.mkdir(parents=True, exist_ok=True)
    kept = trash / f"{uuid.uuid4().hex[:8]}-{path.name}"
    if path.is_symlink():
        kept.symlink_to(path.readlink())
    elif path.is_dir():
        path.rename(kept)
    else:
        _same_file(path, kept)


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    """Make something beside `path` and rename it over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{uuid.uuid4().hex[:8]}.new")
    try:
        make(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _same_file(path: Path, second: Path) -> None:
    try:
        os.link(path, second)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(path, second)
        disk.sync_file(second)


@contextlib.contextmanager
def held(
    lock: Path | None, growing: Callable[[], int], name: str, patience: Patience, progress: Progress
) -> Iterator[None]:
    """Hold a lock, waiting for another holder for as long as what it downloads grows.

    growing: bytes that the other has so far
    Raises Failure where it does not grow for `patience.lock_s`, OSError where there can be no lock.
    """
    seen, since = -1, time.monotonic()

    def wait() -> bool:
        nonlocal seen, since
        if seen < 0:
            progress.state("waiting")
            progress.note(f"another program is downloading {name}: waiting for it")
        time.sleep(LOOK_SECONDS)
        if (now := growing()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since <= patience.lock_s

    try:
        with holding(lock, wait):
            if seen >= 0:
                progress.state("downloading")
            yield
    except Busy as busy:
        what = f"another program downloads {name}, but gets no further"
        raise Failure("locked", what, "end that program, or try again later") from busy
