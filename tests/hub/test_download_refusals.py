"""Models that cannot be had: each reason has its sentence, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from downloading import (
    CONFIG,
    REPOSITORY,
    add_model,
    fetch,
    folder,
    here,
    left_over,
    request,
    weights,
)
from routes import OTHER_TOKEN, TOKEN
from server import HubServer

__all__ = ["here"]
DATA = weights(300_000)
LARGE = {"weights.safetensors"}


def test_weights_under_another_name_are_downloaded_for_repair(hub: HubServer, here: None, tmp_path: Path) -> None:
    hub.add_repo(REPOSITORY, {"config.json": CONFIG, "model.safetensors": DATA}, lfs={"model.safetensors"})
    log = fetch(request(tmp_path))
    assert log.path is not None
    assert (log.path / "model.safetensors").read_bytes() == DATA
    assert "repair" in log.notes


def test_a_repository_that_is_made_for_something_else(hub: HubServer, here: None, tmp_path: Path) -> None:
    hub.add_repo(REPOSITORY, {"config.json": CONFIG})
    log = fetch(request(tmp_path))
    assert log.kind == "not-found"
    assert "weights.safetensors or weights.npz" in str(log.failure)


def test_no_such_repository(hub: HubServer, here: None, tmp_path: Path) -> None:
    log = fetch(request(tmp_path, source="org/none"))
    assert log.kind == "not-found"
    assert "org/none is not on the hub, or is private" in str(log.failure)


def test_no_such_revision(hub: HubServer, here: None, tmp_path: Path) -> None:
    add_model(hub, DATA)
    assert "no such revision" in str(fetch(request(tmp_path, revision="v9")).failure)


@pytest.mark.parametrize("token", ["", OTHER_TOKEN])
def test_a_gated_repository_says_where_to_ask(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    hub.add_repo(REPOSITORY, {"config.json": CONFIG, "weights.safetensors": DATA}, lfs=LARGE, gated=True)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    log = fetch(request(tmp_path))
    assert log.kind == "gated"
    assert f"ask for access at {hub.url}/{REPOSITORY}" in str(log.failure)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch(request(tmp_path)).failure is None
    assert all(not entry.token for entry in hub.requests if entry.origin == "cdn"), "the token is for the hub alone"


def test_a_bad_token(hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(hub, DATA)
    monkeypatch.setenv("HF_TOKEN", "hf_nonsense")
    log = fetch(request(tmp_path))
    assert log.kind == "token"
    assert "does not accept your token" in str(log.failure)


def test_offline_mode(hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    log = fetch(request(tmp_path))
    assert log.kind == "offline"
    assert "HF_HUB_OFFLINE" in str(log.failure)
    assert not hub.requests


def test_a_cache_that_may_not_be_written(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(hub, DATA)
    real = os.mkdir

    def refuse(path: str, *rest: int, **more: int) -> None:
        if str(path).startswith(str(tmp_path / "cache")):
            raise OSError(30, "Read-only file system", str(path))
        real(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", refuse)
    log = fetch(request(tmp_path / "cache"))
    assert log.kind == "read-only"
    assert "is not writable (Read-only file system)" in str(log.failure)


def test_a_complete_model_in_a_cache_that_may_only_be_read(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = add_model(hub, DATA)
    fetch(request(tmp_path))
    (folder(tmp_path) / "refs" / "main").unlink()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr("speedtest_tui.core.disk.write_bytes", refuse)
    assert fetch(request(tmp_path)).path == folder(tmp_path) / "snapshots" / commit
    assert not list(left_over(folder(tmp_path)))
