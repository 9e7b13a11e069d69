"""The plot of speed over errors: every point is named once, nothing is cut, what is recommended is always seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import states
from rich.cells import cell_len

from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.plot import BEST, Plot, PlotScreen, Point, layout

SIZES = [(54, 11), (58, 9), (70, 18), (104, 32), (176, 50)]
SEED = 20261125


def lines(points: list[Point], width: int, height: int) -> list[str]:
    return ["".join(text for text, _ in line) for line in layout(points, width, height)]


def some(draw: random.Random, count: int) -> list[Point]:
    """Clustered as real ones are: many share an error rate, some a speed."""
    rates, speeds = [0.0, 0.0, 0.02, 0.12, 0.45], [3.1, 3.2, 13.0, 52.0, 58.3, 400.0]
    found = [Point(f"backend-{i}", draw.choice(speeds), draw.choice(rates)) for i in range(count)]
    best = draw.randrange(count)
    found[best] = Point(found[best].name, found[best].rtfx, found[best].error, True, True)
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_point_is_named_once_and_the_recommended_one_is_seen(size: tuple[int, int]) -> None:
    draw = random.Random(SEED)
    for count in (1, 2, 5, 8, 12) * 10:
        points = some(draw, count)
        drawn = lines(points, *size)
        whole = "\n".join(drawn)
        words = whole.replace("=", " ").replace(",", " ").split()
        assert len(drawn) == size[1] and all(cell_len(line) <= size[0] for line in drawn), (SEED, points, whole)
        assert all(words.count(point.name) == 1 for point in points), (SEED, points, whole)
        assert BEST in whole, (SEED, points, whole)


def test_faster_is_further_up_and_fewer_errors_further_left() -> None:
    drawn = lines([Point("a", 50, 0.1), Point("b", 20, 0.0), Point("c", 2, 0.3)], 70, 18)
    where = {name: next((y, line.index(name)) for y, line in enumerate(drawn[1:]) if name in line) for name in "abc"}
    assert where["a"][0] < where["b"][0] < where["c"][0]
    assert where["b"][1] < where["a"][1] < where["c"][1]
    assert "(log)" in drawn[0]
    assert "(log)" not in lines([Point("a", 50, 0.1), Point("b", 20, 0.0)], 70, 18)[0]


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60)], ids=str)
async def test_g_opens_it_after_a_race_and_closes_it(
    still_app: Callable[..., SpeedtestApp], size: tuple[int, int]
) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("g")
        assert not isinstance(app.screen, PlotScreen)
        worker: Any = app.dashboard.worker
        worker.show(states.finished())
        await pilot.pause()
        await pilot.press("g")
        await pilot.pause()
        text = str(app.screen.query_one(Plot).render())
        assert f"{BEST} mlx-whisper" in text and "transformers" in text
        await pilot.press("g")
        await pilot.pause()
        assert not isinstance(app.screen, PlotScreen)
