"""Files that must never be seen half-written, the room that is left for them, and what a disk's refusals mean."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Literal

from backends.base import Advice
from speedtest_tui.core import removal
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import data_folder, existing_parent

LOCK_SECONDS = 10.0
"""How long to wait for another process that writes a file, which takes it milliseconds."""


LEFT_BY_SYSTEMS = frozenset((
    # macOS and what shares files with it
    ".ds_store", ".spotlight-v100", ".trashes", ".trash", ".fseventsd", ".temporaryitems", "temporary items", ".vol",
    ".documentrevisions-v100", ".localized", "icon\r", "icon\uf00d", ".volumeicon.icns", ".apdisk", ".appledouble",
    ".appledb", ".appledesktop", ".lsoverride", ".metadata_never_index", ".metadata_never_index_unless_rootfs",
    ".mobilebackups", "network trash folder", "__macosx", ".hotfiles.btree", ".hfs+ private directory data\r",
    # Windows
    "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler",
    "recycled", "system volume information", "pagefile.sys", "swapfile.sys", "hiberfil.sys", "wpsettings.dat",
    # Linux, its desktops and file systems
    "lost+found", ".directory", ".hidden", ".xdg-volume-info", ".autorelabel", ".zfs", ".snapshot", ".snapshots",
    ".glusterfs", "aquota.user", "aquota.group",
    # Network storage and what keeps folders alike
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "@sharebin", "#recycle", "#snapshot", ".@__thumb",
    ".@upload_cache", ".synologyworkingdirectory", ".stfolder", ".stversions", ".stignore", ".sync", ".debris",
    ".megaignore", ".owncloudsync.log", ".nextcloudsync.log", ".849c9593-d756-4e56-8d6e-42412f2a707b",
))  # fmt: skip
"""What systems leave in folders without being asked, in lower case."""

SYSTEMS_BEGIN = (
    "._", ".com.apple.", ".pkinstallsandboxmanager", ".trash-", ".nfs0", ".fuse_hidden", ".goutputstream-", ".__afs",
    ".smbdelete", ".~lock.", "~$", "found.00", ".dropbox", ".syncthing.", "~syncthing~", ".stfolder", ".sync_",
    ".csync_journal.db", ".tmp.drivedownload", ".tmp.driveupload",
)  # fmt: skip
SYSTEMS_END = ("@synoeastream", "@synoresource", ".icloud")
"""How the names of others of this kind begin and end: macOS's `._name` beside each file on foreign disks, first."""


FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def is_left_by_a_system(name: str) -> bool:
    """Whether a file or folder of this name is a system's own business: it is overlooked wherever folders are read."""
    name = name.lower()
    return name in LEFT_BY_SYSTEMS or name.startswith(SYSTEMS_BEGIN) or name.endswith(SYSTEMS_END)


def free(place: Path) -> int | None:
    """Bytes left where a file or folder is, or would be; None where the system does not say."""
    import shutil

    try:
        return shutil.disk_usage(existing_parent(place)).free
    except OSError:
        return None


def refusal(error: OSError) -> Literal["full", "forbidden", "other"]:
    """What kind of trouble a file system has with what it was asked for."""
    return "full" if error.errno in FULL else "forbidden" if error.errno in FORBIDDEN else "other"


def advice(error: OSError, place: object, otherwise: str = "") -> Advice:
    """What a file system refused, and what to do.

    place: what it is about, where the error itself names no path
    otherwise: what else would help, after "or"
    """
    where = error.filename or place
    other = f", or {otherwise}" if otherwise else ""
    misplaced = error.errno in (errno.EEXIST, errno.ENOTDIR)
    if isinstance(where, str | Path) and (found := obstacle(Path(where), folder=misplaced)):
        return Advice(found.what, f"{found.todo}{other}")
    match refusal(error):
        case "full":
            return Advice(f"{where}: the disk is full", f"free some space and try again{other}")
        case "forbidden":
            return Advice(f"{where} is not writable ({error.strerror})", f"change its permissions{other}")
        case _:
            return Advice(f"{where}: {error.strerror or error}", f"check the disk and the path{other}")


