"""The race as a table at every width: nothing overflows, no figure is cut, the most important columns stay longest."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import states
from rich.cells import cell_len

from backends.base import Advice
from speedtest_tui.core.race.row import Row, RowError
from speedtest_tui.core.race.verdict import decide, judge
from speedtest_tui.ui.widgets.bar_layout import BAR_MAX, SORTS, Table, bar, dots, outcome, sorted_rows, speed_bar
from speedtest_tui.ui.widgets.clip_pane import waveform
from speedtest_tui.ui.widgets.race_pane import explanation

STATES = (states.running(), states.finished(), states.loading(), states.cancelled())
WARNING = "ran org/plain because org/q4 does not load: ValueError: [load] bits=3"


def table(rows: tuple[Row, ...], width: int, **facts: object) -> Table:
    return Table(rows, width, 3, 4.0, states.NOW, **facts)  # type: ignore[arg-type]


def drawn(shown: Table, index: int) -> str:
    return "".join(text for text, _ in shown.line(index))


def titles(shown: Table) -> str:
    return "".join(text for (text, _), _ in shown.header())


def many(count: int) -> tuple[Row, ...]:
    """Rows with long names, of which some cannot be told apart by their beginning or by their end."""
    names = [
        f"{backend} {size}" for backend in ("mlx-whisper", "transformers") for size in ("large-v3-turbo", "small.en")
    ]
    names += [
        "faster-whisper:mlx-community/whisper-large-v3-turbo-q4",
        "canary-mlx nano?beam=4",
        "日本語バックエンドの名前",
    ]
    names += [f"whisper-mps size-{number}" for number in range(count)]
    rows = [
        states.ran(name, (0.4 + i, 0.41 + i, 12.39 + i), phase="ended", label=name, candidate=name)
        for i, name in enumerate(names[:count])
    ]
    return decide([judge(row, states.clip_view().clip, "en") for row in rows])[0]


@pytest.mark.parametrize("width", [36, 56, 58, 60, 76, 80, 100, 116, 120, 156, 196, 240])
def test_nothing_is_wider_than_it_may_be_and_no_figure_is_cut(width: int) -> None:
    for rows in (*(state.rows for state in STATES), many(12)):
        shown = table(rows, width)
        assert cell_len(titles(shown)) <= width
        for index, cells in enumerate(shown.cells):
            text = drawn(shown, index)
            assert cell_len(text) <= width
            if not rows[index].status or rows[index].runs_s:
                for name in shown.widths.keys() & {"median", "rtfx", "quality", "memory", "first", "load", "import"}:
                    assert cells[name] in text, (name, text)
        # The two figures that matter most are there at every width; the lines of rows with figures end in one column.
        assert {"name", "median", "quality"} <= shown.widths.keys()
        assert len({cell_len(drawn(shown, i)) for i, row in enumerate(rows) if row.runs_s}) <= 1


def test_columns_go_in_the_order_of_their_importance() -> None:
    before: set[str] = set()
    for width in range(36, 260):
        shown = set(table(STATES[1].rows, width).widths)
        assert before <= shown, width
        before = shown
    assert before == {*SORTS, "bar", "dots"} and table(STATES[1].rows, 300).widths["bar"] == BAR_MAX
    assert {"bar", "rtfx", "state"} <= table(STATES[1].rows, 76).widths.keys()


def test_columns_stay_where_they_are_from_the_first_second_to_the_last() -> None:
    """Only the width decides: from waiting to finished no column comes or goes, and no figure moves in its column."""
    waiting = tuple(Row(row.backend, row.size) for row in STATES[0].rows)
    for width in (56, 76, 116, 196):
        tables = [table(rows, width) for rows in (waiting, STATES[2].rows, STATES[0].rows, STATES[1].rows)]
        assert len({tuple(sorted(shown.widths.items())) for shown in tables}) == 1
        running, done = drawn(tables[2], 0), drawn(tables[3], 0)
        assert running.index("0.401 s") == done.index("0.401 s")


def test_header_stands_over_its_columns() -> None:
    for width in (76, 116, 196):
        shown = table(STATES[1].rows, width)
        assert drawn(shown, 0)[: titles(shown).index("RTFx") + 4].endswith("×")
        assert drawn(shown, 0)[: titles(shown).index("WER") + 3].endswith("%")


@pytest.mark.parametrize(
    ("share", "drawn_as"),
    [(0, "    "), (0.001, "▏   "), (0.5, "██  "), (0.53, "██▏ "), (1, "████"), (7, "████"), (-1, "    ")],
)
def test_bars_grow_by_eighths_and_stay_in_their_column(share: float, drawn_as: str) -> None:
    assert bar(share, 4) == drawn_as


def test_the_fastest_has_the_longest_bar() -> None:
    assert [speed_bar(share, 4) for share in (0, 0.001, 0.5, 0.6, 1, 7)] == [
        "    ",
        "▖   ",
        "▄▄  ",
        "▄▄▖ ",
        "▄▄▄▄",
        "▄▄▄▄",
    ]
    lengths = [drawn(table(STATES[1].ordered(), 116), index).count("▄") for index in range(3)]
    assert lengths == sorted(lengths, reverse=True) and lengths[2]


def test_every_run_is_a_dot_and_one_that_is_unlike_the_others_stands_apart() -> None:
    assert dots((), 0.0, 0.1, 3) == "   "
    assert dots((1.0,), 1.0, 0.1, 3) == " ⢀ "
    # Three of one place are piled up; the slow one is at the right end, the fast one at the left end.
    assert dots((1.0, 1.0, 1.0, 1.1), 1.0, 0.1, 3) == " ⢰⢀"
    assert dots((0.9, 1.0, 1.0), 1.0, 0.1, 3) == "⡀⢠ "
    assert dots((1.0,) * 9, 1.0, 0.1, 3) == " ⢸ "
    rows = (states.ran("a", (1.0, 1.01, 1.0)), states.ran("b", (2.0, 2.0, 3.0)))
    assert table(rows, 116).reach == 0.5 and "runs ±50 %" in titles(table(rows, 116))


def test_a_row_at_work_keeps_its_median_and_turns() -> None:
    row = states.ran("mlx-whisper", (0.401,), phase="running", since=states.NOW - 0.31)
    text = drawn(table((row,), 76), 0)
    assert "0.401 s" in text and "9.98×" in text and "run 2/3 0.3 s" in text
    turns = {Table((row,), 76, 3, 4.0, now).mark(row)[0] for now in (0.0, 0.125, 0.25)}
    assert len(turns) == 3
    assert Table((row,), 76, 3, 4.0, 0.25, moving=False).mark(row)[0] == " ►  "
    # A pulse warms up again, and is part of the run that follows.
    assert "run 2/3" in drawn(table((replace(row, phase="warming"),), 76), 0)


def test_what_is_not_known_yet_is_empty_and_what_never_came_is_a_dash() -> None:
    waiting = drawn(table((states.row("transformers"),), 196), 0)
    assert waiting.split() == ["·", "transformers", "waiting"]
    stopped = drawn(table(STATES[3].rows, 116), 0)
    assert "0.401 s" in stopped and "1/3 runs" in stopped


def test_rows_are_sorted_by_any_column_and_those_without_a_value_are_last() -> None:
    rows = STATES[1].ordered()
    for column in SORTS:
        for backwards in (False, True):
            found = sorted_rows(rows, column, backwards=backwards)
            assert sorted(row.label for row in found) == sorted(row.label for row in rows)
            values = [value for row in found if (value := SORTS[column](row)) is not None]
            assert values == sorted(values, reverse=backwards)  # type: ignore[type-var]
            if column not in ("name", "state"):
                assert {row.label for row in found[3:]} == {"parakeet-mlx", "whisper-mps"}
    for column, title in (("quality", "WER▾"), ("memory", "memory▾"), ("name", "candidate▾")):
        assert title in titles(table(rows, 116, sort=column))
    assert "RTFx▴" in titles(table(rows, 116, sort="rtfx", backwards=True))


def test_a_row_with_warnings_is_marked_and_explained() -> None:
    plain = states.ran("mlx-whisper", (0.4,))
    warned = replace(plain, warnings=(WARNING,))
    assert drawn(table((warned,), 80), 0).replace("!", " ") == drawn(table((plain,), 80), 0)
    failed = replace(states.MISSING, warnings=(WARNING,))
    assert failed.error
    advice = failed.error.advice
    for row, words in (
        (plain, ""), (warned, f"mlx-whisper\n! {WARNING}"),
        (failed, f"parakeet-mlx: {advice.what}\n{advice.todo}\n! {WARNING}"),
    ):  # fmt: skip
        content = explanation(row)
        assert (content.plain if content else "") == words
    assert "\n" not in str(explanation(states.CRASHED))


def test_a_long_name_is_cut_in_its_middle() -> None:
    found = [re.split("  +", drawn(table(many(12), 36), index)[4:])[0] for index in range(12)]
    assert len(set(found)) == 12


def test_waveform_fills_its_width_whatever_the_clip() -> None:
    for outline in ((), (0.0,), (1.0, 0.5, 0.0), tuple(i / 240 for i in range(240))):
        for width in (1, 7, 240, 500):
            assert len(waveform(outline, width)) == (width if outline else 0)
    assert waveform((0.0, 1.0), 2) == " █"


@pytest.mark.parametrize(
    ("rss", "footprint", "device", "shown"),
    [
        (298_000_000, None, None, "  298 MB"),
        (102_000_000, 102_400_000_000, None, "102.4 GB"),
        (900_000_000, 120_000_000, 512_000_000, "  512 MB"),
        (900_000_000, 999_900_000_000, 1, "999.9 GB"),
        (0, None, None, "       –"),
    ],
)
def test_memory_keeps_to_its_column(rss: int, footprint: int | None, device: int | None, shown: str) -> None:
    row = replace(states.finished().rows[0], peak_rss=rss, peak_footprint=footprint, device_peak=device)
    end = titles(table((row,), 160)).index("memory") + len("memory")
    assert drawn(table((row,), 160), 0)[end - 8 : end] == shown


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing-model", "not downloaded · press d"),
        ("partial", "partial · press d"),
        ("damaged", "damaged · press c"),
        ("broken-link", "broken link · press c"),
        ("model", "it does not load: look at it"),
    ],
)
def test_a_model_that_cannot_be_used_names_its_key(kind: str, said: str) -> None:
    error = RowError(kind, Advice("it does not load", "look at it"))
    assert outcome(replace(states.MISSING, error=error)) == said


@pytest.mark.parametrize("width", range(15))
def test_a_table_ends_at_every_width(width: int) -> None:
    """A terminal may be one cell wide for a moment, and names of two-cell letters fit into no odd number of cells."""
    rows = (states.ran("a" * 30, (1.0, 1.01, 1.0)), states.ran("モデル" * 9, (2.0, 2.0, 3.0)))
    table = Table(rows, width, 3)
    table.header()
    for index in range(len(rows)):
        table.line(index)
