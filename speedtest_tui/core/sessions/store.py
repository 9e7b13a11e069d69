"""Sessions on disk: one folder each, written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import codec, disk
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions.document import SCHEMA, Document


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
    disk.keep_private(root)
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


def read(folder: Path) -> Session | DamagedSession:
    """Read one session's folder; what is no session of this version is a damaged one, and says why."""
    try:
        content = (folder / "session.json").read_bytes()
    except FileNotFoundError:
        return DamagedSession(folder.name, folder, "session.json is missing")
    except OSError as error:
        return DamagedSession(folder.name, folder, f"session.json cannot be read ({error.strerror})")
    try:
        schema = codec.decode(_Schema, content).schema
        if schema != SCHEMA:
            return DamagedSession(folder.name, folder, f"it has schema {schema}, this version reads {SCHEMA}")
        return Session(folder.name, folder, codec.decode(Document, content))
    except codec.Damaged as damage:
        return DamagedSession(folder.name, folder, f"session.json {damage}")


def sessions() -> Iterator[Session | DamagedSession]:
    """All sessions, the newest first."""
    return (read(folder) for folder in _folders())


def _folders() -> list[Path]:
    """Those of sessions, the newest first, without a look into them. What cannot be read holds none."""
    try:
        found = sorted(sessions_folder().iterdir(), reverse=True)
    except OSError:
        return []
    return [folder for folder in found if _may_be_one(folder.name) and folder.is_dir()]


def _may_be_one(name: str) -> bool:
    return not name.startswith(".") and not disk.is_left_by_a_system(name)


def find(name: str) -> Session:
    """The session whose name begins with `name`, or the newest one for "last". Reads no other.

    Raises UserError where none, a damaged one or more than one fits.
    """
    if name == "last":
        whole = next((session for session in sessions() if isinstance(session, Session)), None)
        if whole is None:
            raise UserError("there is no session yet", "make one with `speedtest-tui run --demo`")
        return whole
    known = [folder for folder in _folders() if folder.name.startswith(name)]
    matching = [folder for folder in known if folder.name == name] or known
    if not matching:
        raise UserError(f"no session is called {name!r}", "see `speedtest-tui sessions list`")
    if len(matching) > 1:
        raise UserError(f"{len(matching)} sessions begin with {name!r}", "give more of the name")
    session = read(matching[0])
    if isinstance(session, DamagedSession):
        raise UserError(f"session {session.name} is damaged", session.reason)
    return session
