"""How loud a clip is, and what is wrong with it: silence, digital zeros, a low level, clipping.

dBFS here is 20 log10(amplitude) with 1.0 as 0 dB, for peaks and for RMS values alike: a full-scale square wave has an
RMS level of 0 dBFS, a full-scale sine of -3.01 dBFS. (AES17 adds 3.01 dB to RMS values; this does not.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backends.base import SAMPLE_RATE, Advice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Samples


FLOOR_DB = -120.0
"""Stands for all levels below it, digital silence included; 16-bit noise lies near -98 dBFS."""

FRAME = SAMPLE_RATE // 50
"""Samples in a frame of 20 ms, the usual step of speech coders: shorter than a sound, longer than a pitch period."""

LOUD_FRAMES = 5
"""Frames (0.1 s) that must reach a level for it to count, so that a click or two is not taken for speech."""

SILENCE_DB = -60.0
"""Nothing above this is speech. RFC 7874, section 4, asks for active speech at an RMS of 2600 of 32767 (-22 dBFS)
within 6 dB; this is 38 dB below, where the rooms and preamplifiers of laptops have their own noise."""

QUIET_DB = -45.0
"""Speech below this is said to be very quiet: 17 dB below the lower end of RFC 7874's range. Noise that is steadier
than SPREAD_DB and below this is a room without a speaker; louder steady sound is left for the backends to judge."""

SPREAD_DB = 6.0
"""Speech rises further than this above its own median or its pauses; a fan's 20 ms frames stay within 3 dB."""

ACTIVE_DB = 15.9
"""Frames that count as active lie at most this far below the loudest, after the margin of ITU-T P.56, method B."""

FULL_SCALE = 0.99
"""Amplitude from which a sample is at full scale: resampling leaves ripples of about 1 % on a clipped plateau."""

CLIPPED_RUN = 3
"""Consecutive samples at the limit that make a clipped peak, and clipped peaks that make a warning: an unclipped
peak that was normalised to full scale can hold three samples there, but hardly three peaks do (those of a full-scale
tone below 360 Hz do)."""

PLATEAU = 0.25
"""Peak (-12 dBFS) above which equal extreme samples mean clipping before the level was turned down; below, coarse
quantisation makes equal samples too."""

ZERO_SECONDS = 0.5
"""Exact zeros for longer than this are worth a word: no microphone that is switched on gives them."""

_BLOCK = 512 * FRAME


@dataclass(frozen=True)
class Level:
    """A clip's levels in dBFS, at least FLOOR_DB, and what was counted in it.

    peak_db: of the largest sample
    rms_db: of all samples
    active_db: RMS level of its active frames, mean removed: of the speech, where there is any
    clipped: samples in clipped peaks, 0 below three peaks
    clipped_peaks: runs of at least three such samples
    exact_zero: longest run of samples that are exactly 0, in seconds
    seconds: length of the clip
    speech: False where it is too quiet, or too quiet and too steady, to be speech; music and loud noise count as
        speech, for a level cannot tell them apart
    """

    peak_db: float
    rms_db: float
    active_db: float
    clipped: int
    clipped_peaks: int
    exact_zero: float
    seconds: float
    speech: bool


