"""Fixtures of this folder: a hub of each test's own, and the nano models built once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from repos import Kit
from server import HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A server without repositories."""
    with HubServer() as server:
        yield server


@pytest.fixture
def online(hub: HubServer, places: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let this process and its children use the hub, and no other: HF_ENDPOINT is set. Returns their environment."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return dict(os.environ)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Nano models in every layout, built when first asked for."""
    return Kit(tmp_path_factory.mktemp("kit"))
