"""What background threads tell the screen. Frozen data only; handlers touch widgets, threads never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from backends.base import Advice, BackendEntry
    from speedtest_tui.core.accuracy.words import Piece
    from speedtest_tui.core.audio.devices import DeviceReport
    from speedtest_tui.core.audio.player import PlayerState
    from speedtest_tui.core.audio.recorder import RecorderState
    from speedtest_tui.core.audio.recording import Recording
    from speedtest_tui.core.audio.view import ClipView
    from speedtest_tui.core.convert.convert import Target
    from speedtest_tui.core.convert.preview import Preview
    from speedtest_tui.core.jobs.job import JobView
    from speedtest_tui.core.jobs.offers import Offer, Offers
    from speedtest_tui.core.jobs.overview import CacheOverview
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.own import ConvertedModel
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.core.race.row import RaceSnapshot


@dataclass
class MachineKnown(Message):
    """The machine's description has been read."""

    sentence: str


@dataclass
class BackendsKnown(Message):
    """Installed packages have been asked for further backends."""

    entries: tuple[BackendEntry, ...]


@dataclass
class ModelsKnown(Message):
    """Every backend's model has been looked up for a size; `converted` are models that are chosen by their folder."""

    size: str
    reports: tuple[ModelReport, ...]
    converted: tuple[ConvertedModel, ...] = ()


@dataclass
class ClipReady(Message):
    """A clip has been read."""

    view: ClipView


@dataclass
class ClipRefused(Message):
    """A clip cannot be used; `reason` is one sentence that ends with what to do."""

    reason: str


@dataclass
class RecorderChanged(Message):
    """The microphone's level has changed, or a recording grows. A newer one replaces an older one that still waits."""

    state: RecorderState

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RecorderChanged) and not message.state.over


@dataclass
class RecordingFailed(Message):
    """Nothing was recorded; `reason` is one sentence that ends with what to do."""

    reason: str


@dataclass
class PlayerChanged(Message):
    """A clip is being played."""

    state: PlayerState

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PlayerChanged) and not message.state.over


@dataclass
class DevicesKnown(Message):
    """The microphones have been listed."""

    report: DeviceReport


@dataclass
class LeftoversFound(Message):
    """Recordings that a killed program left, the newest first."""

    recordings: tuple[Recording, ...]


@dataclass
class RaceChanged(Message):
    """The race has moved on. A newer one replaces an older one that still waits to be handled."""

    snapshot: RaceSnapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RaceChanged)


@dataclass
class RaceEnded(Message):
    """The race is over and kept, or not.

    marks: each backend's text with its differences from the reference, or without one from the majority
    since: how it compares with the previous session on the same clip or plan, in a sentence, or empty
    """

    snapshot: RaceSnapshot
    kept: Kept
    marks: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict)
    since: str = ""


@dataclass
class SessionClipWanted(Message):
    """A person who looks at a session wants its clip on the dashboard."""

    path: Path


@dataclass
class Copied(Message):
    """Text went to the clipboard: through `program`, or through the terminal alone where that is empty."""

    program: str


@dataclass
class TaskFailed(Message):
    """Something in the background went wrong that nobody foresaw."""

    what: str


@dataclass
class CachesInspected(Message):
    """The caches have been looked at, as far as that has come. `trash_bytes` lie in the trash."""

    overview: CacheOverview
    trash_bytes: int = 0


@dataclass
class JobChanged(Message):
    """Work on models has moved on, or is over. A newer one replaces an older one that still waits."""

    view: JobView

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, JobChanged) and not message.view.over


@dataclass
class CheckpointRead(Message):
    """It is known what a checkpoint is, or, in `advice`, why it cannot be used."""

    path: Path
    preview: Preview | None = None
    advice: Advice | None = None


@dataclass
class TargetRead(Message):
    """It is known whether a folder can be filled. `text` is what was typed; None where the program suggests it."""

    target: Target
    text: str | None = None


@dataclass
class OffersKnown(Message):
    """What could race; more may follow. A newer one replaces an older one that still waits to be handled."""

    offers: Offers

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, OffersKnown)


@dataclass
class CandidatesRead(Message):
    """Candidates by their names, for the picker.

    offers: as they stand; problems: of names that mean nothing, a sentence each
    shortlist: the list that they are of; "" for names that were typed
    """

    offers: tuple[Offer, ...]
    problems: tuple[str, ...] = ()
    shortlist: str = ""
