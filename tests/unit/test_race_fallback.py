"""A quantised model that does not load is replaced by the plain one, once, and never after it has loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from racing import plan, rows, run, sentence, survivors
from toys import quantised, well
from toys.quantised import BALLAST, PLAIN, QUANTISED

from speedtest_tui.core.race.events import Assignment
from speedtest_tui.core.race.prepare import Children
from speedtest_tui.core.race.row import RaceSnapshot

pytestmark = pytest.mark.usefixtures("toys", "places")


def loaded(journal: Path) -> list[str]:
    """Which models were loaded, in order."""
    return [line.split()[1] for line in journal.read_text().splitlines() if "toy/" in line]


@pytest.mark.parametrize(
    ("toy", "reason"),
    [
        (quantised.Raises, f"ValueError: [quantized_matmul] bits=3 after {BALLAST} bytes"),
        (quantised.Explains, "the weights are for another model"),
        (quantised.Crashes, "its process crashed (segmentation fault, SIGSEGV) while it was loading"),
    ],
)
@pytest.mark.parametrize("order", ["interleaved", "sequential"])
def test_the_plain_model_runs_instead(toys: Path, mark: str, toy: type, reason: str, order: str) -> None:
    seen: list[RaceSnapshot] = []
    snapshot = run(plan(well.Well, toy, well.WellToo, order=order), listener=seen.append)
    row = rows(snapshot)[toy.__name__]
    assert loaded(toys) == [QUANTISED, PLAIN]
    assert (row.status, row.error, len(row.runs_s), row.warmups_done) == ("ok", None, 2, 1)
    assert row.spec is not None
    assert row.loaded is not None
    assert (row.spec.source, row.spec.variant, row.loaded.source) == (PLAIN, "", PLAIN)
    (warning,) = row.warnings
    assert warning.startswith(f"ran {PLAIN} because {QUANTISED} does not load: {reason}")
    assert "\n" not in warning
    # Nobody sees a row that ended and began again.
    statuses = [rows(each)[toy.__name__].status for each in seen]
    assert set(statuses[: statuses.index("ok")]) == {""}
    assert {rows(snapshot)[name].warnings for name in ("Well", "WellToo")} == {()}
    assert survivors(mark) == []


def test_what_the_failed_attempt_took_is_forgotten() -> None:
    seen: list[RaceSnapshot] = []
    row = run(plan(quantised.Raises), listener=seen.append).rows[0]
    again = next(i for i, s in enumerate(seen) if s.rows[0].warnings)
    begun = seen[again].rows[0]
    assert (begun.phase, begun.import_s, begun.load_s, begun.peak_rss, begun.memory_trace) == (
        "starting",
        None,
        None,
        0,
        (),
    )
    assert max(row.memory_trace) < BALLAST
    assert 0 < row.peak_rss < BALLAST


def test_never_twice(toys: Path) -> None:
    row = run(plan(quantised.NeitherLoads)).rows[0]
    assert loaded(toys) == [QUANTISED, PLAIN]
    assert (row.status, sentence(row)) == ("failed", f"ValueError: {PLAIN} is of a kind unknown here")
    assert row.warnings[0].startswith(f"ran {PLAIN} because {QUANTISED} does not load: ")


def test_nothing_in_its_place(toys: Path) -> None:
    row = run(plan(quantised.NothingInPlace)).rows[0]
    assert loaded(toys) == [QUANTISED]
    assert (row.status, row.phase, row.warnings) == ("missing-model", "ended", ())
    assert row.spec is not None
    assert row.spec.source == QUANTISED
    assert row.error is not None
    assert row.error.advice.what == "the weights are for another model"
    assert row.error.advice.todo.startswith(
        f"fetch the file again; nothing can run in place of {QUANTISED}: {PLAIN} is not downloaded (run "
    )


@pytest.mark.parametrize(
    ("toy", "status"),
    [
        (quantised.FailsInImport, "failed"),
        (quantised.FailsInWarmup, "missing-model"),
        (quantised.FailsInRun, "failed"),
        (quantised.TooLarge, "failed"),
        (quantised.WritesGarbage, "failed"),
    ],
)
def test_other_failures_cost_the_row(toys: Path, toy: type, status: str) -> None:
    snapshot = run(plan(toy, well.Well))
    row = rows(snapshot)[toy.__name__]
    assert (row.status, row.warnings) == (status, ())
    assert loaded(toys) == ([] if toy is quantised.FailsInImport else [QUANTISED])
    assert rows(snapshot)["Well"].status == "ok"


def test_cancelled_while_the_fallback_loads(mark: str) -> None:
    import threading

    from racing import finish, noise

    from speedtest_tui.core.race.supervisor import Race

    ready = threading.Event()

    def listener(snapshot: RaceSnapshot) -> None:
        ready.wait(10)
        if snapshot.rows[0].warnings:
            race.cancel()

    race = Race(plan(quantised.Raises, runs=50), noise(), listener)
    race.start()
    ready.set()
    assert finish(race).rows[0].status == "cancelled"
    assert survivors(mark) == []


class Child:
    """A child that says what the test says."""

    def __init__(self, *arguments: Any, **_: Any) -> None:
        self.say = arguments[3]

    def end(self) -> None:
        self.say("the last word")


def test_late_words_are_not_taken_for_the_successors() -> None:
    children = Children()
    assignment = Assignment("", {}, {}, {}, {}, 0)

    def start(row: int) -> Any:
        children.start(row, assignment, Child)  # type: ignore[arg-type]
        return children[row]

    other, first = start(3), start(5)
    first.say("before")
    children.drop(5)
    second = start(5)
    first.say("late")
    other.say("hello")
    second.say("after")
    found: list[Any] = list(children.reports(0))
    assert found == [(3, "hello"), (5, "after")]
    assert children.rows() == (3, 5)
    assert children.get(4) is None
