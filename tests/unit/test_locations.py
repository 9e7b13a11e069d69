"""Where things lie, by which environment variable, and which of them wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtest_tui.core import locations


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "home/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "x"}, "x/huggingface/hub"),
        ({"XDG_CACHE_HOME": "x", "HF_HOME": "h"}, "h/hub"),
        ({"HF_HOME": "h", "HUGGINGFACE_HUB_CACHE": "old"}, "old"),
        ({"HF_HOME": "h", "HUGGINGFACE_HUB_CACHE": "old", "HF_HUB_CACHE": "new"}, "new"),
        ({"HF_HUB_CACHE": "", "HF_HOME": ""}, "home/.cache/huggingface/hub"),
    ],
)
def test_hf_cache(places: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(places / value) if value else "")
    assert locations.hf_cache() == places / expected


def test_a_tilde_is_the_home(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "~/models")
    assert locations.hf_cache() == places / "home" / "models" / "hub"


def test_relative_folders_become_absolute(
    places: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", "m")
    assert locations.local_cache() == here / "m"


def test_nothing_moves_the_whisper_cache(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "x"))
    assert locations.whisper_cache() == places / "home" / ".cache" / "whisper"


def test_local_cache_of_a_checkout_and_of_an_installation(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEEDTEST_MODELS_DIR")
    for name in ("models/README.md", "pyproject.toml", "speedtest_tui/core/locations.py"):
        (places / name).parent.mkdir(parents=True, exist_ok=True)
        (places / name).touch()
    monkeypatch.setattr(locations, "__file__", str(places / "speedtest_tui/core/locations.py"))
    assert locations.local_cache() == places.resolve() / "models"
    (places / "pyproject.toml").unlink()
    installed = locations.local_cache()
    assert installed.is_relative_to(places / "home")
    assert installed.parts[-2:] == ("speedtest-tui", "models")


def test_sessions_folder(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locations.sessions_folder() == places / "data" / "sessions"
    monkeypatch.delenv("SPEEDTEST_DATA_DIR")
    assert locations.sessions_folder().is_relative_to(places / "home")


def test_nearest_existing_folder(places: Path) -> None:
    assert locations.existing_parent(places / "home" / "a" / "b") == places / "home"
    assert locations.existing_parent(places) == places
