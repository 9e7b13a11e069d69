"""How states are written: glyph and word, short enough for their columns, never colour alone."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from rich.cells import cell_len

from backends.base import ModelSpec
from backends.catalogue import MLX_WHISPER, WHISPER_MPS
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.status import CacheState, ModelReport, StateName, Verification

LOADED = Verification("ok", "loads and transcribes", "/x", 0.42, "f", "2026-11-20T12:00:00+00:00")


@pytest.mark.parametrize("state", get_args(StateName))
def test_every_state_fits_its_column(state: StateName) -> None:
    for known in (CacheState(state, 139_000_000, 483_000_000), CacheState(state)):
        assert cell_len(wording.short(known)[0]) <= 9
        assert cell_len(wording.long(known)[0]) <= 15


def test_a_partial_model_says_how_much_of_it_is_there() -> None:
    assert wording.short(CacheState("partial", 178, 483)) == ("▒ 37 %", "needs-you")
    assert wording.long(CacheState("partial", 178, 483)) == ("▒ partial 37 %", "needs-you")
    assert wording.short(CacheState("partial", 178)) == ("▒ partial", "needs-you")


@pytest.mark.parametrize(
    ("verified", "said"),
    [
        (None, "·"),
        (LOADED, "✓ 0.4 s"),
        (replace(LOADED, stale=True), "? stale"),
        (replace(LOADED, outcome="failed", message="does not load: no"), "✗ no"),
        (replace(LOADED, outcome="gave-up"), "? stuck"),
        (replace(LOADED, outcome="failed", stale=True), "? stale"),
    ],
)
def test_what_came_of_loading(verified: Verification | None, said: str) -> None:
    assert wording.loads(ModelReport("b", "tiny", None, verified=verified))[0] == said


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (MLX_WHISPER["tiny"], "whisper-tiny-mlx-q4"),
        (WHISPER_MPS["large"], "large-v3.pt"),
        (MLX_WHISPER["nano"], "nano"),
        (None, "no tiny model"),
    ],
)
def test_names_are_as_short_as_identifies(spec: ModelSpec | None, name: str) -> None:
    assert wording.model_name(ModelReport("b", "tiny", spec)) == name


def test_the_best_of_several_caches_is_shown() -> None:
    report = ModelReport("b", "s", None, (("hf", CacheState("damaged")), ("local", CacheState("complete", 5))))
    assert wording.nearest(report).state == "complete"
    assert wording.nearest(ModelReport("b", "s", None)).state == "not-applicable"
