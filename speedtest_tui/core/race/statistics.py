"""Medians, their uncertainty, and when one of them may be called the fastest."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES = 2_000
"""Enough for a stable 95 % interval of a median: its bootstrap values are few, so more change no digit shown."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, in whatever unit the samples had."""

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


def _percentile_interval(value: float, resampled: list[float], pairs: int = 1) -> Interval:
    resampled.sort()
    cut = int(len(resampled) * (1 - CONFIDENCE) / pairs / 2)
    return Interval(value, resampled[cut], resampled[-1 - cut])


def median_interval(samples: Sequence[float]) -> Interval | None:
    """Median with its percentile bootstrap interval (Efron 1979); None for fewer than two samples.

    The seed is fixed: the same runs always print the same interval.
    """
    if len(samples) < 2:
        return None
    from statistics import median

    return _percentile_interval(median(samples), resampled_medians(samples, 0))


def ratio_interval(slower: Sequence[float], faster: Sequence[float], pairs: int = 1) -> Interval | None:
    """median(slower) / median(faster) with its bootstrap interval, both resampled independently: for runs that have no
    rounds in common.

    None where either has fewer than two samples: one run says nothing of its own spread.
    """
    if len(slower) < 2 or len(faster) < 2:
        return None
    from statistics import median

    drawn = zip(resampled_medians(slower, 1), resampled_medians(faster, 2), strict=True)
    return _percentile_interval(median(slower) / median(faster), [a / b for a, b in drawn], pairs)


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


SIGNED_RANKS_FROM = 12
"""Rounds from which pairs are compared by signed ranks: 12 are the fewest that can tell 12 candidates (66 pairs) apart.

With fewer, ranks can say nothing whatever was measured: of 5 rounds all in favour of one have a probability of 1 in 16.
"""


PRIOR_FREE = 3.0
"""Degrees of freedom, at most, that the spread of all pairs lends to that of one; see `all_ratios`."""


def paired_ratio(
    slower: Sequence[float], faster: Sequence[float], pairs: int = 1, lent: tuple[float, float] = (0.0, 0.0)
) -> Interval | None:
    """How many times longer `slower` took than `faster`, each run divided by the other's of the same round.

    What both share in a round (heat, other programs) so falls out. Over the logarithms of these ratios: from
    SIGNED_RANKS_FROM rounds on the median of all pairwise means with the exact interval of Wilcoxon's signed ranks
    (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3.2 and 3.3), which a run
    that something else held up hardly moves; below that Student's t. None with fewer than two rounds.

    pairs: how many such intervals are to hold 95 % of the time all together (Bonferroni)
    lent: variance of such logarithms elsewhere in the race, and its degrees of freedom
    """
    logs = _logs(slower, faster)
    if len(logs) < 2:
        return None
    if len(logs) >= SIGNED_RANKS_FROM:
        return _exp(*_signed_ranks(logs, (1 - CONFIDENCE) / pairs))
    from statistics import fmean, variance

    other, more = lent
    free = len(logs) - 1 + more
    spread = (variance(logs) * (len(logs) - 1) + other * more) / free
    return _exp(*_student(fmean(logs), spread / len(logs), free, pairs))


def _logs(slower: Sequence[float], faster: Sequence[float]) -> list[float]:
    """The logarithm of the ratio in each round that both have."""
    from math import log

    return [log(a / b) for a, b in zip(slower, faster, strict=False)]


Links = Sequence[tuple[Sequence[float], Sequence[float]]]


def chained_ratio(links: Links, pairs: int = 1) -> Interval | None:
    """How many times longer one took than another with which it shares no round, through what both ran beside.

    The logarithms of the ratios of all links add up, and so do their squared standard errors, as no two links have a
    run in common; the interval is Student's t with the degrees of freedom of Welch and Satterthwaite (Welch 1947). None
    where a link has fewer than two rounds; one link alone is a `paired_ratio`.

    links: runs of the same rounds, of two that ran in them; the second of each link is the first of the next
    """
    if len(links) == 1:
        return paired_ratio(*links[0], pairs)
    logs = [_logs(slower, faster) for slower, faster in links]
    if min(map(len, logs), default=0) < 2:
        return None
    values, errors, free = zip(*map(_moments, logs), strict=True)
    error = sum(errors)
    welch = error**2 / sum(one**2 / each for one, each in zip(errors, free, strict=True)) if error else 1.0
    return _exp(*_student(sum(values), error, welch, pairs))


