"""A race that goes well: who transcribes when, what children are given, and what the rows say of it."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from racing import finish, noise, plan, rows, run, survivors
from toys import well

from speedtest_tui.core import codec, host
from speedtest_tui.core.host import describe
from speedtest_tui.core.race import watch as quiet
from speedtest_tui.core.race.groups import LIBRARY_BYTES
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.core.race.supervisor import Race
from speedtest_tui.core.sessions.document import Document, build

pytestmark = pytest.mark.usefixtures("toys")

THREE = (well.Well, well.WellToo, well.WellThree)


def order_of(journal: Path) -> str:
    """Which toys transcribed, in the order in which they did, by their first differing letter."""
    letters = {"Well": "A", "WellToo": "B", "WellThree": "C"}
    return "".join(letters[line.split()[1]] for line in journal.read_text().splitlines())


def test_interleaved_rounds(toys: Path) -> None:
    snapshot = run(plan(*THREE, runs=3, warmup=1))
    assert order_of(toys) == "ABCABCCABBCA"
    assert snapshot.order == "interleaved"
    assert snapshot.notes == ()


def test_sequential(toys: Path) -> None:
    phases: list[tuple[str, ...]] = []
    snapshot = run(
        plan(*THREE, runs=2, warmup=2, order="sequential"),
        listener=lambda s: phases.append(tuple(row.phase for row in s.rows)),
    )
    assert order_of(toys) == "AAAABBBBCCCC"
    assert snapshot.order == "sequential"
    # The next one starts only when the one before has ended and given its memory back.
    assert all(b == "waiting" or a == "ended" for a, b, _ in phases if b not in ("preparing", "waiting"))
    assert all(row.warmups_done == 2 for row in snapshot.rows)


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the machine have memory for so many toys at a time."""

    def of(count: int) -> None:
        monkeypatch.setattr(host, "available_memory", lambda: int((count + 0.5) * LIBRARY_BYTES["cpu"] / 0.8))

    return of


WHY = "all {} models together need about {} GB, {} GB are free"


def test_too_little_memory_for_two_makes_it_sequential(toys: Path, room_for: Callable[[int], None]) -> None:
    room_for(0)
    snapshot = run(plan(*THREE, runs=1))
    assert (snapshot.order, order_of(toys)) == ("sequential", "AABBCC")
    assert snapshot.notes == (f"ran one after another: {WHY.format(3, 0.6, 0.1)}",)
    assert all(row.groups == () for row in snapshot.rows)


def test_too_little_memory_for_all_makes_groups_with_an_anchor(toys: Path, room_for: Callable[[int], None]) -> None:
    """A runs in both groups, has one row with all its runs, and the times of its first process."""
    room_for(2)
    notes: set[tuple[str, ...]] = set()
    snapshot = run(plan(*THREE, runs=2), listener=lambda seen: notes.add(seen.notes))
    assert (snapshot.order, order_of(toys)) == ("grouped", "ABABBA" + "ACACCA")
    why = WHY.format(3, 0.6, 0.7)
    assert (f"runs in 2 groups: {why}",) in notes
    through = "times of different groups are compared through it"
    assert snapshot.notes == (f"ran in 2 groups with Well in both: {why}; {through}",)
    anchor, second, third = snapshot.rows
    assert (anchor.groups, second.groups, third.groups) == ((1, 1, 2, 2), (1, 1), (2, 2))
    assert (len(anchor.runs_s), anchor.warmups_done, anchor.warnings) == (4, 2, ())
    assert {row.status for row in snapshot.rows} == {"ok"}
    assert {len(row.tied) + bool(row.rank) for row in snapshot.rows} <= {1, 2, 3}
    document = build(snapshot, plan(*THREE), noise(), describe(), datetime.datetime.now(datetime.UTC))
    again = codec.decode(Document, codec.encode(document))
    assert (again.plan.order, [one.groups for one in again.results]) == ("grouped", [(1, 1, 2, 2), (1, 1), (2, 2)])


def test_another_anchor_takes_the_place_of_one_that_fails(toys: Path, room_for: Callable[[int], None]) -> None:
    """What it measured before stays; the other one is compared with it in the group that both were in."""
    room_for(2)
    snapshot = run(plan(well.DoesNotLoadAgain, well.WellToo, well.WellThree, runs=2))
    assert {row.backend: row.groups for row in snapshot.rows} == {
        "DoesNotLoadAgain": (1, 1), "WellToo": (1, 1, 2, 2), "WellThree": (2, 2),
    }  # fmt: skip
    assert {row.status for row in snapshot.rows} == {"ok"}
    assert snapshot.rows[0].warnings == ("in group 2 it failed: it is tired",)
    assert snapshot.notes[0].startswith("ran in 2 groups with WellToo in both: ")


