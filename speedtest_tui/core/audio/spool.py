"""Recordings on disk while they grow: raw frames that a killed program cannot take along, and a sidecar that says what
they are.

    20261120-221500-a1b2c3.f32      little-endian float32, frame by frame, at the device's own rate
    20261120-221500-a1b2c3.json     `Facts`, written first

Whoever still cares for a recording holds a shared lock on its frames; the system lets go of it when a process ends,
however it ends. A recording that nobody holds was left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from speedtest_tui.core import disk, removal
from speedtest_tui.core.audio.conform import RATES
from speedtest_tui.core.codec import decode

if TYPE_CHECKING:
    from speedtest_tui.core.audio.conform import Block


How = Literal["stopped", "silence", "limit", "lost"]
"""How a recording ended: asked for, by itself after a silence or at its longest, or broken off."""

FRAMES, SIDECAR = ".f32", ".json"
BYTES_PER_VALUE = 4
MAX_CHANNELS = 64
BLOCK_VALUES = 1 << 18
"""Read at a time: a megabyte."""


@dataclass(frozen=True)
class Facts:
    """What is known of a recording; what concerns its end stays at its default where the program was killed.

    rate: frames per second
    started: seconds since the epoch, when its first frame after the pre-roll came
    preroll_s: seconds at its beginning that were heard before the start was asked for
    how: "" while it grows
    reason: why it was lost, in words
    missing_s: audio that the clock says should have come and did not
    dropped_frames: frames that came and could not be kept
    overflows: times that the system said that it had thrown frames away
    clipped: frames at full scale
    sounding: False where every frame was exactly zero; only its end can tell
    seen: its clip was shown, and the program quit after that as it should: nobody is asked about it any more
    """

    rate: float
    channels: int
    device: str = ""
    host_api: str = ""
    started: float = 0.0
    preroll_s: float = 0.0
    how: How | Literal[""] = ""
    reason: str = ""
    missing_s: float = 0.0
    dropped_frames: int = 0
    overflows: int = 0
    clipped: int = 0
    sounding: bool = True
    seen: bool = False

    @property
    def frame_bytes(self) -> int:
        return BYTES_PER_VALUE * self.channels


class Hold:
    """A shared lock on a recording: for as long as it lives, no other program takes it for a leftover."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the recording is gone."""
        self._descriptor = os.open(path, os.O_RDONLY)
        # A file system without locks (some network ones) must not keep anybody from recording.
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        # Also called where __init__ has failed.
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()


class SpoolWriter:
    """One growing recording. Nothing is buffered here: what `append` was given survives the end of the process."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        """Make the folder, the sidecar and the empty file of frames. Raises OSError."""
        disk.keep_private(folder, deep=True)
        removal.sweep(folder)
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        self.path = folder / f"{stem}{FRAMES}"
        self.facts = facts
        self.frames = 0
        write_facts(self.path, facts)
        # Others on the machine have no business listening.
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._hold = Hold(self.path)

    def append(self, frames: Block) -> None:
        """Write frames, shape (n, channels), float32. Raises OSError; whole frames of what fitted are kept."""
        data = frames.astype("<f4", order="C", copy=False).data.cast("B")
        while data:
            data = data[os.write(self._descriptor, data) :]
        self.frames += len(frames)

    def sync(self) -> None:
        """Have the system put on the disk what it still holds in memory. Raises OSError."""
        os.fsync(self._descriptor)

    def note(self, **changes: Any) -> None:
        """Change facts in the sidecar, if they are any different. Raises OSError."""
        changed = replace(self.facts, **changes)
        if changed != self.facts:
            self.facts = changed
            write_facts(self.path, changed)

    def close(self) -> None:
        """Let go of the files; the recording stays."""
        os.close(self._descriptor)
        self._hold.release()


def write_facts(path: Path, facts: Facts) -> None:
    """Write the sidecar of the frames in `path`. Raises OSError."""
    disk.write_text(path.with_suffix(SIDECAR), json.dumps({"schema": 1, **asdict(facts)}, indent=1))


@dataclass(frozen=True)
class _Sidecar(Facts):
    schema: Literal[1] = 1


def read_facts(path: Path) -> Facts:
    """The facts about a recording. Raises OSError and, for a sidecar that is none of ours, ValueError."""
    facts = decode(_Sidecar, disk.read_plain(path.with_suffix(SIDECAR), 1 << 16)[0])
    if not (RATES[0] <= facts.rate <= RATES[1] and 0 < facts.channels <= MAX_CHANNELS):
        raise ValueError("impossible rate or channels")
    return Facts(**{each.name: getattr(facts, each.name) for each in fields(Facts)})


def count_frames(path: Path, facts: Facts) -> int:
    """Whole frames in the file. Raises OSError."""
    return path.stat().st_size // facts.frame_bytes


def blocks(path: Path, facts: Facts) -> Iterator[Block]:
    """All whole frames, shape (n, channels), little by little: an hour is not read into memory.

    Raises OSError, also where the file becomes shorter on the way; in a map of it, that would end the process.
    """
    import numpy as np

    with disk.opened_plain(path) as file:
        left = os.fstat(file.fileno()).st_size // facts.frame_bytes
        while left:
            count = min(left, max(1, BLOCK_VALUES // facts.channels))
            data = file.read(count * facts.frame_bytes)
            if len(data) < count * facts.frame_bytes:
                raise OSError(errno.EIO, "it became shorter while it was read", str(path))
            yield np.frombuffer(data, "<f4").reshape(count, facts.channels)
            left -= count


def abandoned(folder: Path) -> tuple[Path, ...]:
    """Files of frames in `folder` that no living program holds, the newest first."""
    found = []
    try:
        names = sorted(os.listdir(folder), reverse=True)  # noqa: PTH208
    except OSError:
        return ()
    for name in names:
        path = folder / name
        if path.suffix != FRAMES or disk.is_left_by_a_system(name):
            continue
        try:
            with disk.opened_plain(path) as file:
                # Asked for alone and given back at once: the file is not ours.
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        found.append(path)
    return tuple(found)


def discard(path: Path) -> None:
    """Remove a recording; one that is gone already is no error. Raises OSError."""
    path.unlink(missing_ok=True)
    path.with_suffix(SIDECAR).unlink(missing_ok=True)
