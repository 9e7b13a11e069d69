"""The queue of downloads: rows that say what is going on, cancelling, stand-ins, and children that end badly."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from downloading import (
    CONFIG,
    add_model,
    assert_complete,
    folder,
    large_bytes,
    partial,
    request,
    size_of,
    wait_until,
    weights,
)
from misbehaviour import Stall
from server import HubServer

from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import DownloadRow, Patience
from speedtest_tui.core.process import parent

DATA = weights(8_000_000)
PATIENT = Patience(stall_s=20)


def test_the_queue_shows_each_step_and_ends_complete(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    add_model(hub, weights(1000, seed=3), "org/second")
    seen: list[tuple[DownloadRow, ...]] = []
    downloads = Downloads(seen.append)
    assert downloads.add(request(root, patience=PATIENT)) == 0
    assert downloads.add(request(root, "org/second", patience=PATIENT)) == 1
    assert downloads.add(request(root, patience=PATIENT)) == 0, "the same is not queued twice"
    assert downloads.join(60)
    first, second = downloads.rows
    assert (first.state, second.state) == ("done", "done")
    assert first.path == folder(root) / "snapshots" / commit
    assert first.bytes == first.total == first.received == len(DATA) + len(CONFIG)
    assert seen[-1] == downloads.rows
    states = [row[0].state for row in seen]
    assert states.index("contacting") < states.index("downloading") < states.index("done")
    assert_complete(root, DATA, commit)


def test_a_cancelled_download_is_continued_by_the_next(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=5_000_000), times=1)
    downloads = Downloads()
    downloads.add(request(root, patience=PATIENT))
    waiting = downloads.add(request(root, "org/none", patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled)
    wait_until(lambda: size_of(partial(root, DATA)) > 0)
    downloads.cancel(waiting)
    assert downloads.rows[waiting].state == "cancelled"
    downloads.cancel_all()
    assert downloads.join(30)
    assert [row.state for row in downloads.rows] == ["cancelled", "cancelled"]
    assert downloads.rows[waiting].received == 0
    kept = size_of(partial(root, DATA))
    assert kept > 0
    hub.behave()
    hub.forget()
    downloads.add(request(root, patience=PATIENT))
    assert downloads.join(60)
    assert downloads.rows[-1].state == "done"
    assert large_bytes(hub) == len(DATA) - kept
    assert_complete(root, DATA, commit)


def test_a_child_that_is_killed_from_outside_is_told_of(
    hub: HubServer, online: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=1_000_000))
    started: list[subprocess.Popen[bytes]] = []
    real = parent.launch

    def launch(module: str, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(module, **options))
        return started[-1]

    monkeypatch.setattr(parent, "launch", launch)
    downloads = Downloads()
    downloads.add(request(tmp_path / "cache", patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled)
    started[0].kill()
    assert downloads.join(30)
    row = downloads.rows[0]
    assert row.advice is not None
    assert "was killed (SIGKILL)" in row.advice.what
    assert "kept" in row.advice.todo


def test_the_plain_model_is_downloaded_where_the_hub_has_no_quantised_one(
    hub: HubServer, online: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    downloads = Downloads()
    downloads.add(request(root, "org/model-q4", patience=PATIENT, fallback=request(root, patience=PATIENT)))
    assert downloads.join(60)
    first, second = downloads.rows
    assert first.state == "failed"
    assert first.note == "downloading org/model instead"
    assert second.state == "done"
    assert second.request.reason.startswith("org/model-q4 is not on the hub")
    assert_complete(root, DATA, commit)


def test_offline_is_the_users_word_for_children_too(
    hub: HubServer, online: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(hub, DATA)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    downloads = Downloads()
    downloads.add(request(tmp_path / "cache"))
    assert downloads.join(30)
    row = downloads.rows[0]
    assert row.advice is not None
    assert row.failure == "offline"
    assert not hub.requests


def test_a_proxy_that_refuses(
    hub: HubServer, online: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv("HTTPS_PROXY", hub.url)
    monkeypatch.setenv("NO_PROXY", "")
    downloads = Downloads()
    downloads.add(request(tmp_path / "cache"))
    assert downloads.join(30)
    row = downloads.rows[0]
    assert row.advice is not None
    assert row.failure == "proxy"
    assert "HTTPS_PROXY" in row.advice.todo
