"""A row with warnings is marked in its line, and pointing at it explains it in full."""

from __future__ import annotations

from dataclasses import replace

import pytest
import states
from rich.cells import cell_len
from textual.content import Content

from speedtest_tui.core.race.row import Row
from speedtest_tui.ui.widgets.bar_layout import Scale
from speedtest_tui.ui.widgets.race_pane import BackendBar, explanation, remarked

RAN = "ran org/plain because org/q4 does not load: ValueError: [load] bits=3"
OTHER = "its text differed between runs"


def words(row: Row) -> str:
    content = explanation(row)
    return content.plain if content else ""


def test_what_is_said() -> None:
    row = states.ran("mlx-whisper", (0.4,))
    assert words(row) == ""
    # Brackets are text, not markup.
    assert words(replace(row, warnings=(RAN, OTHER))) == f"mlx-whisper\n! {RAN}\n! {OTHER}"
    failed = replace(states.MISSING, warnings=(RAN,))
    assert failed.error
    assert words(failed) == f"parakeet-mlx: {failed.error.advice.what}\n{failed.error.advice.todo}\n! {RAN}"
    assert words(states.CRASHED).count("\n") == 0


def test_the_tooltip_follows_the_row() -> None:
    row = states.ran("mlx-whisper", (0.4,))
    bar = BackendBar(replace(row, warnings=(RAN,)))
    assert isinstance(bar.tooltip, Content)
    assert RAN in bar.tooltip.plain
    bar.show(row, 3, states.NOW, Scale(1.0, 1.0))
    assert bar.tooltip is None


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("mlx-whisper", 15, "mlx-whisper !  "),
        ("transformers", 13, "transformers!"),
        ("thirteen-long", 13, "thirteen-lon!"),
        ("音声音声音声", 13, "音声音声音声!"),
        ("音声音声音声x", 13, "音声音声音声!"),
    ],
)
def test_the_mark_keeps_the_column(name: str, width: int, shown: str) -> None:
    spans = remarked(name.ljust(width - cell_len(name) + len(name)), "bold")
    assert "".join(text for text, _ in spans) == shown
    assert cell_len(shown) == width
    assert [text for text, style in spans if style == "$text-warning"] == ["!"]