def test_a_group_whose_anchor_fails_in_it_goes_on(room_for: Callable[[int], None]) -> None:
    """What the anchor still measured there counts; after a failure in the warm-up nothing does, and that is said."""
    room_for(2)
    snapshot = run(plan(well.ExitsAgain, well.WellToo, well.WellThree, runs=3))
    assert [row.groups for row in snapshot.rows] == [(1, 1, 1, 2), (1, 1, 1), (2, 2, 2)]
    assert {row.status for row in snapshot.rows} == {"ok"}
    assert "in group 2 it failed: its process ended" in snapshot.rows[0].warnings[0]
    assert snapshot.rows[2].slower is None or snapshot.rows[2].rank == 1  # one run says nothing of its spread


def test_cancelled_in_a_later_group_the_anchor_keeps_its_result(room_for: Callable[[int], None], mark: str) -> None:
    room_for(2)
    race = Race(plan(*THREE, runs=2), noise(), lambda seen: race.cancel() if seen.rows[2].runs_s else None)
    race.start()
    snapshot = finish(race)
    assert snapshot.state == "cancelled"
    assert [row.status for row in snapshot.rows] == ["ok", "ok", "cancelled"]
    assert snapshot.rows[0].groups[:2] == (1, 1)
    assert survivors(mark) == []


def test_each_timed_run_comes_after_a_pulse(toys: Path) -> None:
    """Of all candidates alike, and never before a warm-up, whose first one is reported as `first`."""
    snapshot = run(plan(*THREE, runs=2, warmup=2, pulse=True))
    assert order_of(toys) == "ABC" + "ABC" + "AABBCC" + "CCAABB"
    assert all((len(row.runs_s), row.warmups_done) == (2, 2) for row in snapshot.rows)


def test_a_pulse_is_short_and_leaves_no_trace_in_the_row(toys: Path) -> None:
    row = run(plan(well.Hears, runs=1, pulse=True), noise(40)).rows[0]
    assert [line.split()[2] for line in toys.read_text().splitlines()] == ["40", "30", "40"]
    assert row.transcription and row.transcription.text == "number 3"
    assert (len(row.runs_s), row.warmups_done, row.first_s is not None) == (1, 1, True)


@pytest.mark.parametrize(
    ("second", "journal", "held"),
    [(well.Looks, "ABABBA", ""), (well.LargeOnGpu, "AAABBB", "9.0"), (well.KeepsMuch, "ABAABBB", "11.5")],
)
def test_what_the_gpu_holds_makes_it_sequential(toys: Path, second: type, journal: str, held: str) -> None:
    """Freed buffers that a child keeps count, which nobody knows before its first transcription."""
    snapshot = run(plan(well.OnGpu, second, runs=2))
    seen = "".join("A" if line.split()[1] == "OnGpu" else "B" for line in toys.read_text().splitlines())
    assert seen == journal
    assert snapshot.order == ("sequential" if held else "interleaved")
    assert all(row.status == "ok" and len(row.runs_s) == 2 and row.warmups_done == 1 for row in snapshot.rows)
    of_memory = [note for note in snapshot.notes if "the same model" not in note]
    assert bool(held) == bool(of_memory)
    assert all(f"2 models together hold {held} GB of the GPU's memory" in note for note in of_memory)


def test_what_a_device_says_of_itself() -> None:
    found = rows(run(plan(well.OnGpu, well.Looks, runs=1)))
    row = found["OnGpu"]
    assert (row.device_peak, row.device_cache, row.device_held) == (1_000_000_000, 2_000_000_000, 3_000_000_000)
    assert (row.device_limit, row.peak_memory) == (10_000_000_000, 1_000_000_000)
    assert row.loaded and found["Looks"].loaded
    assert row.loaded.options == (("decoding", "greedy"), ("fp32 matmul", "TF32"))
    assert (found["Looks"].status, found["Looks"].loaded.options) == ("ok", (("decoding", "greedy"),))


