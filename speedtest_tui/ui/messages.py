"""What background threads tell the screen. Frozen data only; handlers touch widgets, threads never do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.audio.clip import Clip
    from speedtest_tui.core.bench.row import RaceSnapshot
    from speedtest_tui.core.sessions.keeper import Kept


@dataclass
class MachineKnown(Message):
    """The machine's description has been read."""

    sentence: str


@dataclass
class BackendsKnown(Message):
    """Installed packages have been asked for further backends."""

    entries: tuple[BackendEntry, ...]


@dataclass(frozen=True)
class ClipView:
    """A clip as the screen shows it. `outline` holds peaks from 0 to 1, levels are in dBFS."""

    clip: Clip
    outline: tuple[float, ...]
    peak_db: float
    rms_db: float


@dataclass
class ClipReady(Message):
    """A clip has been read."""

    view: ClipView


@dataclass
class ClipRefused(Message):
    """A clip cannot be used; `reason` is one sentence that ends with what to do."""

    reason: str


@dataclass
class RaceChanged(Message):
    """The race has moved on. A newer one replaces an older one that still waits to be handled."""

    snapshot: RaceSnapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RaceChanged)


@dataclass
class RaceEnded(Message):
    """The race is over and kept, or not."""

    snapshot: RaceSnapshot
    kept: Kept


@dataclass
class TaskFailed(Message):
    """Something in the background went wrong that nobody foresaw."""

    what: str
