"""What lists say of all sessions, remembered beside them, so that a list of thousands does not read them all.

The sessions' own files stay the truth: a row counts only while session.json is the very file that it was made of. What
is missing, stale, damaged or of another version is read again, and nothing else happens where the index cannot be
written. The file is replaced whole; of two processes the last one wins, and the other's news are read once more.

    speedtest-tui 0.1.0 sessions 2
    CRC-32 of the rest \t "20261120T123015" inode bytes mtime ctime \t Summary, or why the session is damaged
"""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from speedtest_tui import __version__
from speedtest_tui.core import disk
from speedtest_tui.core.format import few
from speedtest_tui.core.locations import sessions_folder, sessions_index
from speedtest_tui.core.race.row import RaceState, RateName, Status, Verdict
from speedtest_tui.core.sessions.document import Begun, ClipFacts, PlanFacts
from speedtest_tui.core.sessions.store import DamagedSession, Session, names, read_with_stamp

HEAD = f"speedtest-tui {__version__} sessions 2\n".encode()
"""Of another version everything is read again: it may know other schemas."""

LARGEST = 8192
"""Bytes of a row. A longer one, with the text of an hour as its reference for example, is read from its file."""

WORTH = 8
"""Sessions read again before it is worth writing the index: some milliseconds."""

SETTLED_NS = 2_000_000_000
"""A file that changed less than this before it was read may change again without another stamp: file systems have
clocks of up to two seconds."""

WHOLE_NUMBER, DIGITS = re.compile(rb"[\[:,-][0-9]{19}"), bytes.maketrans(b"123456789", b"000000000")
"""What codec refuses in the files themselves; a row without so many digits beside each other is told much sooner."""


@dataclass(frozen=True)
class Entry:
    """One result as a list or a history needs it."""

    backend: str
    size: str | None
    status: Status
    source: str
    revision: str | None
    dtype: str | None
    version: str | None
    rank: int | None
    median_s: float | None
    rtfx: float | None
    wer: float | None
    candidate: str
    label: str
    rate: RateName = "WER"


@dataclass(frozen=True)
class Summary(Begun):
    """A session as a list knows it; `entries` are in order of rank."""

    name: str
    started: str
    state: RaceState
    clip: ClipFacts
    plan: PlanFacts
    verdict: Verdict
    machine: str
    program: str
    entries: tuple[Entry, ...]

    @property
    def folder(self) -> Path:
        return sessions_folder() / self.name

    @property
    def best(self) -> Entry | None:
        """The fastest that finished."""
        return next((entry for entry in self.entries if entry.rank), None)

    @property
    def recommended(self) -> str:
        """The same of those that are recommended."""
        return few([entry.label for entry in self.entries if entry.candidate in self.verdict.recommended])

    @property
    def winners(self) -> str:
        """ "parakeet-mlx", "parakeet-mlx ≈ canary-mlx" where they cannot be told apart; "" where nothing finished."""
        ranked = [entry for entry in self.entries if entry.rank]
        first = [entry.label for entry in ranked if entry.rank == 1]
        if len(first) == 1 and not self.verdict.significant:
            first = [entry.label for entry in ranked[:2]]  # kept by a version that gave each a rank of its own
        return few(first)


def summary(session: Session) -> Summary:
    """What is listed of a session."""
    document = session.document
    entries = []
    for result in document.ordered:
        source, revision, dtype = "", None, None
        if model := result.model:
            source, revision, dtype = model.source, model.revision, model.dtype
        entries.append(
            Entry(
                result.backend, result.size, result.status, source, revision, dtype, result.version, result.rank,
                result.median_s, result.rtfx, result.errors, result.candidate, result.label,
                result.rate,
            )
        )  # fmt: skip
    return Summary(
        session.name, document.started, document.state, document.clip, document.plan, document.verdict,
        document.host.chip, document.program, tuple(entries),
    )  # fmt: skip


def summaries() -> Iterator[Summary | DamagedSession]:
    """All sessions, the newest first. Raises UserError where the folder they are in cannot be read."""
    root, all_names = sessions_folder(), names()
    known = _load(len(all_names))
    decode = _decoder()
    lines, read, settled = [], 0, time.time_ns() - SETTLED_NS
    for name in all_names:
        found: Summary | DamagedSession | None = None
        try:
            status = os.stat(f"{root}/{name}/session.json")  # noqa: PTH116  (a Path for each would cost half as much)
        except OSError:
            key = b""
        else:
            key = _key(name, disk.stamp(status))
        if body := known.get(key):
            found = decode(name, body)
        if found is None:
            session, stamp = read_with_stamp(root / name)
            found = summary(session) if isinstance(session, Session) else session
            key, body = _key(name, stamp) if stamp and max(stamp[2:]) < settled else b"", _body(found)
            read += bool(key and body)
        if key and body:
            lines.append(_line(key, body))
        yield found
    if read >= WORTH or len(known) > len(lines) + 100 + len(lines) // 4:
        _save(lines)


def _key(name: str, stamp: disk.Stamp) -> bytes:
    return " ".join((json.dumps(name), *map(str, stamp))).encode()


def _body(found: Summary | DamagedSession) -> bytes:
    """The row of a session, or nothing where it is not to be kept."""
    import msgspec

    try:
        body = msgspec.json.encode(found.reason if isinstance(found, DamagedSession) else found)
    except UnicodeEncodeError:  # half a character, in the name of a file for example
        return b""
    return b"" if len(body) > LARGEST or _too_large(body) else body


def _too_large(body: bytes) -> bool:
    """Whether a row has a number that no session.json may have."""
    return b"0" * 19 in body.translate(DIGITS) and bool(WHOLE_NUMBER.search(body))


def _decoder() -> Any:
    """Makes a session of a name and its row; None where that is no row of this kind."""
    import msgspec

    decoder: Any = msgspec.json.Decoder(Summary | str)
    root = sessions_folder()

    def decode(name: str, body: bytes) -> Summary | DamagedSession | None:
        try:
            found = None if len(body) > LARGEST or _too_large(body) else decoder.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            return None
        if isinstance(found, str):
            return DamagedSession(name, root / name, found)
        return found if found is not None and found.name == name else None

    return decode


def _line(key: bytes, body: bytes) -> bytes:
    return b"%08x\t%b\t%b\n" % (zlib.crc32(body, zlib.crc32(key)), key, body)


def _load(count: int) -> dict[bytes, bytes]:
    """Rows by name and stamp, as many as may be of so many sessions; none where there is no index of this version."""
    known: dict[bytes, bytes] = {}
    try:
        with disk.opened_plain(sessions_index()) as file:
            if file.readline(len(HEAD)) != HEAD:
                return {}
            for line in islice(iter(lambda: file.readline(LARGEST + 1024), b""), 2 * count + 1000):
                _, _, rest = line.partition(b"\t")
                key, _, body = rest.rstrip(b"\n").partition(b"\t")
                if line == _line(key, body):
                    known[key] = body
    except OSError:
        return {}
    return known


def _save(lines: list[bytes]) -> None:
    try:
        disk.write_bytes(sessions_index(), HEAD + b"".join(lines))
    except OSError:
        return  # a disk that is full or read-only costs time only