def test_nobody_computes_while_another_is_timed(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With longer windows and a lower limit a spinning process is seen even where a busy machine gives it little.
    monkeypatch.setattr(quiet, "WINDOW_S", 0.2)
    monkeypatch.setattr(quiet, "QUIET_SHARE", 0.05)
    run(plan(well.BusyAfter, well.Well, runs=2))
    lines = [line.split()[1:] for line in toys.read_text().splitlines()]
    busy = 0
    for name, what in lines:
        if what == "quiet":
            busy -= 1
            continue
        assert busy == 0, f"{name} began while {busy} threads of another were still computing: {lines}"
        busy += well.BusyAfter.THREADS * (name == "BusyAfter")
    assert sum(what == "begins" for _, what in lines) == 6


def test_the_row_of_a_good_run(mark: str) -> None:
    snapshot = run(plan(well.Well, well.WellToo, runs=3))
    row = rows(snapshot)["Well"]
    assert snapshot.state == "done"
    assert (row.status, row.phase, row.error, row.warnings) == ("ok", "ended", None, ())
    assert row.loaded is not None
    assert (row.loaded.bits, row.loaded.options) == (32.0, (("decoding", "greedy"),))
    assert row.import_s is not None
    assert row.load_s is not None
    assert row.first_s is not None
    assert (len(row.runs_s), row.warmups_done) == (3, 1)
    assert row.median is not None
    assert row.median.low <= row.median.value <= row.median.high
    assert row.transcription is not None
    assert row.transcription.segments[0].end == 1.0
    assert row.peak_rss > 5_000_000
    assert row.device_peak == 2_000_000
    assert {row.rank for row in snapshot.rows} <= {1, 2}
    assert survivors(mark) == []


def test_states_only_go_forward() -> None:
    seen: list[RaceSnapshot] = []
    run(plan(well.Well, runs=2), listener=seen.append)
    phases = [key for key, _ in itertools.groupby(snapshot.rows[0].phase for snapshot in seen)]
    order = ["preparing", "waiting", "starting", "importing", "loading", "loaded", "warming"]
    # Steps that are over at once may share a snapshot with the next; none may come out of turn.
    assert [phase for phase in order if phase in phases] == [phase for phase in phases if phase in order]
    assert {"preparing", "starting", "loaded", "resting"} <= set(phases)
    assert phases[-1] == "ended"
    assert [key for key, _ in itertools.groupby(s.state for s in seen)] == ["preparing", "racing", "done"]
    assert len(seen[-1].rows[0].memory_trace) > 0


def test_what_a_child_is_given() -> None:
    clip = noise()
    row = run(plan(well.Reader, runs=1, language="de"), clip).rows[0]
    assert row.transcription is not None
    assert row.transcription.text == f"float32 True de 1 {clip.sha256()}"


def test_last_words_come_before_the_race_counts_as_ended() -> None:
    order: list[str] = []
    race = Race(
        plan(well.Well, runs=1),
        noise(),
        listener=lambda s: order.append("listener") if s.ended else None,
        when_ended=lambda s: order.append(f"saved {s.state}"),
    )
    race.start()
    finish(race)
    assert order == ["saved done", "listener"]


@pytest.mark.parametrize(
    ("toy", "status", "warnings"),
    [
        (well.Changing, "ok", ("its text differed between runs",)),
        (well.Warning, "ok", ("loaded with a remark", "heard a remark")),
        (well.NotANumber, "invalid", ()),
        (well.Silent, "invalid", ()),
    ],
)
def test_remarks_and_invalid_output(toy: type, status: str, warnings: tuple[str, ...]) -> None:
    row = run(plan(toy, runs=2)).rows[0]
    assert (row.status, row.warnings) == (status, warnings)
    assert (row.rank is None) == (status == "invalid")


def test_text_of_any_kind_comes_through() -> None:
    row = run(plan(well.Strange, runs=1)).rows[0]
    assert row.transcription is not None
    assert row.transcription.text == "naïve 音 😀 ? \x00 end"


def test_facts_in_a_librarys_own_types() -> None:
    row = run(plan(well.NumpyFacts, runs=1)).rows[0]
    assert row.status == "ok"
    assert row.loaded is not None
    assert (row.loaded.bits, row.loaded.parameters) == (4.5, 1000)
    assert (row.loaded.device, row.loaded.files, row.loaded.options) == ("cpu", ("/model",), (("batch", "3"),))


def test_a_race_in_which_nobody_can_run() -> None:
    from toys import faulty

    snapshot = run(plan(faulty.NotInstalled, faulty.NoModel, runs=1))
    assert snapshot.state == "done"
    assert snapshot.verdict.sentence == "no backend finished: nothing to compare"
