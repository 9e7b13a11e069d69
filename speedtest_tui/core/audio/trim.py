"""Silence before the first word and after the last: found, offered, and taken off only from a copy of the view."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio import level
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip

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
    stale = set(level.warnings(level.measure(clip.samples)))
    samples = clip.samples[begin:end]
    measured = level.measure(samples)
    kept = tuple(warning for warning in clip.warnings if warning not in stale)
    return dataclasses.replace(
        clip, samples=samples, warnings=(*kept, *level.warnings(measured)), speech=measured.speech
    )
