"""Cancelling in any phase ends every child and keeps what was measured."""

from __future__ import annotations

import threading

import pytest
from racing import finish, noise, plan, survivors
from toys import hanging, well

from speedtest_tui.core.race.row import Phase, RaceSnapshot
from speedtest_tui.core.race.supervisor import Race


def cancel_when(toy: type, phase: Phase, runs_done: int = 0, **options: int) -> RaceSnapshot:
    """Race a toy between two healthy ones; cancel when it has that many runs and is seen in that phase."""
    ready = threading.Event()

    def listener(snapshot: RaceSnapshot) -> None:
        ready.wait(10)
        row = snapshot.rows[1]
        if row.phase == phase and len(row.runs_s) >= runs_done:
            race.cancel()

    race = Race(plan(well.Well, toy, well.WellToo, **{"runs": 50, **options}), noise(), listener)
    race.start()
    ready.set()
    return finish(race)


@pytest.mark.parametrize(
    ("toy", "phase"),
    [
        (well.WellThree, "preparing"),
        (well.WellThree, "waiting"),
        (well.WellThree, "starting"),
        (hanging.HangsInImport, "importing"),
        (hanging.HoldsTheLockInImport, "importing"),
        (hanging.HangsInLoad, "loading"),
        (hanging.IgnoresSigterm, "loading"),
        (well.WellThree, "loaded"),
        (hanging.HangsInWarmup, "warming"),
        (hanging.HoldsTheLockInRun, "warming"),
        (hanging.HangsWithAGrandchild, "warming"),
        (hanging.HangsInRun, "running"),
        (well.WellThree, "resting"),
    ],
)
@pytest.mark.usefixtures("toys")
def test_cancel_in_every_phase(mark: str, toy: type, phase: Phase) -> None:
    snapshot = cancel_when(toy, phase)
    assert snapshot.state == "cancelled"
    assert {row.status for row in snapshot.rows} == {"cancelled"}
    assert all(row.error and row.error.kind == "cancelled" and row.phase == "ended" for row in snapshot.rows)
    assert survivors(mark) == []


@pytest.mark.usefixtures("toys")
def test_runs_already_measured_are_kept() -> None:
    snapshot = cancel_when(well.WellThree, "resting", runs_done=3)
    for row in snapshot.rows:
        assert row.status == "cancelled"
        assert len(row.runs_s) >= 2
        assert row.median is not None
        assert row.rank is None


@pytest.mark.usefixtures("toys")
def test_a_backend_that_was_done_stays_done() -> None:
    """In a sequential race the first one has all its runs when the second is cancelled."""
    snapshot = cancel_when(hanging.HangsInLoad, "loading", runs=2, order="sequential")  # type: ignore[arg-type]
    assert [row.status for row in snapshot.rows] == ["ok", "cancelled", "cancelled"]
    assert snapshot.state == "cancelled"
    assert snapshot.verdict.fastest == "Well:nano"


@pytest.mark.usefixtures("toys")
def test_cancel_before_the_start() -> None:
    race = Race(plan(well.Well), noise())
    race.cancel()
    race.start()
    assert finish(race).rows[0].status == "cancelled"


@pytest.mark.usefixtures("toys")
def test_cancel_after_the_end_changes_nothing() -> None:
    race = Race(plan(well.Well), noise())
    race.start()
    finish(race)
    race.cancel()
    assert race.snapshot.state == "done"
