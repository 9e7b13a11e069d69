"""Whatever one backend does, it costs its own row, with the reason in words; the others finish."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import psutil
import pytest
from racing import eventually, finish, noise, plan, rows, run, sentence, survivors
from toys import faulty, hanging, well

from speedtest_tui.core.process import lines, parent
from speedtest_tui.core.race import supervisor
from speedtest_tui.core.race import watch as stall
from speedtest_tui.core.race.row import RaceSnapshot

FAULTS = (
    # toy, status, words of the sentence
    (faulty.Segfault, "failed", "segmentation fault", "while it was loading"),
    (faulty.ExitsQuietly, "failed", "ended without a word", "while it was warming"),
    (faulty.ExitsWithCode, "failed", "exit code 3", "cannot open the secret device"),
    (faulty.KillsItself, "failed", "was killed (SIGKILL)", "memory runs out"),
    (faulty.Aborts, "failed", "aborted (SIGABRT)", "while it was loading"),
    (faulty.ExitsInLastRun, "failed", "exit code 7", "while it was running"),
    (faulty.RaisesInImport, "failed", "ImportError: libmagic.so.7: cannot open shared object file"),
    (faulty.RaisesInLoad, "failed", "ValueError: [load_npz] Input must be a zip file"),
    (faulty.RaisesInTranscribe, "failed", "RuntimeError: There is no Stream"),
    (faulty.RaisesBaseException, "failed", "SystemExit: a library that wants to leave"),
    (faulty.OutOfMemory, "failed", "ran out of memory", "smaller size"),
    (faulty.Explains, "missing-model", "the weights are for another model: fetch them again"),
    (faulty.RaisesWhenMade, "unavailable", "no such device", "reinstall or remove"),
    (faulty.RaisesWhenAsked, "unavailable", "KeyError", "report it to toy shop"),
    (faulty.NotInstalled, "unavailable", "not installed: pip install toy"),
    (faulty.NoModel, "unavailable", "no nano model"),
    (faulty.NoWeights, "missing-model", "nobody has trained it yet"),
    (faulty.ExitsWhenMadeInChild, "failed", "exit code 9", "while it was starting"),
    (faulty.WritesGarbage, "failed", "sent a line that is no message", "not an event"),
    (faulty.WritesDeepNesting, "failed", "sent a line that is no message"),
    (faulty.HalfALine, "failed", "in the middle of a line", '"event": "ModelLoaded"'),
    (faulty.EndlessLine, "failed", "without an end of line"),
    (faulty.FloodsEvents, "failed", "sent more than 1000 messages in a second"),
    (faulty.FinishesEarly, "failed", "ended without a word before its runs were done"),
    (faulty.NanSeconds, "failed", "unreadable message", "nan seconds"),
    (faulty.HugeSeconds, "failed", "unreadable message"),
    (faulty.WrongMemory, "failed", "unreadable message (Transcribed: ", "peak_rss"),
    (faulty.ClosesEverything, "failed", "exit code"),
    (faulty.ClosesEverythingAndStays, "failed", "closed its event pipe and went on running"),
    (faulty.FactsAreADictionary, "failed", "AttributeError"),
    (faulty.FactsCannotBeSent, "failed", "RecursionError"),
    (faulty.FactsAreWords, "failed", "unreadable message (ModelLoaded: ", "facts.bits"),
    (faulty.TextIsNone, "failed", "unreadable message (Transcribed: ", "transcription.text"),
    (faulty.ReturnsNothing, "failed", "unreadable message (Transcribed: "),
    (faulty.ReturnsText, "failed", "unreadable message (Transcribed: "),
)  # fmt: skip

HARMLESS = (
    # toy, words of its only warning, or none
    (faulty.FloodsStdout, ""),
    (faulty.FloodsStderr, ""),
    (faulty.PrintsFromC, ""),
    (faulty.KilledAfterwards, "was killed (SIGKILL)"),
    (faulty.HangsInClose, "did not end by itself"),
    (hanging.LeavesAGrandchild, ""),
)

STALL_S = 1.2
HANGS = (
    (hanging.HangsInImport, f"nothing happened for {STALL_S} s while it was importing", "--timeout"),
    (hanging.HangsInLoad, f"nothing happened for {STALL_S} s while it was loading"),
    (hanging.HangsInWarmup, f"nothing happened for {STALL_S} s while it was warming"),
    (hanging.HangsInRun, f"nothing happened for {STALL_S} s while it was running"),
    (hanging.HoldsTheLockInImport, f"nothing happened for {STALL_S} s while it was importing"),
    (hanging.HoldsTheLockInRun, f"nothing happened for {STALL_S} s while it was warming"),
    (hanging.LoopsForEver, f"busy for {2 * STALL_S:g} s without getting further while it was loading"),
    (hanging.IgnoresSigterm, f"nothing happened for {STALL_S} s while it was loading"),
    (hanging.HangsWithAGrandchild, f"nothing happened for {STALL_S} s while it was warming"),
)


@pytest.fixture(scope="module")
def patched() -> pytest.MonkeyPatch:
    """Limits low enough to be reached soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parent, "MAX_MESSAGES_S", 1000)
        patch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
        patch.setattr(stall, "BUSY_FACTOR", 2)
        patch.setattr(supervisor, "CLOSE_S", 1.0)
        yield patch


@pytest.fixture(scope="module")
def race_of_faults(patched: pytest.MonkeyPatch, module_toys: str) -> tuple[RaceSnapshot, int]:
    """One race of all faults between two healthy toys, and how many processes were left when it ended."""
    snapshot = run(plan(well.Well, *(fault[0] for fault in (*FAULTS, *HARMLESS)), well.WellToo))
    return snapshot, len(survivors(module_toys))


@pytest.fixture(scope="module")
def race_of_hangs(patched: pytest.MonkeyPatch, module_toys: str) -> tuple[RaceSnapshot, int]:
    """The same for those that never come back."""
    snapshot = run(plan(well.Well, *(fault[0] for fault in HANGS), well.WellToo, stall_s=STALL_S))
    return snapshot, len(survivors(module_toys))


@pytest.mark.parametrize(("toy", "status", "words"), [(fault[0], fault[1], fault[2:]) for fault in FAULTS])
def test_a_fault_costs_its_row(
    race_of_faults: tuple[RaceSnapshot, int], toy: type, status: str, words: tuple[str, ...]
) -> None:
    row = rows(race_of_faults[0])[toy.__name__]
    assert row.status == status
    assert row.rank is None
    assert "\n" not in sentence(row)
    for word in words:
        assert word in sentence(row)


@pytest.mark.parametrize(("toy", "warning"), HARMLESS)
def test_noise_and_bad_manners_cost_nothing(race_of_faults: tuple[RaceSnapshot, int], toy: type, warning: str) -> None:
    row = rows(race_of_faults[0])[toy.__name__]
    assert (row.status, row.transcription and row.transcription.text) == ("ok", well.TEXT)
    assert len(row.warnings) == bool(warning)
    assert warning in "".join(row.warnings)


@pytest.mark.parametrize(("toy", "words"), [(fault[0], fault[1:]) for fault in HANGS])
def test_a_hang_becomes_a_timeout(race_of_hangs: tuple[RaceSnapshot, int], toy: type, words: tuple[str, ...]) -> None:
    row = rows(race_of_hangs[0])[toy.__name__]
    assert row.status == "timeout"
    for word in words:
        assert word in sentence(row)


@pytest.mark.parametrize("race", ["race_of_faults", "race_of_hangs"])
def test_the_healthy_ones_finish(race: str, request: pytest.FixtureRequest) -> None:
    snapshot, left = request.getfixturevalue(race)
    assert snapshot.state == "done"
    for name in ("Well", "WellToo"):
        row = rows(snapshot)[name]
        assert row.status == "ok"
        assert (len(row.runs_s), row.warmups_done, row.rank is None, row.warnings) == (2, 1, False, ())
    assert left == 0


def test_runs_measured_before_the_fault_are_kept(
    race_of_faults: tuple[RaceSnapshot, int], race_of_hangs: tuple[RaceSnapshot, int]
) -> None:
    for snapshot, name in ((race_of_faults[0], "ExitsInLastRun"), (race_of_hangs[0], "HangsInRun")):
        row = rows(snapshot)[name]
        assert len(row.runs_s) == 1
        assert row.first_s is not None
        assert row.rtfx is not None


def test_a_run_whose_process_was_stopped_says_so(toys: Path) -> None:
    race = supervisor.Race(plan(hanging.IsHeldUp, well.Well, runs=3), noise())
    race.start()
    assert eventually(lambda: toys.exists() and "hangs" in toys.read_text(), 60)
    (number,) = (int(line.split()[2]) for line in toys.read_text().splitlines() if "hangs" in line)
    child = psutil.Process(number)
    assert eventually(lambda: child.status() == psutil.STATUS_STOPPED, 10)
    threading.Event().wait(0.5)  # for some of the race's looks
    child.send_signal(signal.SIGCONT)
    raced = finish(race)
    held, other = raced.rows
    assert held.status == "ok", sentence(held)
    (warning,) = held.warnings
    assert warning.startswith("run 2 was interrupted: its process was stopped for ")
    assert other.warnings == ()
    assert raced.notes == ("this race was interrupted, and its times may not compare: race again",)
