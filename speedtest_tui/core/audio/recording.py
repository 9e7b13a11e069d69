"""What has been recorded: frames on disk, which become a clip when somebody wants one."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from speedtest_tui.core.audio import spool
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from speedtest_tui.core.audio.conform import Block
    from speedtest_tui.core.audio.spool import Facts, Hold


DEAD_CHANNEL = 1e-3
"""Share of the loudest channel's RMS (-60 dB) below which a channel has no microphone on it and is left out."""

_SCAN = 1 << 16


@dataclass(frozen=True)
class Recording:
    """A finished recording. Its files stay until `discard`, so that nothing is lost before it has been used.

    path: the file of its frames
    seconds: how long it is, its pre-roll included
    """

    path: Path
    facts: Facts
    seconds: float
    _hold: Hold | None = field(default=None, repr=False, compare=False)

    def clip(self, name: str = "") -> Clip:
        """The whole recording as a clip at 16 kHz, with what went wrong in its warnings.

        name: for people; the time of the recording where left out. Raises UserError where it is too short or gone.
        """
        from speedtest_tui.core.audio.decode import from_samples

        name = name or f"recording {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.facts.started))}"
        try:
            frames = spool.read_frames(self.path, self.facts)
        except OSError as error:
            raise UserError(f"the recording {self.path} cannot be read ({error.strerror})", "record again") from None
        clip = from_samples(_live_channels(frames), self.facts.rate, name)
        return dataclasses.replace(clip, warnings=(*faults(self.facts), *clip.warnings))

    def discard(self) -> None:
        """Remove its files. Raises OSError."""
        if self._hold is not None:
            self._hold.release()
        spool.discard(self.path)


def open_recording(path: Path) -> Recording:
    """The recording whose frames lie in `path`. Raises OSError and ValueError."""
    hold = spool.Hold(path)
    facts = spool.read_facts(path)
    return Recording(path, facts, spool.count_frames(path, facts) / facts.rate, hold)


def leftovers(folder: Path | None = None) -> tuple[Recording, ...]:
    """Recordings that a program left which was killed or crashed, the newest first.

    What is too short to be a clip is removed on the way. Listing them here keeps other programs from offering them.
    """
    from speedtest_tui.core.locations import spool_folder

    found = []
    for path in spool.abandoned(folder or spool_folder()):
        try:
            recording = open_recording(path)
            if recording.seconds < MIN_SECONDS:
                recording.discard()
                continue
        except (OSError, ValueError):
            continue
        found.append(recording)
    return tuple(found)


def recover(path: Path) -> Clip:
    """The clip of a recording that was left behind; its files stay. Raises UserError."""
    try:
        return open_recording(path).clip()
    except (OSError, ValueError) as error:
        raise UserError(f"the recording {path} cannot be read ({error})", "record again") from None


def discard(path: Path) -> None:
    """Remove a recording that was left behind, as far as the system lets us."""
    with contextlib.suppress(OSError):
        spool.discard(path)


def faults(facts: Facts) -> tuple[str, ...]:
    """What is missing from a recording, each a clause for people; empty where nothing is."""
    found = []
    if not facts.how:
        found.append("recovered: the program was ended while recording")
    if facts.how == "lost":
        found.append(f"the recording broke off: {facts.reason}")
    if facts.missing_s:
        found.append(f"{facts.missing_s * 1000:.0f} ms are missing (counted against the clock)")
    elif facts.overflows:
        found.append(f"the system reported {facts.overflows} times that it had thrown away audio")
    if facts.dropped_frames:
        lost = facts.dropped_frames / facts.rate * 1000
        found.append(f"{lost:.0f} ms were dropped, because this machine could not keep up")
    return tuple(found)


def _live_channels(frames: Block) -> Block:
    """Frames without the channels that have next to nothing on them, which would only make the mean quieter."""
    import numpy as np

    if frames.shape[1] < 2 or not len(frames):
        return frames
    power = np.zeros(frames.shape[1])
    for start in range(0, len(frames), _SCAN):
        block = frames[start : start + _SCAN]
        power += np.einsum("ij,ij->j", block, block)
    live = power >= power.max() * DEAD_CHANNEL**2
    if live.all():
        return frames
    first, last = np.flatnonzero(live)[[0, -1]]
    # Neighbours are a view of the file; only odd sets of live channels are copied.
    return frames[:, first : last + 1] if live[first : last + 1].all() else frames[:, live]
