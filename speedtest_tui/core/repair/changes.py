"""Changing caches so that nothing is lost: each change is in the journal before it happens, and is one rename.

Killed between any two calls, the old thing or the new stands at its path, and undo finds the way back.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from speedtest_tui.core import disk, removal
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models import layout
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.journal import FORMAT, Change, Journal

NO_SECOND_NAME = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""What file systems answer that have no hard links, or not for this file."""


class Escape(UserError):
    """A path leaves its cache; nothing was touched."""


class Changes:
    """The changes of one application. Its folders come into being with the first change on their file system.

    what: what is being done, for the list of what can be undone
    undoes: the entry that is being undone, or ""
    """

    def __init__(self, what: str, undoes: str = "") -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.id = trash.new_id(now)
        self._what, self._undoes = what, undoes
        self._started = now.isoformat(timespec="seconds")
        self._journals: dict[Path, Journal] = {}
        self._number = 0
        self._through = self._passed = ""

    @property
    def made(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._journals)

    def link(self, path: Path, root: Path, target: str) -> None:
        """Let a symbolic link with this text stand at `path`."""
        self._put(path, root, lambda new: os.symlink(target, new.name, dir_fd=new.folder), target)

    def name_again(self, path: Path, root: Path, source: Path, copy: Callable[[Spot], object] | None = None) -> None:
        """Let `path` be a second name (a hard link) of the file `source`; what `copy` makes where that cannot be."""

        def make(new: Spot) -> None:
            try:
                os.link(source, new.name, dst_dir_fd=new.folder, follow_symlinks=False)
            except OSError as error:
                if copy is None or error.errno not in (errno.EXDEV, *NO_SECOND_NAME):
                    raise
                copy(new)

        self._put(path, root, make)

    def write(self, path: Path, root: Path, text: str) -> None:
        """Let a file with this text stand at `path`."""

        def make(new: Spot) -> None:
            with new.created() as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())

        self._put(path, root, make)

    def build(self, path: Path, root: Path, make: Callable[[Spot], object]) -> None:
        """Let what `make` writes at the place it is given stand at `path`; what it leaves when it raises is removed."""
        self._put(path, root, make)

    def bring(self, path: Path, root: Path, kept: Path) -> None:
        """Let `kept`, a thing from a trash folder of the same file system, stand at `path`."""
        link = str(kept.readlink()) if kept.is_symlink() else ""
        # A folder cannot be renamed over a file: what is there goes first.
        moving = kept.is_dir() and not link
        for folder in self._places(path, root):
            change = self._note(folder, path, root, _name_of(path), link)
            with self._forgetting(folder, change), self._spots(folder, change) as (here, old), _in_trash(kept) as new:
                if change.kept and not (_moved if moving else _kept)(here, old):
                    continue
                _place(new, here, old)
                return

    def remove(self, path: Path, root: Path) -> None:
        """Move what stands at `path` into the trash; nothing to do where nothing stands there."""
        if not os.path.lexists(path):
            return
        for folder in self._places(path, root):
            change = self._note(folder, path, root, path.name)
            with self._forgetting(folder, change), self._spots(folder, change) as (here, old):
                if _moved(here, old):
                    disk.sync(here.folder)
                    return

    def keep(self, path: Path, root: Path) -> None:
        """Keep what stands at `path` because somebody else, a download, is about to replace it.

        Where nothing stands there, an undo will take away what comes.
        """
        for folder in self._places(path, root):
            change = self._note(folder, path, root, _name_of(path))
            with self._forgetting(folder, change), self._spots(folder, change) as (here, old):
                if not change.kept or _kept(here, old):
                    return

    def forget_unchanged(self) -> None:
        """Forget what `keep` kept and nobody has replaced after all."""
        for folder, book in list(self._journals.items()):
            for change in book.changes:
                if change.kept and is_same(folder / change.kept, change.path):
                    self._strike(folder, change)

    def replaced_folder(self, path: Path, root: Path) -> Path:
        """A folder for others to put second names of what they replace at `path`; it goes when the trash is emptied."""
        return next(self._places(path, root)) / "replaced"

    # How it is done.

    def _put(self, path: Path, root: Path, make: Callable[[Spot], object], link: str = "") -> None:
        for folder in self._places(path, root):
            change = self._note(folder, path, root, _name_of(path), link)
            with (
                self._forgetting(folder, change),
                self._spots(folder, change) as (here, old),
                _cleared(Spot(f".new-{change.number}", old.folder)) as new,
            ):
                make(new)
                if change.kept and not _kept(here, old):
                    continue
                _place(new, here, old)
                return

    @contextlib.contextmanager
    def _spots(self, folder: Path, change: Change) -> Iterator[tuple[Spot, Spot]]:
        """Where a change is made and where it keeps what was there. Raises Escape where a link came on the way."""
        try:
            with self._parent(change.path, change.root) as here, _in_trash(folder / (change.kept or "-")) as old:
                yield Spot(change.path.name, here), old._replace(name=change.kept)
        except OSError as error:
            self._check(change.path, change.root)
            if not str(error.filename or "").startswith("/"):
                error.filename, error.filename2 = str(change.path), None
            raise

    def _parent(self, path: Path, root: Path, *, make: bool = False) -> contextlib.AbstractContextManager[int]:
        return removal.entered(root, path.relative_to(root).parts[:-1], self._passed, make=make)

    def _places(self, path: Path, root: Path) -> Iterator[Path]:
        """The trash folders to try for `path`, the best first. Raises Escape, and OSError when none was any good."""
        self._check(path, root)
        for place in trash.candidates(path, root):
            folder = place / self.id
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with removal.entered(place.parent, (place.name, self.id), make=True):
                    pass
            except OSError:
                if place == root / trash.FALLBACK:
                    raise
                continue
            self._make_parent(folder, path, root)
            yield folder
        raise OSError(errno.EXDEV, "there is no trash on its file system", str(path))

    def _make_parent(self, folder: Path, path: Path, root: Path) -> None:
        """Make the folder that `path` is to lie in; the uppermost one that was not there is noted, for an undo."""
        missing = [parent for parent in path.parents if layout.is_within(parent, root) and not parent.exists()]
        if missing:
            self._note(folder, missing[-1], root, "", is_folder=True)
        root.mkdir(parents=True, exist_ok=True)
        with self._parent(path, root, make=True):
            pass

    def _check(self, path: Path, root: Path) -> None:
        if not layout.is_within(path, root) or path == root or ".." in path.parts:
            raise Escape(f"{path} is outside {root}", "check the cache by hand; nothing was changed")
        # The repository itself may be a link to a bigger disk, put there by its owner; folders within it may not.
        links = links_to(path, root)
        self._passed = str(links[0].readlink()) if links else ""
        if links[1:] or (links and self._undoes and self._through != self._passed):
            raise Escape(f"{path} leads out of {root} through a link", "check it by hand; nothing was changed")
        if links and links[0] != root / path.relative_to(root).parts[0]:
            raise Escape(f"{path} leads out of {root} through a link", "check it by hand; nothing was changed")

    def passing(self, change: Change) -> Changes:
        """Ready to undo a change: the link that its path went through then may be passed now. Raises Escape."""
        self._through = change.through
        self._check(change.path, change.root)
        return self

    def _note(
        self, folder: Path, path: Path, root: Path, name: str, link: str = "", *, is_folder: bool = False
    ) -> Change:
        """Write down what is about to happen."""
        self._number += 1
        kept = f"{self._number:04d}-{name}" if name else ""
        change = Change(self._number, path, root, kept, link, is_folder, self._passed)
        book = self._journals.get(folder) or Journal(FORMAT, self._what, self._started, self._undoes)
        book = replace(book, changes=(*book.changes, change))
        trash.write_journal(folder, book)
        if folder not in self._journals:
            disk.sync_folder(folder.parent)
        self._journals[folder] = book
        return change

    @contextlib.contextmanager
    def _forgetting(self, folder: Path, change: Change) -> Iterator[None]:
        """Strike a change out again that could not be made; the next place may do where this one was EXDEV."""
        done = False
        try:
            yield
            done = not change.kept or os.path.lexists(folder / change.kept)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        finally:
            if not done:
                self._strike(folder, change)

    def _strike(self, folder: Path, change: Change) -> None:
        kept = folder / change.kept if change.kept else None
        if kept is not None and os.path.lexists(kept):
            if not is_same(kept, change.path):
                return  # the only name of it is in the trash: undo must find it
            with _in_trash(kept) as old:
                os.unlink(old.name, dir_fd=old.folder)
        book = self._journals[folder]
        book = replace(book, changes=tuple(one for one in book.changes if one != change))
        if book.changes:
            trash.write_journal(folder, book)
            self._journals[folder] = book
        else:
            del self._journals[folder]
            with contextlib.suppress(OSError), removal.entered(folder.parent.parent, (folder.parent.name,)) as place:
                removal.remove_at(place, folder.name)


def links_to(path: Path, root: Path) -> list[Path]:
    """The links on the way from `root`, which may be one itself, to `path`, which may be one, too."""
    return [
        parent for parent in reversed(path.parents) if parent != root and root in parent.parents and parent.is_symlink()
    ]


def _name_of(path: Path) -> str:
    return path.name if os.path.lexists(path) else ""


class Spot(NamedTuple):
    """A name, "" where nothing is kept, in an open folder: what is put on the way to it meanwhile leads nowhere."""

    name: str
    folder: int

    def mode(self) -> int:
        """What stands there, 0 for nothing. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode
        return 0

    def created(self) -> BinaryIO:
        """A new file there, to write to. Raises OSError where anything stands there."""
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.fdopen(os.open(self.name, how, 0o666, dir_fd=self.folder), "wb")

    def rename(self, to: Spot) -> None:
        """On disk at its end. Raises OSError."""
        os.rename(self.name, to.name, src_dir_fd=self.folder, dst_dir_fd=to.folder)
        disk.sync(to.folder)


@contextlib.contextmanager
def _in_trash(kept: Path) -> Iterator[Spot]:
    """`<place>/<id>/<name>`: no link has ever stood at the first two."""
    with removal.entered(kept.parents[2], kept.parts[-3:-1]) as folder:
        yield Spot(kept.name, folder)


def _place(new: Spot, here: Spot, old: Spot) -> None:
    """Rename `new` to its place; where that fails and the old thing was moved away, it comes back."""
    try:
        new.rename(here)
    except OSError:
        if old.name and not here.mode():
            old.rename(here)
        raise


@contextlib.contextmanager
def _cleared(new: Spot) -> Iterator[Spot]:
    """Leave nothing of what was being built when it did not get to its place."""
    try:
        yield new
    finally:
        with contextlib.suppress(FileNotFoundError):
            removal.remove_at(new.folder, new.name)


def _moved(here: Spot, old: Spot) -> bool:
    """Whether it could be renamed into the trash; False where that is another file system after all (a bind mount)."""
    try:
        here.rename(old)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _kept(here: Spot, old: Spot) -> bool:
    """Give what stands there a second name in the trash; a folder, or where that cannot be, is moved there."""
    mode = here.mode()
    if stat.S_ISDIR(mode):
        return _moved(here, old)
    try:
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(here.name, dir_fd=here.folder), old.name, dir_fd=old.folder)
        else:
            os.link(here.name, old.name, src_dir_fd=here.folder, dst_dir_fd=old.folder, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        if error.errno not in NO_SECOND_NAME:
            raise
        return _moved(here, old)
    # On disk before anything takes the place of the first name.
    disk.sync(old.folder)
    return True


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths are names of one file, or links with the same text."""
    try:
        if one.is_symlink() and other.is_symlink():
            return one.readlink() == other.readlink()
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False
