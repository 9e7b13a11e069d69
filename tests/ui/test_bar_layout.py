"""One line of the race at every width: nothing overflows, the most important columns stay longest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import states
from rich.cells import cell_len

from backends.base import Advice
from speedtest_tui.core.race.row import RowError
from speedtest_tui.ui.widgets.bar_layout import bar, columns, header, line, outcome, scale_of
from speedtest_tui.ui.widgets.clip_pane import waveform

ROWS = [*states.running().rows, *states.finished().rows, *states.loading().rows, *states.cancelled().rows]


def drawn(index: int, width: int) -> str:
    row = ROWS[index]
    return "".join(text for text, _ in line(row, width, 3, states.NOW, scale_of(ROWS[:5], states.NOW)))


@pytest.mark.parametrize("width", [56, 60, 76, 80, 100, 116, 120, 156, 196, 240])
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    assert cell_len(header(width)) == width
    for index in range(len(ROWS)):
        assert cell_len(drawn(index, width)) <= width


def test_columns_go_in_the_order_of_their_importance() -> None:
    shown = [
        [name for name in ("relative", "memory", "first", "load", "imported") if getattr(columns(width), name)]
        for width in (50, 76, 100, 116, 130, 200)
    ]
    assert shown == sorted(shown, key=len)
    assert shown[0] == []
    assert shown[-1] == ["relative", "memory", "first", "load", "imported"]
    assert columns(300).bar == 60


def test_header_stands_over_its_columns() -> None:
    for width in (76, 116, 196):
        titles, cells = header(width), drawn(5, width)
        end_of_rtfx = titles.index("RTFx") + 4
        assert cells[:end_of_rtfx].endswith("×")


@pytest.mark.parametrize(
    ("share", "drawn_as"),
    [(0, "    "), (0.001, "▏   "), (0.5, "██  "), (0.53, "██▏ "), (1, "████"), (7, "████"), (-1, "    ")],
)
def test_bars_grow_by_eighths_and_stay_in_their_column(share: float, drawn_as: str) -> None:
    assert bar(share, 4) == drawn_as


def test_a_waiting_row_has_no_bar_and_a_loading_one_has() -> None:
    waiting, loading = states.row("transformers"), states.row("transformers", phase="loading")
    scale = scale_of([waiting, loading], states.NOW)
    texts = ["".join(t for t, _ in line(row, 116, 3, states.NOW, scale)) for row in (waiting, loading)]
    assert "waiting" in texts[0] and "█" not in texts[0]
    assert "loading 1.3 s" in texts[1] and "█" in texts[1]


def test_a_wide_name_takes_no_more_cells_than_its_column() -> None:
    row = states.ran("日本語バックエンドの名前", (0.4,))
    text = "".join(t for t, _ in line(row, 80, 3, states.NOW, scale_of([row], states.NOW)))
    assert cell_len(text) <= 80


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
    cells = "".join(text for text, _ in line(row, 160, 3, states.NOW, scale_of([row], states.NOW)))
    end = header(160).index("memory") + len("memory")
    assert cells[end - 8 : end] == shown


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
