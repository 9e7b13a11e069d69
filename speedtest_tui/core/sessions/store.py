"""Sessions on disk: one folder each, written whole or not at all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import codec, disk, removal
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions.document import SCHEMA, Document, from_1

LARGEST, MOST_PARTS = 16 << 20, 500_000
"""Bytes of a session.json, and objects and lists in it. Twenty backends with four hours of segments are a tenth."""


@dataclass(frozen=True)
class Session:
    """A session that could be read. `name` is its folder's name, which begins with the time it was started."""

    name: str
    folder: Path
    document: Document


@dataclass(frozen=True)
class DamagedSession:
    """A session that could not, and why in words."""

    name: str
    folder: Path
    reason: str


@dataclass(frozen=True)
class _Schema:
    schema: int


def save(document: Document, clip: Clip) -> Path:
    """Write `session.json` and `clip.flac` (24 bit) into a new folder and return it. Raises OSError."""
    import soundfile

    root = sessions_folder()
    disk.keep_private(root, deep=True)
    removal.sweep(root)
    stem = re.sub(r"[^0-9T]", "", document.started.partition("+")[0])
    for name in (stem, *(f"{stem}-{i}" for i in range(2, 1000))):
        if (target := root / name).exists():
            continue
        try:
            with disk.new_folder(target, private=True) as folder:
                soundfile.write(folder / "clip.flac", clip.samples, 16_000, "PCM_24", format="FLAC")
                (folder / "session.json").write_text(codec.document(document), encoding="utf-8")
        except FileExistsError:
            continue  # another process took the name meanwhile
        return target
    raise FileExistsError(root / stem)


def update(folder: Path, document: Document) -> None:
    """Write `session.json` of a session anew, whole or not at all. Raises OSError."""
    if folder.is_symlink():
        raise NotADirectoryError(20, "Not a folder", str(folder))
    disk.write_bytes(folder / "session.json", codec.document(document).encode())


def read(folder: Path) -> Session | DamagedSession:
    """Read one session's folder; what is no session of this version is a damaged one, and says why."""
    return read_with_stamp(folder)[0]


def read_with_stamp(folder: Path) -> tuple[Session | DamagedSession, disk.Stamp | None]:
    """The same, with what tells the file that was read from any other; None where none could be."""

    def damaged(reason: str) -> DamagedSession:
        return DamagedSession(folder.name, folder, reason)

    try:
        content, stamp = disk.read_plain(folder / "session.json", LARGEST)
    except FileNotFoundError:
        return damaged("session.json is missing"), None
    except OSError as error:
        return damaged(f"session.json cannot be read ({error.strerror})"), None
    try:
        return Session(folder.name, folder, _document(content)), stamp
    except codec.Damaged as damage:
        return damaged(str(damage)), stamp


def _document(content: bytes) -> Document:
    """What a session.json says, of whichever schema; schemas that are no longer written are converted here.

    Raises Damaged with the whole reason.
    """
    if content.count(b"{") + content.count(b"[") > MOST_PARTS:
        raise codec.Damaged("session.json holds too many values")
    try:
        found = codec.parse(content)
        schema = codec.typed(_Schema, found).schema
        if schema == SCHEMA:
            return codec.typed(Document, found)
        if schema == 1:
            return from_1(codec.typed(Document, found))
    except codec.Damaged as damage:
        raise codec.Damaged(f"session.json {damage}") from None
    raise codec.Damaged(f"it has schema {schema}, this version reads {SCHEMA}")


def names() -> list[str]:
    """The folders of all sessions, the newest first, without a look into them.

    Raises UserError where the folder that they are in is there and cannot be read.
    """
    root = sessions_folder()
    disk.hide(root, deep=True)
    try:
        with os.scandir(root) as found:
            return sorted((one.name for one in found if _may_be_one(one.name) and one.is_dir()), reverse=True)
    except OSError as error:
        disk.check(root)
        if isinstance(error, FileNotFoundError):
            return []
        advice = disk.advice(error, root)
        raise UserError(advice.what, advice.todo) from None


def _may_be_one(name: str) -> bool:
    return not name.startswith(".") and not disk.is_left_by_a_system(name)


def find(name: str) -> Session:
    """The session whose name begins with `name`, or the newest one for "last". Reads no other.

    Raises UserError where none, a damaged one or more than one fits, and as `names`.
    """
    root, known = sessions_folder(), names()
    if name == "last":
        read_ones = (read(root / one) for one in known)
        whole = next((session for session in read_ones if isinstance(session, Session)), None)
        if whole is None:
            raise UserError("there is no session yet", "make one with `speedtest-tui run --demo`")
        return whole
    known = [one for one in known if one.startswith(name)]
    matching = [one for one in known if one == name] or known
    if not matching:
        raise UserError(f"no session is called {name!r}", "see `speedtest-tui sessions list`")
    if len(matching) > 1:
        raise UserError(f"{len(matching)} sessions begin with {name!r}", "give more of the name")
    session = read(root / matching[0])
    if isinstance(session, DamagedSession):
        raise UserError(f"session {session.name} is damaged", session.reason)
    return session