FindingKind = Literal["digital-silence", "no-speech", "zeros", "quiet", "clipped", "bluetooth", "incomplete"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a clip; the last two kinds are of recordings only."""

    kind: FindingKind
    advice: Advice


def measure(samples: Samples) -> Level:
    """Measure samples, float32, shape (n,), n > 0, 16 kHz; works in blocks and copies none longer than 10 s."""
    import numpy as np

    highest, lowest = float(samples.max()), float(samples.min())
    zeros, clipping, energy = _Runs(2), [_Runs(CLIPPED_RUN), _Runs(CLIPPED_RUN)], 0.0
    upper, lower = _limit(highest), -_limit(-lowest)
    powers: list[NDArray[np.float64]] = []
    for block in _blocks(samples):
        energy += float(np.dot(block, block))
        zeros.add(block == 0)
        clipping[0].add(block >= upper)
        clipping[1].add(block <= lower)
        powers.append(_frame_powers(block))
    for run in (zeros, *clipping):
        run.end()
    active, speech = _speech(np.concatenate(powers))
    peaks = clipping[0].count + clipping[1].count
    clipped = clipping[0].samples + clipping[1].samples if peaks >= CLIPPED_RUN else 0
    return Level(
        peak_db=_decibels(max(highest, -lowest) ** 2),
        rms_db=_decibels(energy / len(samples)),
        active_db=active,
        clipped=clipped,
        clipped_peaks=peaks if clipped else 0,
        exact_zero=zeros.longest / SAMPLE_RATE,
        seconds=len(samples) / SAMPLE_RATE,
        speech=speech,
    )


def findings(level: Level) -> tuple[Finding, ...]:
    """What is wrong, the worst first; empty where nothing is."""
    found: list[tuple[FindingKind, str]] = []
    if level.exact_zero >= level.seconds:
        found.append(("digital-silence", f"silent: all {level.seconds:.1f} s are exact zeros"))
    elif not level.speech:
        found.append(("no-speech", f"no speech: clicks aside, only noise at {level.active_db:.0f} dBFS"))
    if ZERO_SECONDS <= level.exact_zero < level.seconds:
        found.append(("zeros", f"{level.exact_zero:.1f} s in a row are exact zeros (muted, interrupted or edited)"))
    if level.speech and level.active_db < QUIET_DB:
        found.append(("quiet", f"very quiet: speech at {level.active_db:.0f} dBFS, where -22 dBFS is usual"))
    if level.clipped:
        share = level.clipped / (level.seconds * SAMPLE_RATE)
        what = f"clipped: {level.clipped} samples ({share:.2%}) in {level.clipped_peaks} cut-off peaks"
        found.append(("clipped", what))
    return tuple(Finding(kind, Advice(what)) for kind, what in found)


def warnings(level: Level) -> tuple[str, ...]:
    """The findings, each a clause for people."""
    return tuple(finding.advice.what for finding in findings(level))


class _Runs:
    """Counts runs of True that are at least `minimum` long, across blocks."""

    def __init__(self, minimum: int) -> None:
        self._minimum = minimum
        self._open = 0
        self.count = 0
        self.samples = 0
        self.longest = 0

    def add(self, mask: NDArray[np.bool_]) -> None:
        import numpy as np

        if not mask.any():
            self.end()
            return
        starts = np.flatnonzero(mask[1:] & ~mask[:-1]) + 1
        ends = np.flatnonzero(mask[:-1] & ~mask[1:]) + 1
        if mask[0]:
            starts = np.concatenate(([-self._open], starts))
        else:
            self.end()
        if mask[-1]:
            self._open = len(mask) - int(starts[-1])
            starts = starts[:-1]
        else:
            self._open = 0
        self._close(ends - starts)

    def end(self) -> None:
        import numpy as np

        if self._open:
            self._close(np.array([self._open]))
        self._open = 0

    def _close(self, lengths: NDArray[np.int64]) -> None:
        if len(lengths):
            self.longest = max(self.longest, int(lengths.max()))
        long = lengths[lengths >= self._minimum]
        self.count += len(long)
        self.samples += int(long.sum())


def _blocks(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), _BLOCK):
        yield samples[start : start + _BLOCK]


def _limit(extreme: float) -> float:
    """The value from which samples on the side of `extreme` (its magnitude) count as clipped."""
    if extreme >= FULL_SCALE:
        return FULL_SCALE
    return extreme if extreme >= PLATEAU else float("inf")


def _frame_powers(block: Samples) -> NDArray[np.float64]:
    """Variance of each whole frame: power without an offset of the converter or rumble below 25 Hz, float64."""
    import numpy as np

    length = min(FRAME, len(block))
    frames = block[: len(block) // length * length].reshape(-1, length)
    return np.asarray(frames.var(axis=1, dtype=np.float64))


def _speech(powers: NDArray[np.float64]) -> tuple[float, bool]:
    """From powers, shape (frames,): the level of the active frames in dBFS, and whether they can be speech."""
    import numpy as np

    ordered = np.sort(powers)
    # In clips of a few frames the median takes the place of the fifth-loudest.
    loud = float(ordered[max(len(ordered) - LOUD_FRAMES, len(ordered) // 2)])
    active = _decibels(float(powers[powers >= loud * 10 ** (-ACTIVE_DB / 10)].mean()) if loud else 0.0)
    quietest = _decibels(float(ordered[len(ordered) // 10]))
    steady = len(ordered) > 2 * LOUD_FRAMES and _decibels(loud) - quietest < SPREAD_DB
    return active, bool(_decibels(loud) > SILENCE_DB and not (steady and active < QUIET_DB))


def _decibels(power: float) -> float:
    import math

    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB
