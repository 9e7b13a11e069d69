"""What the command line prints: tables that fit, notes that are broken at words, and the live view."""

from __future__ import annotations

import pytest

from speedtest_tui.cli import console
from speedtest_tui.cli.console import Column, LiveRow
from speedtest_tui.core.format import LOOKS
from speedtest_tui.core.jobs.job import Job, JobRow

COLUMNS = (
    Column("backend"),
    Column("median", right=True),
    Column("memory", right=True, rank=1),
    Column("weights", rank=2),
)
ROWS = [("mlx-whisper", "0.123 s ±0.004", "1.4 GB", "whisper-large-v3-turbo-q4"), ("b", "12.3 s", "139 MB", "tiny")]


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(132, ()), (64, ()), (63, ("weights",)), (37, ("weights",)), (36, ("memory", "weights"))],
)
def test_a_table_leaves_columns_out_and_cuts_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, left_out: tuple[str, ...]
) -> None:
    monkeypatch.setattr(console, "PLAIN_WIDTH", width)
    assert console.print_table(COLUMNS, ROWS) == left_out
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(len(line) <= width for line in printed.splitlines())
    for title, *cells in zip(COLUMNS, *ROWS, strict=True):
        assert all((cell in printed) == (title.title not in left_out) for cell in cells)


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.print_table(COLUMNS, []) == ()
    assert capsys.readouterr().out == ""


def test_notes_are_broken_at_words() -> None:
    text = console.note("word-with-hyphens " * 10 + "x" * 90, indent="    ").plain
    lines = text.splitlines()
    assert lines[0].startswith("    ! word-with-hyphens")
    assert all(line.startswith("      ") for line in lines[1:])
    assert all(len(line) <= 80 for line in lines[:-1])
    assert lines[-1].strip() == "x" * 90


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_a_given_width_holds_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    console.print_table(COLUMNS, ROWS)
    console.stdout().print(console.note("word " * 60))
    assert all(len(line) <= min(width, 132) for line in capsys.readouterr().out.splitlines())
    assert all(len(line) <= min(width, 80) for line in console.note("word " * 60).plain.splitlines())


def test_every_mood_has_a_colour() -> None:
    assert {look.mood for look in LOOKS.values()} <= console.COLOURS.keys()


def test_the_live_view_of_a_terminal() -> None:
    rows = [LiveRow("running", "large", "3 of 4 MB", 0.75, note="a retry"), LiveRow("waiting", "a" * 60)]
    lines = console._lines(rows)
    assert [line.plain.rstrip() for line in lines] == [
        f"►  large{' ' * 43}  {'━' * 15}{'╌' * 5}  3 of 4 MB",
        "   a retry",
        f"·  {'a' * 60}",
    ]
    assert all(line.no_wrap and line.overflow == "ellipsis" for line in lines)
    framed = [line.plain for line in console._lines(rows[1:], ["clip 2 of 3: talk.wav"], "run 2 of 5")]
    assert framed[0] == "clip 2 of 3: talk.wav" and framed[-1] == "run 2 of 5" and len(framed) == 3


def test_without_a_terminal_every_step_and_note_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with console.live_view() as view:
        view.show([LiveRow("waiting", "a"), LiveRow("running", "b", "words", step="downloading")])
        view.show([LiveRow("running", "a", step="downloading"), LiveRow("running", "b", "more", step="downloading")])
        view.show([LiveRow("running", "a", step="25 % of 4 MB", note="a retry"), LiveRow("done", "b")])
    assert capsys.readouterr().err.splitlines() == ["b: downloading", "a: downloading", "a: a retry", "a: 25 % of 4 MB"]


class Counting(Job[int]):
    """Counts to two, or fails, or waits until it is cancelled."""

    def __init__(self, error: Exception | None = None, *, waits: bool = False) -> None:
        super().__init__("checksum", "Count", [JobRow("file", "file", total=2)])
        self._error = error
        self._waits = waits

    def work(self) -> None:
        if self._error:
            raise self._error
        if self._waits:
            self._cancelled.wait(10)
        self.change(0, state="done", bytes=2)
        self.end("counted", result=2)


def test_a_job_is_watched_to_its_end_and_what_nobody_foresaw_is_raised() -> None:
    job = Counting()
    assert console.watch_job(job)
    assert (job.result, console.line(job.view.rows[0])) == (2, "✓ file: done")
    with pytest.raises(ZeroDivisionError):
        console.watch_job(Counting(ZeroDivisionError()))


def test_ctrl_c_cancels_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "watch", interrupted)
    job = Counting(waits=True)
    assert not console.watch_job(job)
    assert job.view.state == "cancelled"
    with pytest.raises(KeyboardInterrupt):
        console.result_of(Counting())  # it may have ended by then: whoever pressed Ctrl-C wants no more
