"""Which backends there are, and what becomes of one that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.base import BackendError
from backends.registry import BUILT_IN, create, entries


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that registers three backends, one of them under a built-in name."""
    information = tmp_path / "shop-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[speedtest_tui.backends]\nzebra = shop:Zebra\napple = toys.well:Well\nmlx-whisper = shop:Impostor\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_built_in_ones_come_first(distribution: Path) -> None:
    found = entries()
    assert found[: len(BUILT_IN)] == BUILT_IN
    assert [(entry.name, entry.provider) for entry in found[len(BUILT_IN) :]] == [("apple", "shop"), ("zebra", "shop")]


def test_a_third_party_is_created(distribution: Path) -> None:
    reference = next(entry.reference for entry in entries() if entry.name == "apple")
    assert create(reference).summary == "a toy"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("shop:Zebra", "ModuleNotFoundError"),
        ("toys.well:Nobody", "AttributeError"),
        ("toys.well:TEXT", "TypeError"),
        ("toys.faulty:RaisesWhenMade", "OSError: no such device"),
        ("", "ValueError"),
    ],
)
def test_what_cannot_be_made_is_said(reference: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        create(reference)
    assert words in caught.value.message
    assert caught.value.kind == "unavailable"
    assert caught.value.hint


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_a_library_that_is_not_installed_has_a_fix(entry: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.base.find_spec", lambda name: None)
    availability = create(entry.reference).availability()  # type: ignore[attr-defined]
    assert not availability.ok
    assert availability.fix.startswith("pip install 'speedtest-tui[")
