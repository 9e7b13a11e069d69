"""Medians, their uncertainty, and when one of them may be called the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 2_000
"""Enough for a stable 95 % interval of a median: its bootstrap values are few, so more change no digit shown."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % bootstrap interval, in whatever unit the samples had."""

    value: float
    low: float
    high: float


def resampled_medians(samples: Sequence[float], seed: int) -> list[float]:
    """Medians of RESAMPLES draws with replacement; the same seed always gives the same ones."""
    import random
    from statistics import median

    draw, size = random.Random(seed), len(samples)
    at_once = max(1, 10_000 // size)  # each call costs as much as some ten draws
    lots = (draw.choices(samples, k=size * min(at_once, RESAMPLES - done)) for done in range(0, RESAMPLES, at_once))
    return [median(lot[start : start + size]) for lot in lots for start in range(0, len(lot), size)]


def _percentile_interval(value: float, resampled: list[float]) -> Interval:
    resampled.sort()
    cut = int(len(resampled) * (1 - CONFIDENCE) / 2)
    return Interval(value, resampled[cut], resampled[-1 - cut])


def median_interval(samples: Sequence[float]) -> Interval | None:
    """Median with its percentile bootstrap interval (Efron 1979); None for fewer than two samples.

    The seed is fixed: the same runs always print the same interval.
    """
    if len(samples) < 2:
        return None
    from statistics import median

    return _percentile_interval(median(samples), resampled_medians(samples, 0))


def ratio_interval(slower: Sequence[float], faster: Sequence[float]) -> Interval | None:
    """median(slower) / median(faster) with its bootstrap interval, both resampled independently.

    None where either has fewer than two samples: one run says nothing of its own spread.
    """
    if len(slower) < 2 or len(faster) < 2:
        return None
    from statistics import median

    return ratio_of(median(slower) / median(faster), resampled_medians(slower, 1), resampled_medians(faster, 2))


def ratio_of(value: float, slower: Sequence[float], faster: Sequence[float]) -> Interval:
    """The interval of a ratio of medians from what `resampled_medians` gave for both, drawn with different seeds."""
    return _percentile_interval(value, [a / b for a, b in zip(slower, faster, strict=True)])


LARGEST_Z = 3.5
"""Of Iglewicz and Hoaglin (1993), "How to Detect and Handle Outliers": a modified z beyond it is an outlier's."""


def outliers(samples: Sequence[float]) -> tuple[int, ...]:
    """Places of those that are unlike the others: by 0.6745 times their distance from the median over the median of all
    distances. None of fewer than five, nor where half of all are alike."""
    from statistics import median

    middle = median(samples) if len(samples) > 4 else 0.0
    typical = median(abs(sample - middle) for sample in samples) if middle else 0.0
    if not typical:
        return ()
    return tuple(i for i, sample in enumerate(samples) if 0.6745 * abs(sample - middle) / typical > LARGEST_Z)


def rtfx(clip_seconds: float, median_seconds: float) -> float:
    """Audio seconds per processing second, as the Open ASR Leaderboard defines it."""
    return clip_seconds / median_seconds