def all_ratios(
    runs: Sequence[Sequence[float]], *, paired: bool = True, links: Callable[[int, int], Links] | None = None
) -> dict[tuple[int, int], Interval | None]:
    """The ratio of each of `runs` to each before it, by their indices; the intervals hold 95 % of the time together.

    Those that are apart are told so step by step (Holm 1979): what is clear even among all pairs makes it easier for
    the rest. After few rounds the spread of a pair is hardly known from itself, and is drawn towards that of all pairs
    (a moderated t, Smyth 2004), with PRIOR_FREE degrees of freedom at most: `tools/check_statistics.py` shows that
    unequal noise does not make false winners of it.

    paired: whether runs of one place are of one round
    links: instead of that, through which runs two compare; by the clock where there are none
    """
    left = [(slower, faster) for slower in range(len(runs)) for faster in range(slower)]
    lent = _lent(runs) if paired and links is None else (0.0, 0.0)

    def ratio(slower: int, faster: int) -> Interval | None:
        own = runs[slower], runs[faster]
        chain = links(slower, faster) if links else [own] if paired else []
        if len(chain) > 1:
            return chained_ratio(chain, len(left))
        return paired_ratio(*chain[0], len(left), lent) if chain else ratio_interval(*own, len(left))

    found: dict[tuple[int, int], Interval | None] = {}
    while left:
        found |= {pair: ratio(*pair) for pair in left}
        tied = [pair for pair in left if (one := found[pair]) is None or one.low <= 1 <= one.high]
        if len(tied) == len(left):
            break
        left = tied
    return found


def _lent(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The mean variance of all pairs, and how far it may be relied upon: not at all with two candidates."""
    from statistics import fmean, variance

    logs = [_logs(runs[slower], runs[faster]) for slower in range(len(runs)) for faster in range(slower)]
    spreads = [variance(one) for one in logs if len(one) > 1]
    rounds = min(map(len, runs), default=0)
    if not spreads or len(runs) < 3 or rounds < 2:
        return 0.0, 0.0
    return fmean(spreads), min(PRIOR_FREE, (len(runs) - 2) * (rounds - 1) / 2)


def _exp(value: float, low: float, high: float) -> Interval:
    from math import exp

    return Interval(exp(value), exp(low), exp(high))


def _moments(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, its squared standard error, and degrees of freedom."""
    from statistics import fmean, variance

    return fmean(values), variance(values) / len(values), len(values) - 1


def _student(value: float, error: float, free: float, pairs: int) -> tuple[float, float, float]:
    half = t_quantile(1 - (1 - CONFIDENCE) / pairs / 2, free) * error**0.5
    return value, value - half, value + half


def _signed_ranks(values: Sequence[float], alpha: float) -> tuple[float, float, float]:
    """Estimate and interval of the centre: the median of all pairwise means, and two of these in order of size."""
    import numpy as np

    count = len(values)
    first, second = np.triu_indices(count)
    array = np.asarray(values)
    means = np.sort((array[first] + array[second]) / 2)
    cut = signed_rank_cut(count, alpha)
    return float(np.median(means)), float(means[cut - 1]), float(means[-cut])


EXACT_TO = 60
"""Rounds up to which the distribution of signed ranks is worked out; beyond, its normal approximation is as good."""


@functools.lru_cache(maxsize=1_000)
def signed_rank_cut(count: int, alpha: float) -> int:
    """Which of the pairwise means of `count` values, from below and from above, bounds an interval of 1 - alpha.

    1 where even the outermost ones hold less than that.
    """
    if count > EXACT_TO:
        from statistics import NormalDist

        spread = (count * (count + 1) * (2 * count + 1) / 24) ** 0.5
        return max(1, int(count * (count + 1) / 4 + NormalDist().inv_cdf(alpha / 2) * spread))
    ways = [1]
    for rank in range(1, count + 1):
        ways = [
            (ways[at] if at < len(ways) else 0) + (ways[at - rank] if at >= rank else 0)
            for at in range(len(ways) + rank)
        ]
    limit, below, cut = alpha / 2 * 2**count, 0, 0
    while below + ways[cut] <= limit:
        below += ways[cut]
        cut += 1
    return max(1, cut)


@functools.lru_cache(maxsize=1_000)
def t_quantile(share: float, free: float) -> float:
    """The value below which `share` (above one half) of Student's t distribution with `free` degrees of freedom lies.

    Bisection of the distribution function, an incomplete beta function (Numerical Recipes 6.4, its continued fraction).
    """
    low, high = 0.0, 1.0
    while _above(high, free) > 1 - share:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _above(middle, free) > 1 - share else (low, middle)
    return high


def _above(t: float, free: float) -> float:
    """The share of Student's t distribution above t, which is 0 or more."""
    return _beta(free / 2, 0.5, free / (free + t * t)) / 2


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function."""
    from math import exp, lgamma, log

    if not 0 < x < 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    scale = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 300):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + step * d or tiny), 1 + step / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return scale * value


def rtfx(clip_seconds: float, median_seconds: float) -> float:
    """Audio seconds per processing second, as the Open ASR Leaderboard defines it."""
    return clip_seconds / median_seconds
