"""A clip as people see it: its outline, how loud it is, what is wrong with it, and silence that can be taken off."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio import level
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.audio.level import Finding
from speedtest_tui.core.audio.recording import Recording, diagnose

if TYPE_CHECKING:
    from backends.base import Samples

POINTS = 240
"""Of an outline: more than the cells of any pane that draws it."""

MARGIN_S = 0.25
"""Kept before and after what was found: the quiet beginnings and endings of words lie below any threshold."""

WORTH_S = 0.3
"""Less silence than this is left alone."""

SOUND_FRAMES = 3
"""Frames of 20 ms in a row that make a sound; a key or a mouse button clicks for less."""

BETWEEN = 0.35
"""Where the threshold lies between the room's noise and the loudest speech, in decibels of both."""

REACH_DB = 40.0
"""No sound further than this below the loudest speech is looked for."""


@dataclass(frozen=True)
class Trim:
    """A stretch of a clip, in seconds. `full_s` is the whole clip's length."""

    begin_s: float
    end_s: float
    full_s: float

    @property
    def removed_s(self) -> float:
        return self.full_s - (self.end_s - self.begin_s)


@dataclass(frozen=True)
class ClipView:
    """A clip with what is shown of it.

    outline: peaks from 0 to 1; peak_db, rms_db: dBFS
    recording: what it was recorded as and still lies in on the disk, else None; findings: what is wrong with it
    trim: which silence could be taken off; full: the clip before that was done
    """

    clip: Clip
    outline: tuple[float, ...]
    peak_db: float
    rms_db: float
    recording: Recording | None = None
    findings: tuple[Finding, ...] = ()
    trim: Trim | None = None
    full: Clip | None = None


def view_of(clip: Clip) -> ClipView:
    """A clip of a file. Reads every sample, as all below: not for a screen's thread."""
    level = clip.measured()
    return ClipView(clip, envelope(clip.samples), level.peak_db, level.rms_db)


def view_of_recording(recording: Recording, name: str = "") -> ClipView:
    """A finished recording as a clip, whose warnings are what was found. Raises UserError as `Recording.clip` does."""
    clip = recording.clip(name)
    findings = diagnose(clip, recording.facts)
    clip = dataclasses.replace(clip, warnings=tuple(str(each.advice) for each in findings) or clip.warnings)
    return dataclasses.replace(view_of(clip), recording=recording, findings=findings, trim=suggest(clip))


def toggle_trim(view: ClipView) -> ClipView:
    """Take off the silence that is suggested, or put it back; the same view where nothing is suggested."""
    if view.trim is None:
        return view
    clip, full = (view.full, None) if view.full else (apply(view.clip, view.trim), view.clip)
    shown = view_of(clip)
    return dataclasses.replace(
        view, clip=clip, outline=shown.outline, peak_db=shown.peak_db, rms_db=shown.rms_db, full=full
    )


def suggest(clip: Clip) -> Trim | None:
    """The stretch that holds the speech, with a margin; None where there is nothing to take off or nobody speaks."""
    import numpy as np

    frames = len(clip.samples) // level.FRAME
    if not clip.speech or frames < 2 * SOUND_FRAMES:
        return None
    # Frame by frame in views: an hour-long clip is not copied.
    powers = clip.samples[: frames * level.FRAME].reshape(frames, -1).var(axis=1, dtype=np.float64)
    levels = 10 * np.log10(np.maximum(powers, 10 ** (level.FLOOR_DB / 10)))
    ordered = np.sort(levels)
    loud = float(ordered[max(frames - level.LOUD_FRAMES, frames // 2)])
    room = float(ordered[frames // 10])
    if loud - room < level.SPREAD_DB:
        return None
    above = levels >= max(room + BETWEEN * (loud - room), loud - REACH_DB)
    runs = np.convolve(above, np.ones(SOUND_FRAMES), "valid") >= SOUND_FRAMES
    if not runs.any():
        return None
    step = level.FRAME / SAMPLE_RATE
    found = np.flatnonzero(runs)
    begin = max(0.0, float(found[0]) * step - MARGIN_S)
    end = min(clip.seconds, float(found[-1] + SOUND_FRAMES) * step + MARGIN_S)
    begin = begin if begin >= WORTH_S else 0.0
    end = end if clip.seconds - end >= WORTH_S else clip.seconds
    return None if (begin, end) == (0.0, clip.seconds) else Trim(begin, end, clip.seconds)


def apply(clip: Clip, trim: Trim) -> Clip:
    """`clip` cut down to the stretch. Its samples are a view: `clip` itself stays whole, so that this can be undone.

    Raises ValueError for a stretch that is no part of the clip or shorter than MIN_SECONDS.
    """
    begin, end = (math.floor(seconds * SAMPLE_RATE + 0.5) for seconds in (trim.begin_s, trim.end_s))
    if not 0 <= begin < end <= len(clip.samples) or (end - begin) < MIN_SECONDS * SAMPLE_RATE:
        raise ValueError(f"{trim.begin_s:.3f} to {trim.end_s:.3f} s is no usable part of {clip.seconds:.3f} s")
    # Warnings about the level are made anew: what they were about may be gone.
    stale = set(level.warnings(clip.measured()))
    samples = clip.samples[begin:end]
    measured = level.measure(samples)
    kept = tuple(warning for warning in clip.warnings if warning not in stale)
    return dataclasses.replace(
        clip,
        samples=samples,
        warnings=(*kept, *level.warnings(measured)),
        speech=measured.speech,
        level=measured,
    )


def envelope(samples: Samples, points: int = POINTS) -> tuple[float, ...]:
    """Largest absolute sample in each of `points` equal stretches, 0 to 1; fewer points for a shorter clip.

    Works on views: an hour-long clip is not copied.
    """
    import numpy as np

    points = min(points, len(samples))
    edges = np.linspace(0, len(samples), points + 1).astype(np.int64)[:-1]
    high = np.maximum.reduceat(samples, edges)
    low = np.minimum.reduceat(samples, edges)
    return tuple(float(value) for value in np.maximum(high, -low))
