"""What parent and child of a race say to each other, and what each message changes in a row.

The parent gives an Assignment, then Run commands and Close. The child imports this module, too: nothing here needs more
than the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from backends.base import DeviceMemory, Loaded, Segment, Transcription
from speedtest_tui.core.process.lines import Message

if TYPE_CHECKING:
    from speedtest_tui.core.race.row import Row

CHILD = "speedtest_tui.core.race.child"

TurnKind = Literal["warm-up", "run"]

PULSE_S = 30
"""A pulse is the beginning of the clip: enough to use every weight, and of an hour's clip no second hour."""


@dataclass(frozen=True)
class Assignment:
    """What one child is for.

    reference: the backend, as "module:attribute"
    spec, location, load_options, transcribe_options: fields of the dataclasses of `backends.base`
    clip_descriptor: an inherited file descriptor of the clip's samples, little-endian float32
    """

    reference: str
    spec: dict[str, Any]
    location: dict[str, Any]
    load_options: dict[str, Any]
    transcribe_options: dict[str, Any]
    clip_descriptor: int


@dataclass(frozen=True)
class Transcribe:
    """A command: one transcription. `index` counts from 0 within its kind; pulse: an untimed one comes right before.

    clip: where it lies in the file of samples and how long it is, both in bytes; None for all of that file
    """

    kind: TurnKind
    index: int
    pulse: bool = False
    clip: tuple[int, int] | None = None


CLOSE: dict[str, str] = {}
"""The command that ends a child: no transcription."""


@dataclass(frozen=True)
class Entered(Message):
    """The child begins a step; "starting" where its clip is read and its backend made."""

    phase: Literal["starting", "importing", "loading", "warming", "running", "ended"]


@dataclass(frozen=True)
class Imported(Message):
    """The library is imported."""

    seconds: float


@dataclass(frozen=True)
class ModelLoaded(Message):
    """The model is loaded.

    peak_rss: the process's largest resident size so far, in bytes; peak_footprint: as macOS counts it, None elsewhere
    """

    seconds: float
    facts: Loaded
    peak_rss: int
    device_memory: DeviceMemory
    peak_footprint: int | None = None


@dataclass(frozen=True)
class Transcribed(Message):
    """One transcription is done.

    facts: what the backend observed of its device after its first transcription, as names and values
    """

    kind: TurnKind
    index: int
    seconds: float
    transcription: Transcription
    peak_rss: int
    device_memory: DeviceMemory
    peak_footprint: int | None = None
    facts: tuple[tuple[str, str], ...] = ()


MESSAGES = (Entered, Imported, ModelLoaded, Transcribed)


def apply(row: Row, message: Message) -> Row:
    """Take a message into a row. Raises ValueError for a time that is none.

    Of a row that takes part in a later group again, the times of its first process stay.
    """
    row = replace(row, since=message.at)
    if isinstance(message, Entered):
        return replace(row, phase=message.phase)
    if isinstance(message, Imported):
        seconds = _seconds(message)
        return replace(row, phase="importing", import_s=seconds if row.import_s is None else row.import_s)
    if isinstance(message, ModelLoaded):
        new = tuple(warning for warning in message.facts.warnings if warning not in row.warnings)
        seconds = _seconds(message) if row.load_s is None else row.load_s
        row = replace(row, phase="loaded", load_s=seconds, loaded=message.facts, warnings=(*row.warnings, *new))
        return _memory(row, message)
    if isinstance(message, Transcribed):
        return _memory(_ran(replace(row, phase="resting"), message), message)
    return row


def _ran(row: Row, message: Transcribed) -> Row:
    seconds = _seconds(message)
    transcription = _finite(message.transcription)
    before = row.transcription
    new = [w for w in transcription.warnings if w not in row.warnings]
    if before and before.text != transcription.text:
        changed = "its text differed between runs"
        new += [changed] if changed not in row.warnings else []
    if before and before.invalid and not (before.looping and transcription.invalid):
        # One invalid output is enough to discredit the row, whichever run it came from.
        transcription = replace(transcription, invalid=before.invalid, looping=before.looping)
    row = replace(row, transcription=transcription, warnings=(*row.warnings, *new))
    if row.loaded and message.facts:
        row = replace(row, loaded=replace(row.loaded, options=(*row.loaded.options, *message.facts)))
    if message.kind == "run":
        return replace(row, runs_s=(*row.runs_s, seconds), run_figures=(*row.run_figures, transcription.figures))
    first_s = seconds if row.first_s is None else row.first_s
    return replace(row, first_s=first_s, warmups_done=row.warmups_done + 1)


def _memory(row: Row, message: ModelLoaded | Transcribed) -> Row:
    device = message.device_memory
    return replace(
        row,
        peak_rss=max(row.peak_rss, message.peak_rss),
        peak_footprint=_larger(row.peak_footprint, message.peak_footprint),
        device_peak=_larger(row.device_peak, device.peak),
        device_cache=_larger(row.device_cache, device.cache),
        device_held=None if device.active is None else device.active + (device.cache or 0),
        device_limit=device.limit or row.device_limit,
    )


def _larger(known: int | None, new: int | None) -> int | None:
    return known if new is None else max(known or 0, new)


def _seconds(message: Imported | ModelLoaded | Transcribed) -> float:
    if not 0 <= message.seconds < float("inf"):
        raise ValueError(f"{message.seconds} seconds")
    return message.seconds


def _finite(transcription: Transcription) -> Transcription:
    """Without times and figures that are not finite: they have no place in JSON, nor on a time line."""

    def timed(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        return tuple(segment for segment in segments if isfinite(segment.start) and isfinite(segment.end))

    return replace(
        transcription,
        segments=timed(transcription.segments),
        words=timed(transcription.words),
        figures=tuple((name, value) for name, value in transcription.figures if isfinite(value)),
    )
