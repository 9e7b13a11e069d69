"""Medians and their intervals: right where that can be worked out by hand, honest where it must be simulated."""

from __future__ import annotations

import random
from statistics import median

import pytest

from speedtest_tui.core.race.statistics import median_interval, ratio_interval, rtfx


def test_one_run_has_no_interval() -> None:
    assert median_interval([]) is None
    assert median_interval([1.0]) is None
    assert ratio_interval([1.0], [1.0, 2.0]) is None
    assert ratio_interval([1.0, 2.0], [1.0]) is None


def test_equal_runs_have_no_spread() -> None:
    interval = median_interval([0.25] * 5)
    assert interval is not None
    assert (interval.low, interval.value, interval.high) == (0.25, 0.25, 0.25)


def test_two_runs_span_both() -> None:
    """A resample is (a, a) with probability 1/4, more than 2.5 %: the interval must reach both ends."""
    interval = median_interval([1.0, 3.0])
    assert interval is not None
    assert (interval.low, interval.value, interval.high) == (1.0, 2.0, 3.0)


def test_three_runs_span_all() -> None:
    """The median of a resample of three is the smallest with probability 7/27, far more than 2.5 %."""
    interval = median_interval([5.0, 1.0, 2.0])
    assert interval is not None
    assert (interval.low, interval.value, interval.high) == (1.0, 2.0, 5.0)


def test_one_outlier_among_many_does_not_count() -> None:
    """Of eleven runs an outlier is the median of a resample with a probability below 0.1 %."""
    interval = median_interval([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 100.0])
    assert interval is not None
    assert interval.value == 1.5
    assert 1.0 <= interval.low < 1.5 < interval.high < 2.0


def test_the_same_runs_give_the_same_interval() -> None:
    runs = [random.Random(1).random() for _ in range(7)]
    assert median_interval(runs) == median_interval(list(runs))
    assert ratio_interval(runs, runs[:4]) == ratio_interval(runs, runs[:4])


@pytest.mark.parametrize("count", [10, 25])
def test_coverage_on_simulated_runs(count: int) -> None:
    """Of 95 % intervals some 95 % should hold the true median; log-normal, as run times are."""
    draw = random.Random(count)
    held = 0
    trials = 150
    for _ in range(trials):
        interval = median_interval([draw.lognormvariate(0.0, 0.1) for _ in range(count)])
        assert interval is not None
        held += interval.low <= 1.0 <= interval.high
    assert 0.89 * trials <= held <= trials


def test_a_ratio_of_clearly_different_runs() -> None:
    interval = ratio_interval([2.0, 2.1, 1.9, 2.0, 2.05], [1.0, 1.05, 0.95, 1.0, 1.02])
    assert interval is not None
    assert interval.value == pytest.approx(2.0)
    assert 1.7 < interval.low < 2.0 < interval.high < 2.3


def test_equals_can_rarely_be_told_apart() -> None:
    """Two backends of the same speed must be called different in few races: about 5 %, bootstrap medians a bit more."""
    draw = random.Random(5)
    wrong = 0
    for _ in range(150):
        a, b = ([draw.lognormvariate(0.0, 0.1) for _ in range(10)] for _ in range(2))
        slower, faster = (a, b) if median(a) >= median(b) else (b, a)
        interval = ratio_interval(slower, faster)
        assert interval is not None
        wrong += interval.low > 1
    assert wrong <= 15


def test_rtfx_is_audio_over_processing() -> None:
    assert rtfx(10.0, 0.5) == 20.0
