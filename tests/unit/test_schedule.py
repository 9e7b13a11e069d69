"""Whose turn it is, and whether all models fit at once."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from backends.base import BackendEntry
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.race.plan import Plan, Progress, crowded, expected_bytes, interleaved, order_for, progress
from speedtest_tui.core.race.row import Phase, RaceSnapshot, Row

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


def test_memory_decides() -> None:
    assert order_for("interleaved", [GB, GB], 4 * GB) == ("interleaved", "")
    order, note = order_for("interleaved", [2 * GB, 2 * GB], 4 * GB)
    assert order == "sequential"
    assert note == "ran one after another: all 2 models together need about 4.3 GB, 4.3 GB are free"


def test_what_was_asked_for_needs_no_remark() -> None:
    assert order_for("sequential", [9 * GB, 9 * GB], GB) == ("sequential", "")
    # One alone has nobody to be interleaved with.
    assert order_for("interleaved", [9 * GB], GB) == ("interleaved", "")
    assert order_for("interleaved", [], 0) == ("interleaved", "")


def test_expected_memory_grows_with_the_model() -> None:
    assert expected_bytes("torch", 0) > expected_bytes("mlx", 0) > expected_bytes("cpu", 0) > 0
    assert expected_bytes("mlx", GB) - expected_bytes("mlx", 0) == 2 * GB


def test_what_the_gpu_holds_decides_once_it_is_known() -> None:
    assert crowded([]) == crowded([(9 * GB, GB)]) == crowded([(4 * GB, 10 * GB), (4 * GB, 10 * GB)]) == ""
    assert crowded([(5 * GB, 10 * GB), (4 * GB, 11 * GB)]) == (
        "ran one after another: 2 models together hold 9.7 GB of the GPU's memory, which works well up to 10.7 GB"
    )


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
        # A pulse is no warm-up.
        ([replace(WARM[0], phase="warming", since=10.0), WARM[1]], {}, "run 1 of 3 · 0 of 6 · about 13 s left"),
    ],
)  # fmt: skip
def test_how_far_a_race_is(rows: list[Row], facts: dict[str, Any], words: str) -> None:
    snapshot = RaceSnapshot(tuple(rows), **{"state": "racing", **facts})
    assert progress(snapshot, PLAN, 4.0, 10.0).words == words


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