def obstacle(path: Path, *, folder: bool = True) -> Advice | None:
    """The first part of a path that stands in the way to it; None where nothing does, or nothing is there yet.

    folder: whether it should be a folder itself
    """
    for part in (*reversed(path.parents), path):
        try:
            part.lstat()
            mode = part.stat().st_mode
        except FileNotFoundError:
            if not part.is_symlink():
                return None
            return Advice(
                f"{part} is a link to {part.readlink()}, which does not exist", "make that, or remove the link"
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL
            reason = getattr(error, "strerror", None) or str(error)
            return Advice(f"{part.parent / part.name[:40]}: {reason[:1].lower()}{reason[1:]}", "name another place")
        if part == path and not folder:
            return None
        if not stat.S_ISDIR(mode):
            return Advice(f"{part} is a file where a folder belongs", "move it away, or name another place")
        if not os.access(part, os.X_OK if part != path else os.R_OK | os.X_OK):
            return Advice(f"{part} may not be opened (Permission denied)", "change its permissions")
    return None


def check(folder: Path) -> None:
    """Raise UserError where a folder of ours could be there and nobody can say: no sessions is another thing."""
    if found := obstacle(folder):
        raise UserError(found.what, found.todo)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes from writing a file meanwhile, so that what they add is not lost. Raises OSError."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise OSError(f"another process has held its lock for {LOCK_SECONDS:.0f} s") from None


def sync(descriptor: int) -> None:
    """Flush an open file or folder, and what is flushed before others can see it: to where a power cut cannot reach.

    os.fsync alone hands it to the drive, on macOS (fsync(2) there) without asking the drive to let go of its own cache:
    F_FULLFSYNC does that for all that came before, so once before something is published is enough. File systems
    that do not know it (network ones) get the plain flush.
    """
    wholly: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    try:
        if wholly is not None:
            fcntl.fcntl(descriptor, wholly)
            return
    except OSError:
        pass
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush a file's content to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


Stamp = tuple[int, int, int, int]
"""What tells a file from what stands in its place later: inode, bytes, and both times in nanoseconds."""


def stamp(status: os.stat_result) -> Stamp:
    """Of a file as it is."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


UNFIT = (errno.EINVAL, errno.EFBIG, errno.ENXIO, errno.EISDIR)
"""What reading a plain file says where none is there, or one that is too large; ENXIO is said of sockets."""


def opened_plain(path: Path, how: int = 0) -> BufferedReader:
    """A plain file to read from; what else has its name is refused without waiting for it, as for a pipe. OSError.

    how: further flags of os.open
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | how)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, largest: int, how: int = 0) -> tuple[bytes, Stamp]:
    """The content of a plain file, and its stamp from before. Raises OSError, for a large one before it is read."""
    with opened_plain(path, how) as file:
        before = stamp(status := os.fstat(file.fileno()))
        content = file.read(largest + 1) if status.st_size <= largest else b""
    if max(len(content), status.st_size) > largest:
        raise OSError(errno.EFBIG, "it is too large", str(path))
    return content, before


def write_bytes(path: Path, data: bytes, mode: int = 0o600, owner: os.stat_result | None = None) -> None:
    """Write `data` to `path` so that a reader sees the old content or the new, never a part; sweeps what killed
    writers left of it.

    mode: of the file; the files that this program keeps are nobody else's business
    owner: a file whose owner and group it should have
    Raises OSError; the old content then still stands and nothing is left beside it.
    """
    removal.sweep(path.parent, path.name)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_at(folder, path.name, data, mode, owner)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        os.close(folder)


def write_at(folder: int, name: str, data: bytes, mode: int = 0o600, owner: os.stat_result | None = None) -> None:
    """`write_bytes`, to a name in an open folder."""
    new = f"{removal.beginning(name)}{uuid.uuid4().hex[:8]}.partial"
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    file = os.fdopen(os.open(new, how, 0o600, dir_fd=folder), "wb")
    try:
        with file:
            _hold(file.fileno())
            file.write(data)
            file.flush()
            if owner and ((made := os.fstat(file.fileno())).st_uid, made.st_gid) != (owner.st_uid, owner.st_gid):
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), mode)
            sync(file.fileno())
            os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=folder)
        raise
    sync(folder)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode())


