"""Plans that make no sense are refused with what to do instead."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

import pytest
import toys.well
from toys.well import Well

from backends.base import BackendEntry, ModelSpec
from backends.registry import BUILT_IN
from speedtest_tui.cli.main import build_parser
from speedtest_tui.cli.options import asked_for, plan_from
from speedtest_tui.core import settings
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.sizes import Unavailable, candidates, choose
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.prepare import Ready, prepare
from speedtest_tui.core.settings import Settings

A, B, C = (BackendEntry(name, f"m:{name}") for name in "abc")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"runs": 0}, "0 runs"),
        ({"runs": -1}, "-1 runs"),
        ({"runs": 1001}, "1001 runs"),
        ({"warmup": 0}, "0 warm-up"),
        ({"stall_s": 0.0}, "time-out of 0 s"),
        ({"stall_s": -5.0}, "time-out of -5 s"),
        ({"stall_s": float("nan")}, "time-out of nan s"),
        ({"candidates": ()}, "no backend chosen"),
    ],
)
def test_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as caught:
        Plan(**{"candidates": candidates((A,)), **change})
    assert what in caught.value.what
    assert caught.value.todo


def test_defaults() -> None:
    plan = Plan(candidates((A,)))
    assert (plan.size, plan.runs, plan.warmup, plan.order, plan.language) == ("nano", 5, 1, "interleaved", None)


def test_choosing() -> None:
    assert choose(None, (A, B, C)) == (A, B, C)
    assert choose(["c", "a", "c"], (A, B, C)) == (C, A)
    with pytest.raises(UserError, match="no backend chosen"):
        choose([], (A, B))


def names(size: str = "small", backends: str | None = None) -> list[str]:
    return [one.backend for one in asked_for(argparse.Namespace(backends=backends), (size,))]


def test_backends_without_a_model_of_the_size_are_left_out_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    all_sizes, none = BackendEntry("well", "toys.well:Well"), BackendEntry("none", "toys.faulty:NoModel")
    broken = BackendEntry("broken", "toys.faulty:RaisesWhenMade")
    monkeypatch.setattr("backends.registry.entries", lambda: (all_sizes, none, broken))
    assert names() == ["well", "broken"]
    assert names(backends="none") == ["none"]
    (lacking,) = asked_for(argparse.Namespace(backends="none"), ("small",))
    assert isinstance(lacking.model, Unavailable) and lacking.model.kind == "no-model"


def test_canary_races_by_default_where_it_has_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.registry.entries", lambda: BUILT_IN)
    assert "canary-mlx" in names("nano")
    assert "canary-mlx" in names("large")
    assert set(names("large")) - set(names("small")) == {"canary-mlx"}
    assert names("parakeet-tdt-1.1b") == ["parakeet-mlx"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="no backend is called 'x': choose from a, b, c"):
        choose(["a", "x"], (A, B, C))


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch, places: object) -> None:
    """From what is typed to what a row is handed: nobody asks a backend a second time."""
    asked: list[str] = []

    class Counting(Well):
        def model(self, size: str) -> ModelSpec | None:
            asked.append(size)
            return super().model(size)

    monkeypatch.setattr(toys.well, "Well", Counting)
    monkeypatch.setattr("backends.registry.entries", lambda: (BackendEntry("well", "toys.well:Well"),))
    plan = plan_from(build_parser().parse_args(["--size", "small"]))
    (candidate,) = plan.candidates
    assert isinstance(prepare(candidate, None, threading.Event()), Ready)
    (report,) = inspect_models(plan.candidates)
    assert report.spec is candidate.model
    assert asked == ["small"]


def test_candidates_of_one_backend_may_differ() -> None:
    sizes = [one for size in ("tiny", "small") for one in candidates((A,), size, (("a", "beam", "3"), ("b", "x", "y")))]
    plan = Plan(tuple(sizes))
    assert (plan.backends, plan.size, plan.options) == ((A,), "tiny, small", ("a.beam=3",))


def test_a_shortlist_races(places: Path) -> None:
    def chosen(*arguments: str) -> list[str]:
        return [one.name for one in plan_from(build_parser().parse_args(["run", "--demo", *arguments])).candidates]

    with pytest.raises(UserError, match="there is no shortlist yet"):
        chosen("--shortlist", "mine")
    settings.save(Settings(shortlists={"mine": ("canary-mlx:nano?beam=4", "mlx-whisper:nano")}))
    assert chosen("--shortlist", "mine") == ["canary-mlx:nano?beam=4", "mlx-whisper:nano"]
    assert chosen("--shortlist", "mine", "--model", "mlx-whisper:nano") == [
        "canary-mlx:nano?beam=4",
        "mlx-whisper:nano",
    ]
    assert chosen("--shortlist", "mine", "--backends", "pocketsphinx")[0] == "pocketsphinx:nano"
    with pytest.raises(UserError, match="no shortlist is called 'mien': did you mean mine"):
        chosen("--shortlist", "mien")
