"""Backends that run the same models in another way: they take part where they are named, with figures of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.registry import BUILT_IN, default_backends, entries
from speedtest_tui.cli.main import run as main
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.models.sizes import candidates, choose
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.core.race.supervisor import Race
from speedtest_tui.ui.widgets.row_details import details

OPTIONAL = ("parakeet-mlx-exact", "parakeet-mlx-stream")
PROGRAMS = ("whisperkit", "fluidaudio", "apple-speech")


def test_they_take_part_where_they_are_named() -> None:
    named_only = {*OPTIONAL, *PROGRAMS, "openai-whisper"}
    assert {entry.name for entry in choose(None, BUILT_IN)}.isdisjoint(named_only)
    assert default_backends(entries()) == tuple(entry for entry in entries() if entry.name not in named_only)
    assert tuple(entry.name for entry in choose(OPTIONAL, BUILT_IN)) == OPTIONAL


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory, demo: Clip, models_dir: Path) -> RaceSnapshot:
    """One race of all three on nano weights, with a beam for the plain one."""
    pytest.importorskip("parakeet_mlx")
    names = ("parakeet-mlx", *OPTIONAL)
    options = (("parakeet-mlx", "beam", "3"), ("gone", "a", "b"))
    plan = Plan(candidates(choose(names, BUILT_IN), options=options), runs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("SPEEDTEST_MODELS_DIR", str(models_dir))
        race = Race(plan, demo)
        race.start()
        race.join(120)
    return race.snapshot


def test_each_is_a_row_of_its_own(raced: RaceSnapshot) -> None:
    rows = {row.backend: row for row in raced.rows}
    assert {row.status for row in raced.rows} == {"ok"}, [row.error for row in raced.rows]
    options = {name: dict(row.loaded.options) for name, row in rows.items() if row.loaded}
    assert [options[name]["mel"] for name in rows] == [
        "NeMo's" if name == "parakeet-mlx-exact" else "the library's" for name in rows
    ]
    assert [options[name]["decoding"] for name in ("parakeet-mlx", *OPTIONAL)] == ["beam of 3", "greedy", "greedy"]


def test_words_and_figures_reach_the_row(raced: RaceSnapshot) -> None:
    rows = {row.backend: row for row in raced.rows}
    for name in ("parakeet-mlx", "parakeet-mlx-exact"):
        transcription = rows[name].transcription
        assert transcription is not None
        assert " ".join(word.text for word in transcription.words) == transcription.text
        assert rows[name].figures == {}
    measured = rows["parakeet-mlx-stream"].figures
    assert list(measured) == ["first_word_s", "lag_median_s", "lag_max_s"]
    assert len(rows["parakeet-mlx-stream"].run_figures) == 2
    assert "first word 1." in details(rows["parakeet-mlx-stream"]).plain


def test_the_list_has_all_of_them(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["backends"]}
    assert [*found] == [entry.name for entry in entries()]
    assert {name for name, one in found.items() if one["optional"]} == {*OPTIONAL, *PROGRAMS, "openai-whisper"}
    assert all(one["ok"] or one["fix"] for one in found.values())
    assert main(["backends"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in found)