def write_where_asked(path: Path, data: bytes) -> None:
    """Write to a place that a person named, which may be anything.

    Links are followed. What exists and is no plain file (a device, a pipe, an open descriptor) is opened and written,
    never replaced; a plain one keeps its mode and its other names, and is replaced whole where its folder allows it.
    Raises OSError.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        status = None
    descriptors = str(path.absolute()).startswith(("/dev/fd/", "/dev/std", "/proc/"))
    if status is not None and (descriptors or not stat.S_ISREG(status.st_mode)):
        _write_into(path, data, os.O_WRONLY)
        return
    path = Path(os.path.realpath(path))
    if status is not None and (status.st_nlink > 1 or not os.access(path.parent, os.W_OK)):
        _write_into(path, data, os.O_WRONLY | os.O_TRUNC)
        return
    mask = os.umask(0)
    os.umask(mask)
    try:
        write_bytes(path, data, stat.S_IMODE(status.st_mode) if status else 0o666 & ~mask, status)
    except PermissionError:
        if status is None:
            raise
        _write_into(path, data, os.O_WRONLY | os.O_TRUNC)  # only root may give a file to somebody else


def _write_into(path: Path, data: bytes, how: int) -> None:
    with os.fdopen(os.open(path, how | os.O_NOCTTY), "wb") as file:
        file.write(data)


def keep_private(folder: Path, *, deep: bool = False) -> None:
    """Make a folder of ours that nobody else may look into: it holds voices and what was said. Raises OSError.

    deep: as for `hide`
    """
    for part in (*reversed(folder.parents), folder):
        if not os.path.lexists(part):
            with contextlib.suppress(FileExistsError):
                part.mkdir(mode=0o700)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    hide(folder, deep=deep)


def hide(folder: Path, *, deep: bool = False) -> None:
    """Take a folder of ours from others, as far as it is there; the data folder as well, unless somebody named it.

    deep: with the files and folders in it, which an earlier version let others read
    Where a link stands, its owner has decided who may read what it leads to.
    """
    data, named = data_folder()
    if folder != data or not named:
        _close(folder, 2 if deep else 0)
    if folder.parent == data and not named:
        _close(data, 0)


def _close(place: Path | str, depth: int, parent: int | None = None) -> None:
    """Take a folder of ours from others, after what is in it. Follows no link; what is not ours or resists is left."""
    with contextlib.suppress(OSError):
        folder = os.open(place, removal.FOLDER, dir_fd=parent)
        try:
            status = os.fstat(folder)
            if status.st_uid != os.getuid() or not status.st_mode & 0o077:
                return
            with os.scandir(folder) as found:
                children = list(found) if depth else []
            for child in children:
                if child.is_dir(follow_symlinks=False):
                    _close(child.name, depth - 1, folder)
                elif child.is_file(follow_symlinks=False):
                    _close_file(child.name, folder)
            os.fchmod(folder, 0o700)
        finally:
            os.close(folder)


def _close_file(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            status = os.fstat(file)
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid() and status.st_nlink == 1:
                os.fchmod(file, 0o600)
        finally:
            os.close(file)


@contextlib.contextmanager
def new_folder(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on a clean exit it becomes `target`, whole and on disk.

    private: nobody else may look into it
    Raises FileExistsError where `target` already exists at the end; what was built is then removed, as after any error.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=removal.beginning(target.name), suffix=".partial", dir=target.parent))
    held = os.open(building, removal.FOLDER)
    try:
        _hold(held)
        yield building
        for path in building.rglob("*"):
            if path.is_file():
                if private:
                    path.chmod(0o600)
                sync_file(path)
        sync_folder(building)
        if target.exists():
            raise FileExistsError(target)
        building.chmod(0o700 if private else 0o755)
        try:
            building.rename(target)
        except OSError as error:
            # Somebody else's folder came first, between the look and the rename.
            raise FileExistsError(target) if error.errno == errno.ENOTEMPTY else error from error
    except BaseException:
        remove_tree(building)
        raise
    finally:
        os.close(held)
    sync_folder(target.parent)


def _hold(descriptor: int) -> None:
    """Lock what is being written for as long as it is open: what nobody holds was left by a program that was killed."""
    with contextlib.suppress(OSError):  # some network file systems have no locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_folder(path: Path) -> bool:
    """Whether a folder can be seen there; `Path.is_dir` raises for what may not be looked into."""
    return os.path.isdir(path)  # noqa: PTH112


def is_plain_folder(path: Path) -> bool:
    """Whether a folder stands at `path` itself, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def remove_tree(folder: Path) -> None:
    """Remove a folder that this program made, as far as possible; what resists is left."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
