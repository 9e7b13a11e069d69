"""Whose turn it is, and whether all models fit at once."""

from __future__ import annotations

from collections import Counter

import pytest

from speedtest_tui.core.race.plan import crowded, expected_bytes, interleaved, order_for

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
