"""Medians and their intervals: right where that can be worked out by hand, honest where it must be simulated."""

from __future__ import annotations

import random
from statistics import median

import pytest

from speedtest_tui.core.race.statistics import (
    all_ratios,
    chained_ratio,
    median_interval,
    paired_ratio,
    ratio_interval,
    rtfx,
    signed_rank_cut,
    t_quantile,
)


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


# Comparing within rounds.


@pytest.mark.parametrize(
    ("share", "free", "value"),
    [(0.975, 1, 12.706), (0.975, 4, 2.776), (0.975, 10, 2.228), (0.995, 4, 4.604), (0.975, 1e6, 1.960)],
)
def test_quantiles_of_students_t(share: float, free: float, value: float) -> None:
    """As printed tables have them."""
    assert t_quantile(share, free) == pytest.approx(value, abs=0.001)


@pytest.mark.parametrize(("count", "cut"), [(6, 1), (8, 4), (10, 9), (12, 14), (20, 53), (50, 435)])
def test_which_pairwise_mean_bounds_an_interval(count: int, cut: int) -> None:
    """One above the critical values of Wilcoxon's signed ranks for 5 % on both sides, as printed tables have them."""
    assert signed_rank_cut(count, 0.05) == cut
    assert signed_rank_cut(5, 0.05) == 1


@pytest.mark.parametrize("rounds", [5, 20])
def test_what_disturbs_a_whole_round_counts_for_neither(rounds: int) -> None:
    draw = random.Random(rounds)
    heat = [draw.uniform(1, 3) for _ in range(rounds)]
    faster = [0.10 * hot * draw.lognormvariate(0, 0.005) for hot in heat]
    slower = [0.105 * hot * draw.lognormvariate(0, 0.005) for hot in heat]
    found, apart = paired_ratio(slower, faster), ratio_interval(slower, faster)
    assert found is not None and apart is not None
    assert 1.03 < found.low < 1.05 < found.high < 1.07
    assert apart.low < 1


def test_one_run_that_was_held_up_moves_little() -> None:
    draw = random.Random(2)
    faster = [0.1 * draw.lognormvariate(0, 0.01) for _ in range(20)]
    slower = [0.11 * draw.lognormvariate(0, 0.01) for _ in range(20)]
    found = paired_ratio([*slower[:-1], 1.0], faster)
    assert found is not None
    assert 1.08 < found.low < 1.1 < found.high < 1.12


def test_rounds_that_only_one_has_do_not_count() -> None:
    assert paired_ratio([2.0, 2.0, 9.0], [1.0, 1.0]) == paired_ratio([2.0, 2.0], [1.0, 1.0])
    assert paired_ratio([1.0], [1.0]) is None


def test_more_pairs_have_wider_intervals() -> None:
    draw = random.Random(3)
    for rounds in (5, 20):
        runs = [[draw.lognormvariate(0, 0.05) for _ in range(rounds)] for _ in range(6)]
        alone, among = paired_ratio(runs[1], runs[0]), all_ratios(runs)[1, 0]
        assert alone is not None and among is not None
        assert among.low < alone.low < alone.high < among.high
    assert set(all_ratios([[1.0], [2.0], [3.0]])) == {(1, 0), (2, 0), (2, 1)}


@pytest.mark.parametrize("drift", [0.5, 1.0, 2.0])
def test_a_ratio_through_what_both_ran_beside_holds_as_often_as_it_says(drift: float) -> None:
    """Seeded: b takes 1.3 times as long as a, whatever the machine does between their groups, and from run to run."""
    rng = random.Random(17)
    held = 0
    for _ in range(300):
        heat = [[by * rng.lognormvariate(0, 0.1) for _ in range(5)] for by in (1.0, drift)]
        a, beside_a, b, beside_b = (
            [seconds * one * rng.lognormvariate(0, 0.02) for one in heat[group]]
            for seconds, group in ((1.0, 0), (0.4, 0), (1.3, 1), (0.4, 1))
        )
        found = chained_ratio([(b, beside_b), (beside_a, a)])
        back = chained_ratio([(a, beside_a), (beside_b, b)])
        assert found and back and found.value * back.value == pytest.approx(1) == found.low * back.high
        held += found.low <= 1.3 <= found.high
    assert 0.92 <= held / 300 <= 0.99


def test_a_chain_of_links() -> None:
    two, one = [2.0, 2.2, 2.1], [1.0, 1.05, 1.1]
    assert chained_ratio([(two, one)], 6) == paired_ratio(two, one, 6)
    assert chained_ratio([(two, one), ([1.0], [1.0])]) is None and chained_ratio([]) is None
    twice, wider = chained_ratio([(two, one)] * 2), chained_ratio([(two, one)] * 2, 6)
    alone = paired_ratio(two, one)
    assert twice and wider and alone and twice.value == pytest.approx(alone.value**2)
    assert wider.low < twice.low < twice.high < wider.high
    exact = chained_ratio([([2.0, 2.0], [1.0, 1.0])] * 2)
    assert exact and (exact.low, exact.high) == pytest.approx((4, 4))
    # Without links the clock decides; the correction is that of all pairs.
    runs = [one, two, [3.0, 3.1, 3.3]]
    assert all_ratios(runs, links=lambda slower, faster: []) == all_ratios(runs, paired=False)
    assert all_ratios(runs[:2], links=lambda slower, faster: [(runs[slower], runs[faster])]) == all_ratios(runs[:2])


def test_three_rounds_tell_apart_what_is_clear() -> None:
    """Eight candidates, each a third slower than the one before, with 3 % of noise: 28 pairs."""
    draw = random.Random(8)
    runs = [[1.33**place * draw.lognormvariate(0, 0.03) for _ in range(3)] for place in range(8)]
    found = all_ratios(runs)
    assert len(found) == 28
    assert all(ratio is not None and ratio.low > 1 for ratio in found.values())
    equal = all_ratios([[draw.lognormvariate(0, 0.03) for _ in range(3)] for _ in range(8)])
    assert all(ratio is not None and ratio.low <= 1 <= ratio.high for ratio in equal.values())
