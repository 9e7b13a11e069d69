"""When a child counts as stalled or held up: by what it does, on a clock of the test's own."""

from __future__ import annotations

import pytest

from speedtest_tui.core.process.parent import Vitals
from speedtest_tui.core.race.watch import BUSY_FACTOR, MEMORY_STEP, Interruptions, StallWatch, slept

MB = 1 << 20


def watch_for(watch: StallWatch, begin: float, seconds: float, **rates: float) -> tuple[float, str]:
    """Look ten times a second at a process with those rates per second; when it counts as stalled, and why."""
    for tick in range(int(seconds * 10) + 1):
        at = tick / 10
        watch.observe(
            begin + at,
            Vitals(rates.get("cpu", 0) * at, int(rates.get("read", 0) * at), int(50 * MB + rates.get("rss", 0) * at)),
        )
        if reason := watch.verdict(begin + at):
            return at, reason
    return seconds, ""


def test_an_idle_one_stalls_after_the_limit() -> None:
    at, reason = watch_for(StallWatch(5.0, 100.0), 100.0, 20)
    assert 5.0 < at < 5.3
    assert reason == "nothing happened for 5 s"


def test_the_childs_own_memory_reading_is_no_work() -> None:
    at, reason = watch_for(StallWatch(5.0, 0.0), 0.0, 20, cpu=0.02)
    assert at < 6
    assert reason.startswith("nothing happened")


def test_a_busy_one_gets_ten_times_as_long() -> None:
    at, reason = watch_for(StallWatch(5.0, 0.0), 0.0, 200, cpu=1.0)
    assert 5.0 * BUSY_FACTOR < at < 5.0 * BUSY_FACTOR + 0.3
    assert reason == "busy for 50 s without getting further"


def test_reading_from_disk_is_progress() -> None:
    assert watch_for(StallWatch(5.0, 0.0), 0.0, 500, read=1.0 * MB)[1] == ""


def test_growing_memory_is_progress() -> None:
    assert watch_for(StallWatch(5.0, 0.0), 0.0, 500, rss=0.5 * MB)[1] == ""
    # Less than a step within the limit is the noise of an allocator.
    assert watch_for(StallWatch(5.0, 0.0), 0.0, 500, rss=MEMORY_STEP / 50)[1] != ""


def test_a_footprint_that_grows_is_progress_while_the_system_compresses_what_is_resident() -> None:
    watch = StallWatch(5.0, 0.0)
    for tick in range(200):
        watch.observe(tick / 10, Vitals(0.0, 0, (500 - 2 * tick) * MB, footprint=(500 + 2 * tick) * MB))
        assert watch.verdict(tick / 10) == ""


def test_memory_that_comes_and_goes_is_not() -> None:
    watch = StallWatch(5.0, 0.0)
    reasons = []
    for tick in range(100):
        watch.observe(tick / 10, Vitals(0.0, 0, (50 + 10 * (tick % 2)) * MB))
        reasons.append(watch.verdict(tick / 10))
    assert reasons[-1] == "nothing happened for 5 s"


def test_an_event_starts_the_clock_again() -> None:
    watch = StallWatch(5.0, 0.0)
    watch.observe(4.9, Vitals(0.0, 0, 0))
    watch.progressed(4.9)
    assert watch.verdict(9.8) == ""
    assert watch.verdict(10.0) != ""


@pytest.mark.parametrize("stop_s", [2.5, 60.0, 3600.0])
def test_time_in_which_this_program_stood_still_does_not_count(stop_s: float) -> None:
    watch, idle = StallWatch(5.0, 0.0), Vitals(0.0, 0, 0)
    before = [tick / 10 for tick in range(49)]
    assert {watch.stalled(idle, now) for now in before} == {""}
    after = [before[-1] + stop_s + tick / 10 for tick in range(60)]
    found = [watch.stalled(idle, now) for now in after]
    assert set(found[:45]) == {""}
    assert found[-1] == "nothing happened for 5 s"


GOING, STOPPED = Vitals(0, 0, 0), Vitals(0, 0, 0, stopped=True)


@pytest.mark.parametrize(
    ("looks", "step_s", "told", "counts"),
    [
        # (seconds until the look, seconds slept until it, what the process does then)
        ([(0.1, 0, GOING)] * 50, 5, "", False),
        ([(0.1, 0, GOING), *[(0.1, 0, STOPPED)] * 30, (0.1, 0, GOING)], 3.2, "its process was stopped for 3.0 s", True),
        ([(3, 0, STOPPED)], 0.4, "its process was stopped for 3.0 s", False),  # before it began
        ([(0.1, 0, STOPPED)], 0.1, "its process was stopped for 0.1 s", True),
        ([(0.1, 60, GOING), (0.1, 0, None)], 0.2, "the machine slept for 60.0 s", True),
        ([(0.1, 0.001, GOING)] * 50, 5, "", False),
        ([(0.1, 0, GOING), (3, 0, GOING)], 3.1, "this program stood still for 3.0 s", True),
        # Its process went on, and was done before.
        ([(0.1, 0, GOING), (3, 0, GOING)], 0.4, "this program stood still for 3.0 s", False),
        ([(0.1, 0, GOING), (1.5, 0, GOING)], 1.6, "", False),  # a crowded machine
        ([(3, 9, STOPPED)], 3, "its process was stopped for 3.0 s and the machine slept for 9.0 s", True),
    ],
)
def test_what_held_a_step_up(
    looks: list[tuple[float, float, Vitals | None]], step_s: float, told: str, counts: bool
) -> None:
    now = asleep = 0.0
    held = Interruptions(lambda: now, lambda: asleep)
    for wait, sleep, vitals in looks:
        now, asleep = now + wait, asleep + sleep
        assert held.look(vitals) == (wait > 2)
    assert (held.told(), held.of(step_s)) == (told, counts)


def test_a_machine_that_is_awake_does_not_sleep() -> None:
    assert abs(slept() - slept()) < 0.1
