"""Whose turn it is, and whether all models fit at once."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from backends.base import BackendEntry
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.race.groups import Groups, Need, anchor_of, crowded, grouped
from speedtest_tui.core.race.plan import Plan, Progress, interleaved, progress
from speedtest_tui.core.race.row import Phase, RaceSnapshot, Row, headline, place_of
from speedtest_tui.core.race.verdict import rank

GB = 1 << 30


def test_rounds_shift_by_one() -> None:
    turns = interleaved((0, 1, 2), 1, 4)
    assert [turn.kind for turn in turns[:3]] == ["warm-up"] * 3
    assert "".join("ABC"[turn.row] for turn in turns) == "ABCABCCABBCAABC"


@pytest.mark.parametrize("rows", [(0,), (4, 2), (0, 1, 2), (0, 1, 2, 3, 9)])
@pytest.mark.parametrize("runs", [1, 3, 5])
def test_everybody_gets_every_run_once_and_in_order(rows: tuple[int, ...], runs: int) -> None:
    turns = interleaved(rows, 2, runs)
    assert len(turns) == len(rows) * (2 + runs)
    for row in rows:
        mine = [(turn.kind, turn.index) for turn in turns if turn.row == row]
        assert mine == [("warm-up", 0), ("warm-up", 1), *(("run", index) for index in range(runs))]


def test_positions_fall_on_all_alike() -> None:
    rows = (0, 1, 2, 3)
    turns = interleaved(rows, 0, 8)
    positions = Counter((turn.row, place % 4) for place, turn in enumerate(turns))
    assert set(positions.values()) == {2}


def test_nobody_to_race() -> None:
    assert interleaved((), 1, 5) == ()


def groups_of(sizes: dict[int, Need], available: int) -> list[tuple[int, ...]]:
    groups = Groups(sizes, available)
    found: list[tuple[int, ...]] = []
    while group := groups.next([row for rows in found for row in rows]):
        found.append(group)
    return found


def test_all_together_where_they_fit_and_one_after_another_where_that_is_wanted() -> None:
    needs = {0: Need(GB), 1: Need(GB), 2: Need(GB)}
    assert groups_of(needs, 4 * GB) == [(0, 1, 2)]
    assert groups_of({0: Need(9 * GB)}, GB) == [(0,)]
    assert groups_of({}, 0) == []
    alone = Groups(needs, 4 * GB, "sequential")
    assert [alone.next(), alone.next(), alone.next(), alone.next(), alone.why] == [(0,), (1,), (2,), (), ""]


def test_groups_have_the_smallest_in_common() -> None:
    needs = dict(enumerate(map(Need, (3 * GB, GB, 3 * GB, 2 * GB, 2 * GB))))
    groups = Groups(needs, 8 * GB)
    assert groups.why == "all 5 models together need about 11.8 GB, 8.6 GB are free"
    assert (groups.anchor, groups.planned()) == (1, 2)
    assert groups_of(needs, 8 * GB) == [(0, 1, 3), (1, 2, 4)]


def test_what_does_not_fit_beside_the_anchor_runs_alone() -> None:
    assert groups_of(dict(enumerate(map(Need, (9 * GB, GB, GB)))), 4 * GB) == [(1, 2), (0,)]
    # Where nothing fits together, each does.
    assert groups_of(dict(enumerate(map(Need, (9 * GB, 4 * GB, 8 * GB)))), 4 * GB) == [(1,), (0,), (2,)]


def test_the_anchor_has_real_weights_where_it_can() -> None:
    """Heat slows it as it slows the others; a tiny model is mostly overhead."""
    needs = {0: Need(GB // 8, doubtful=True), 1: Need(2 * GB), 2: Need(GB), 3: Need(2 * GB)}
    assert Groups(needs, 4 * GB).anchor == 2
    # But not at the price of one that does not fit beside it.
    assert Groups({**needs, 4: Need(3 * GB)}, 4 * GB).anchor == 0


def test_a_failed_anchor_is_replaced_by_one_that_has_all_its_runs() -> None:
    groups = Groups(dict(enumerate(map(Need, (GB, GB, 3 * GB, 3 * GB)))), 6 * GB)
    assert (groups.anchor, groups.next()) == (0, (0, 2))
    assert (groups.next([2]), groups.anchor) == ((1, 2), 2)
    assert (groups.next([1, 2]), groups.next([1, 2])) == ((3,), ())  # no room for it beside another large one
    nobody = Groups(dict(enumerate(map(Need, (GB, GB, 3 * GB, 3 * GB)))), 6 * GB)
    nobody.next()
    assert nobody.next([]) == (1, 3)  # all have failed: another one begins


def test_what_the_gpu_holds_decides_once_it_is_known() -> None:
    def on_gpu(held: int, limit: int) -> Need:
        return Need(0, held, limit)

    assert crowded([], 0) == crowded([on_gpu(9 * GB, GB)], 0) == ""
    assert crowded([on_gpu(4 * GB, 10 * GB), on_gpu(4 * GB, 10 * GB)], 0) == ""
    assert crowded([on_gpu(5 * GB, 10 * GB), on_gpu(4 * GB, 11 * GB)], 0) == (
        "2 models together hold 9.7 GB of the GPU's memory, which works well up to 10.7 GB"
    )
    groups = Groups({0: Need(0), 1: Need(0), 2: Need(0)}, GB)
    assert groups.next() == (0, 1, 2)
    for row, held in ((0, 5), (1, 2), (2, 6)):
        groups.needs[row] = on_gpu(held * GB, 10 * GB)
    assert (groups.surplus((0, 1)), groups.surplus((0, 1, 2)), groups.surplus((0, 1))) == (None, 2, None)
    assert (groups.anchor, groups.next([0, 1])) == (1, (1, 2))


def through_anchor(rng: random.Random, drift: float) -> Row:
    """A race in groups (anchor, a) and (anchor, b), between which the machine has drifted; b as it is judged."""

    def runs(seconds: float) -> tuple[float, ...]:
        return tuple(seconds * rng.lognormvariate(0, 0.03) for _ in range(7))

    def row(name: str, runs_s: tuple[float, ...], *groups: int) -> Row:
        return Row(name, "tiny", "ended", status="ok", runs_s=runs_s, groups=tuple(g for g in groups for _ in range(7)))

    return rank(
        [
            row("anchor", runs(0.2) + runs(0.2 * drift), 1, 2),
            row("a", runs(1.0), 1),
            row("b", runs(1.1 * drift), 2),
        ]
    )[2]


@pytest.mark.parametrize("drift", [0.7, 1.0, 1.6])
def test_the_ratio_through_the_anchor_is_unbiased_under_drift_between_groups(drift: float) -> None:
    """b takes 1.1 times as long as a, whatever happens to the machine between the groups of the two.

    Their ratio is then 5.5 to that of the anchor, as the anchor is the fastest; the interval holds it as often as it
    says.
    """
    rng = random.Random(5)
    found = [interval for _ in range(60) if (interval := through_anchor(rng, drift).slower)]
    assert median(interval.value for interval in found) == pytest.approx(5.5, rel=0.01)
    assert sum(interval.low <= 5.5 <= interval.high for interval in found) >= 50


def test_rows_of_different_groups_share_no_rank_by_the_clock_alone() -> None:
    """Here a is the faster by the clock, and b beside the anchor: only that counts; and the anchor has one row."""
    steady = (1.0, 1.01, 0.99, 1.0, 1.02)

    def row(name: str, *laps: tuple[int, float]) -> Row:
        return Row(
            name, "tiny", "ended", status="ok",
            runs_s=tuple(run * by for _, by in laps for run in steady),
            groups=tuple(group for group, _ in laps for _ in steady),
        )  # fmt: skip

    rows = rank([row("anchor", (1, 0.5), (2, 1.0)), row("a", (1, 1.0)), row("b", (2, 1.5)), row("late", (2, 3.0))])
    assert [(one.backend, one.rank) for one in sorted(rows, key=place_of)] == [
        ("anchor", 1), ("b", 2), ("a", 3), ("late", 4),
    ]  # fmt: skip
    values = {one.backend: one.slower and round(one.slower.value, 2) for one in rows}
    assert values == {"anchor": 1.0, "a": 2.0, "b": 1.5, "late": 3.0}
    # Within a group nothing but its own runs decides, draw by draw: the interval is that of two rows that ran alone.
    pair = rank([row("b", (2, 1.5)), row("late", (2, 3.0)), row("anchor", (1, 0.5), (2, 1.0))])
    assert {one.rank for one in pair} == {1, 2, 3}
    assert (anchor_of(rows, 1), anchor_of(rows, 2)) == (None, 0)


WHY = "all 4 models together need about 9.1 GB, 6.0 GB are free"


@pytest.mark.parametrize(
    ("laps", "order", "note"),
    [
        ({"a": "1", "b": "1"}, "interleaved", ""),
        ({"a": "1", "b": "2"}, "sequential", f"ran one after another: {WHY}"),
        (
            {"a": "12", "b": "1", "c": "2"},
            "grouped",
            f"ran in 2 groups with a in both: {WHY}; times of different groups are compared through it",
        ),
        (
            {"a": "123", "b": "1", "c": "2", "d": "3", "e": ""},
            "grouped",
            f"ran in 3 groups with a in each: {WHY}; times of different groups are compared through it",
        ),
        (
            {"a": "12", "b": "13", "c": "2", "d": "3"},
            "grouped",
            f"ran in 3 groups with a or b in each: {WHY}; times of different groups are compared through these",
        ),
        (
            {"a": "12", "b": "1", "c": "2", "d": "3"},
            "grouped",
            f"ran in 2 groups with a in both: {WHY}; times of different groups are compared through it; "
            "d ran apart from that: compare with the others with care",
        ),
        (
            {"a": "1", "b": "1", "c": "2", "d": "2"},
            "grouped",
            f"ran in 2 groups: {WHY}; no candidate ran in all of them: compare times of different groups with care",
        ),
    ],
)
def test_what_is_said_of_groups(laps: dict[str, str], order: str, note: str) -> None:
    rows = [
        Row(name, "tiny", runs_s=(1.0,) * len(groups), groups=tuple(map(int, groups))) for name, groups in laps.items()
    ]
    after, found, told = grouped(rows, WHY if order != "interleaved" else "", "interleaved")
    assert (found, told) == (order, note)
    assert all(bool(row.groups) == (order == "grouped" and bool(row.runs_s)) for row in after)


PLAN = Plan(tuple(Candidate(BackendEntry(name, f"m:{name}"), "nano") for name in "abc"), runs=3, pulse=False)
WARM = [Row(name, "nano", "resting", load_s=0.1, first_s=2.0, warmups_done=1) for name in "abc"]


@pytest.mark.parametrize(
    ("rows", "facts", "words"),
    [
        ([Row("a", "nano", "preparing"), Row("b", "nano")], {"state": "preparing"}, "preparing"),
        ([Row("a", "nano", "importing"), Row("b", "nano")], {}, "loading 1 of 2"),
        ([Row("a", "nano", "loaded", load_s=0.1), Row("b", "nano")], {}, "loading 2 of 2"),
        ([WARM[0], Row("b", "nano", "loaded", load_s=0.1)], {}, "warming up 2 of 2"),
        # Three runs of each, at 2.1 s: what the first transcription took and the wait before it.
        (WARM, {}, "run 1 of 3 · 0 of 9 · about 19 s left"),
        ([replace(WARM[0], runs_s=(1.0,)), *WARM[1:]], {}, "run 1 of 3 · 1 of 9 · about 15 s left"),
        # Half of a run of 2 s is over; it is never less than nothing.
        ([replace(WARM[0], phase="running", since=9.0)], {}, "run 1 of 3 · about  5 s left"),
        ([replace(WARM[0], phase="running", since=-99.0)], {}, "run 1 of 3 · about  4 s left"),
        # What failed has the runs it has: two of them here.
        ([replace(WARM[0], status="failed", runs_s=(1.0, 1.0)), WARM[1]], {}, "run 1 of 3 · 2 of 5 · about  6 s left"),
        ([Row("a", "nano", "ended", status="unavailable")], {}, "run 3 of 3"),
        ([replace(row, runs_s=(1.0,) * 3) for row in WARM], {}, "comparing the texts · 9 of 9"),
        # One after another: nobody knows yet how long the second one takes.
        ([replace(WARM[0], runs_s=(1.0,)), Row("b", "nano")], {"order": "sequential"}, "run 2 of 3 · 1 of 6"),
        ([replace(WARM[0], runs_s=(1.0,) * 3), Row("b", "nano")], {"order": "sequential"}, "loading 2 of 2 · 3 of 6"),
        ([replace(row, runs_s=(100.0,)) for row in WARM], {}, "run 2 of 3 · 3 of 9 · about 11 min left"),
        # An anchor has as many runs in a later group again: they take time, but are none of the nine.
        ([replace(WARM[0], warmups_done=2, runs_s=(1.0,) * 4), WARM[1]], {}, "run 1 of 3 · 3 of 6 · about  8 s left"),
        (
            [
                replace(WARM[0], phase="running", since=10.0, warmups_done=2, runs_s=(1.0,) * 5),
                replace(WARM[1], runs_s=(2.0,) * 3),
            ],
            {}, "run 3 of 3 · 6 of 6 · about  1 s left",
        ),
        ([replace(WARM[0], phase="ended", warmups_done=2, runs_s=(1.0,) * 4)], {}, "comparing the texts"),
        ([replace(WARM[0], runs_s=(1.0,) * 3), Row("b", "nano")], {}, "loading 2 of 2 · 3 of 6"),
        # A pulse is no warm-up.
        ([replace(WARM[0], phase="warming", since=10.0), WARM[1]], {}, "run 1 of 3 · 0 of 6 · about 13 s left"),
    ],
)  # fmt: skip
def test_how_far_a_race_is(rows: list[Row], facts: dict[str, Any], words: str) -> None:
    snapshot = RaceSnapshot(tuple(rows), **{"state": "racing", **facts})
    assert progress(snapshot, PLAN, 4.0, 10.0).words == words


def test_an_anchor_counts_from_one_again_in_each_group() -> None:
    row = replace(WARM[0], warmups_done=2, runs_s=(1.0,) * 3)
    shown = [headline(replace(row, phase=phase), 3) for phase in ("loading", "running", "resting")]  # type: ignore[arg-type]
    assert [words.split("  ")[-1] for words in shown] == ["loading its model", "run 1 of 3", "3 of 3"]
    assert headline(replace(row, phase="resting", runs_s=(1.0,) * 4), 3).endswith("  1 of 3")


def test_a_pulse_is_as_long_as_the_clip_but_no_hour() -> None:
    snapshot, pulsed = RaceSnapshot(tuple(WARM), "racing"), replace(PLAN, pulse=True)
    found = [
        progress(snapshot, plan, clip, 10.0).left_s or 0.0
        for plan, clip in ((PLAN, 4.0), (pulsed, 4.0), (pulsed, 300.0))
    ]
    assert found == pytest.approx([9 * 2.1, 9 * 4.1, 9 * 2.3])


def test_what_is_left_comes_true() -> None:
    """Seeded races of rows with a constant speed: the estimate is right, and nothing goes back."""
    draw = random.Random(13)
    for _ in range(40):
        speeds = [draw.uniform(0.05, 3.0) for _ in range(draw.randint(1, 6))]
        plan = replace(PLAN, runs=draw.randint(1, 6), warmup=draw.randint(1, 2))
        rows = [Row(f"r{index}", "nano", "loaded", load_s=0.1) for index in range(len(speeds))]
        if draw.random() < 0.5:
            rows.append(Row("gone", "nano", "ended", status="missing-model"))
        turns = interleaved(range(len(speeds)), plan.warmup, plan.runs)
        ends = list(itertools.accumulate(speeds[turn.row] + 0.1 for turn in turns))
        before = Progress("", 0, 0, -1, 0)
        for turn, end in zip(turns, ends, strict=True):
            at = end - speeds[turn.row]
            phase: Phase = "running" if turn.kind == "run" else "warming"
            rows[turn.row] = replace(rows[turn.row], phase=phase, since=at)
            middle = (at + end) / 2
            found = progress(RaceSnapshot(tuple(rows), "racing"), plan, 4.0, middle)
            assert (found.step == "") == (turn.kind == "run")
            assert found.done >= before.done and (found.run >= before.run or before.step)
            if turn.kind == "run":
                assert found.run == turn.index + 1
                # The wait before this run is over, and it is a tenth of a second that may still be counted.
                assert found.left_s == pytest.approx(ends[-1] - middle, abs=0.11)
            row = rows[turn.row]
            done = (
                {"runs_s": (*row.runs_s, speeds[turn.row])} if turn.kind == "run" else {"warmups_done": turn.index + 1}
            )
            rows[turn.row] = replace(row, phase="resting", first_s=speeds[turn.row], **done)  # type: ignore[arg-type]
            before = found
        assert found.total == plan.runs * len(speeds)
