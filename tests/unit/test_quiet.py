"""Waiting for quiet, with processor times of the test's own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from speedtest_tui.core.process.parent import Vitals
from speedtest_tui.core.race import watch as quiet


class Clock(threading.Event):
    """An Event that is never set, and on which waiting costs no time but moves the clock."""

    now = asleep = 0.0
    stops: tuple[tuple[float, float], ...] = ()
    """When the program stands still, and for how long."""

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        if self.stops and self.now >= self.stops[0][0]:
            self.now, self.stops = self.now + self.stops[0][1], self.stops[1:]
        return self.is_set()


class Child:
    """A child that computes on some cores until a moment, then rests; or is gone."""

    def __init__(self, row: int, clock: Clock, until: float, cores: float = 1.0, gone: bool = False) -> None:
        self.row, self._clock, self._until, self._cores, self._gone = row, clock, until, cores, gone

    def vitals(self) -> Vitals | None:
        return None if self._gone else Vitals(self._cores * min(self._clock.now, self._until), 0, 0)


def wait(clock: Clock, *children: Any) -> Any:
    held = quiet.Interruptions(lambda: clock.now, lambda: clock.asleep)
    found = quiet.wait_until_quiet({child.row: child for child in children}, clock, held)
    return (found, held.told()) if held.told() else found


def test_returns_after_a_few_windows_where_all_are_quiet() -> None:
    clock = Clock()
    assert wait(clock, Child(0, clock, 0.0), Child(1, clock, 9.0, cores=0.02)) == []
    assert clock.now == pytest.approx(quiet.QUIET_WINDOWS * quiet.WINDOW_S)


@pytest.mark.parametrize("cores", [0.5, 1.0, 8.0])
def test_waits_for_threads_that_spin(cores: float) -> None:
    clock = Clock()
    assert wait(clock, Child(0, clock, 0.0), Child(1, clock, 0.2, cores)) == []
    assert 0.2 <= clock.now <= 0.2 + (quiet.QUIET_WINDOWS + 1.5) * quiet.WINDOW_S


def test_gives_up_and_says_on_whom() -> None:
    clock = Clock()
    assert wait(clock, Child(0, clock, 0.0), Child(7, clock, 1000.0)) == [7]
    assert quiet.GIVE_UP_S <= clock.now < quiet.GIVE_UP_S + 3 * quiet.WINDOW_S


def test_one_that_is_gone_is_quiet() -> None:
    clock = Clock()
    assert wait(clock, Child(0, clock, 1000.0, gone=True)) == []


def test_ends_at_once_where_the_race_is_cancelled() -> None:
    clock = Clock()
    clock.set()
    assert wait(clock, Child(0, clock, 1000.0)) == []
    assert clock.now <= quiet.WINDOW_S


@pytest.mark.parametrize("until", [0.0, 0.2, 2.9])
@pytest.mark.parametrize("stops", [((0.0, 3.0),), ((0.1, 30.0),), ((0.1, 3.0), (3.11, 4.0))])
def test_a_stop_of_the_program_is_told_and_blames_nobody(stops: tuple[tuple[float, float], ...], until: float) -> None:
    clock = Clock()
    clock.stops = stops
    found, told = wait(clock, Child(0, clock, 0.0), Child(1, clock, until))
    assert (found, clock.stops) == ([], ())
    seconds = float(told.removeprefix("this program stood still for ").removesuffix(" s"))
    assert seconds == pytest.approx(sum(one for _, one in stops), abs=0.2)
