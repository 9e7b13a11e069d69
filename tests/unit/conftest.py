"""Fixtures for tests of caches: places with the hub's layout, empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtest_tui.core.models.status import CacheName


@pytest.fixture
def hub(places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "hub"))
    return places / "hub"


@pytest.fixture(params=["hf", "local", "local/hub"])
def home(places: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[CacheName, Path]:
    """Each place with the hub's layout, on a path with spaces and letters beyond ASCII: its cache and folder."""
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "mein Ablage ä" / "hub"))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(places / "meine Modelle ö"))
    folder = {
        "hf": places / "mein Ablage ä" / "hub",
        "local": places / "meine Modelle ö",
        "local/hub": places / "meine Modelle ö" / "hub",
    }[request.param]
    return ("hf" if request.param == "hf" else "local"), folder
