"""What a download makes of a cache: the real huggingface_hub finds it, and what was damaged is really replaced."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import clients
import pytest
from contents import Content
from downloading import (
    CONFIG,
    REPOSITORY,
    add_model,
    assert_complete,
    fetch,
    folder,
    gets,
    here,
    partial,
    request,
    weights,
)
from misbehaviour import Status
from server import HubServer

from speedtest_tui.core.models import manifest

__all__ = ["here"]
DATA = weights(300_000)
LARGE = {"weights.safetensors"}
ASK = f"""
answer([
    hf_hub_download({REPOSITORY!r}, "weights.safetensors"),
    try_to_load_from_cache({REPOSITORY!r}, "config.json"),
    snapshot_download({REPOSITORY!r}),
    snapshot_download({REPOSITORY!r}, allow_patterns=["*.json", "*.safetensors"]),
])
"""


def offline(cache: Path, online: dict[str, str]) -> dict[str, str]:
    """The environment of a client that may not ask anybody."""
    return {**online, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}


@pytest.mark.parametrize("name", ["cache", "mit Leerzeichen und Größe/модели 模型"])
def test_the_real_client_finds_our_download_offline(
    hub: HubServer, here: None, online: dict[str, str], tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    commit = add_model(hub, DATA, **{"README.md": b"# A model", ".gitattributes": b"*.bin filter=lfs"})
    assert fetch(request(root)).failure is None
    assert_complete(root, DATA, commit)
    answer = clients.run(offline(root, online), ASK)
    snapshot = str(folder(root) / "snapshots" / commit)
    assert answer.value == [f"{snapshot}/weights.safetensors", f"{snapshot}/config.json", snapshot, snapshot]


def test_large_files_that_no_model_needs_are_left_out_and_the_client_is_told(
    hub: HubServer, here: None, online: dict[str, str], tmp_path: Path
) -> None:
    hub.add_repo(
        REPOSITORY,
        {"config.json": CONFIG, "weights.safetensors": DATA, "pytorch_model.bin": bytes(9 << 20)},
        lfs={"weights.safetensors", "pytorch_model.bin"},
    )
    assert fetch(request(tmp_path)).failure is None
    assert hub.bytes_sent("pytorch_model.bin") == 0
    part = ASK.replace(f"snapshot_download({REPOSITORY!r}),", "")
    assert len(clients.run(offline(tmp_path, online), part).value) == 3
    assert clients.run(offline(tmp_path, online), ASK).error == "IncompleteSnapshotError"


def test_the_list_is_the_real_clients(hub: HubServer, here: None, online: dict[str, str], tmp_path: Path) -> None:
    commit = add_model(hub, DATA, **{"folder/notes.txt": b"words"})
    assert fetch(request(tmp_path / "ours")).failure is None
    code = f"answer(snapshot_download({REPOSITORY!r}))"
    clients.run({**online, "HF_HUB_CACHE": str(tmp_path / "theirs")}, code)
    lists = [
        json.loads((folder(tmp_path / who) / "trees" / f"{commit}.json").read_text()) for who in ("ours", "theirs")
    ]
    assert lists[0] == lists[1]

    def names(root: Path) -> set[str]:
        found = {path.relative_to(root).as_posix() for path in folder(root).rglob("*")}
        return {name for name in found if not name.endswith((".lock", "CACHEDIR.TAG"))}

    assert names(tmp_path / "ours") == names(tmp_path / "theirs")


def test_a_second_download_asks_and_downloads_nothing(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    fetch(request(tmp_path))
    hub.forget()
    log = fetch(request(tmp_path))
    assert log.path == folder(tmp_path) / "snapshots" / commit
    assert hub.bytes_sent("weights.safetensors") == hub.bytes_sent("config.json") == 0


def test_only_what_is_missing_is_downloaded(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    fetch(request(tmp_path))
    (folder(tmp_path) / "blobs" / Content(CONFIG).etag).unlink()
    (folder(tmp_path) / "refs" / "main").unlink()
    hub.forget()
    assert fetch(request(tmp_path)).failure is None
    assert hub.bytes_sent("weights.safetensors") == 0
    assert_complete(tmp_path, DATA, commit)


def test_a_new_commit_shares_what_has_not_changed(hub: HubServer, here: None, tmp_path: Path) -> None:
    first = add_model(hub, DATA)
    fetch(request(tmp_path))
    second = add_model(hub, DATA, **{"vocab.json": b"{}"})
    hub.forget()
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == []
    assert_complete(tmp_path, DATA, second)
    assert (folder(tmp_path) / "snapshots" / first / "weights.safetensors").read_bytes() == DATA


def test_a_pinned_commit_moves_no_branch(hub: HubServer, here: None, tmp_path: Path) -> None:
    first = add_model(hub, DATA)
    add_model(hub, weights(1000, seed=5))
    log = fetch(request(tmp_path, revision=first))
    assert log.path == folder(tmp_path) / "snapshots" / first
    assert not (folder(tmp_path) / "refs").exists()


@pytest.mark.parametrize("count", [100_000, 250_000])
def test_what_the_real_client_left_when_it_was_killed_is_continued(
    hub: HubServer, here: None, tmp_path: Path, count: int
) -> None:
    commit = add_model(hub, DATA)
    blobs = partial(tmp_path, DATA).parent
    blobs.mkdir(parents=True)
    etag = hashlib.sha256(DATA).hexdigest()
    partial(tmp_path, DATA).write_bytes(DATA[:150_000])
    (blobs / f"{etag}.0123abcd.incomplete").write_bytes(DATA[:50_000])
    (blobs / f"{etag}.deadbeef.incomplete").write_bytes(DATA[:count])
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == [(max(count, 150_000), 206)]
    assert (folder(tmp_path) / "snapshots" / commit / "weights.safetensors").read_bytes() == DATA


def test_a_partial_file_with_holes_is_taken_up_to_the_first(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    blobs = partial(tmp_path, DATA).parent
    blobs.mkdir(parents=True)
    with (blobs / f"{hashlib.sha256(DATA).hexdigest()}.deadbeef.incomplete").open("wb") as file:
        file.write(DATA[:65536])
        file.seek(131072 * 2)
        file.write(DATA[131072 * 2 :])
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == [(65536, 206)]
    assert_complete(tmp_path, DATA, commit)


def test_without_links_the_file_itself_is_in_the_snapshot(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = add_model(hub, DATA)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "symlink", refuse)
        assert fetch(request(tmp_path)).failure is None
    file = folder(tmp_path) / "snapshots" / commit / "weights.safetensors"
    assert not file.is_symlink()
    assert file.read_bytes() == DATA
    hub.forget()
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == []


def test_a_link_that_leads_out_of_the_cache_is_replaced_not_followed(
    hub: HubServer, here: None, tmp_path: Path
) -> None:
    root, outside = tmp_path / "cache", tmp_path / "precious"
    commit = add_model(hub, DATA)
    fetch(request(root))
    outside.write_bytes(bytes(len(DATA)))
    blob = folder(root) / "blobs" / hashlib.sha256(DATA).hexdigest()
    blob.unlink()
    blob.symlink_to(outside)
    assert fetch(request(root)).failure is None
    assert_complete(root, DATA, commit)
    assert outside.read_bytes() == bytes(len(DATA))


def test_a_folder_that_leads_out_of_the_cache_is_refused(hub: HubServer, here: None, tmp_path: Path) -> None:
    root, outside = tmp_path / "cache", tmp_path / "precious"
    add_model(hub, DATA)
    outside.mkdir()
    folder(root).mkdir(parents=True)
    (folder(root) / "blobs").symlink_to(outside)
    log = fetch(request(root))
    assert log.kind == "unsafe"
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["../../escape.json", "/etc/escape.json", "a/../../../b.json", "a\\..\\b.json"])
def test_a_listing_with_a_name_that_leads_out_is_refused(hub: HubServer, here: None, tmp_path: Path, name: str) -> None:
    add_model(hub, DATA, **{name: b"{}"})
    log = fetch(request(tmp_path / "cache"))
    assert log.kind == "unsafe"
    assert not (tmp_path / "cache").exists()


def test_5000_files(hub: HubServer, here: None, tmp_path: Path) -> None:
    many = {f"data/{number // 100}/{number}.bin": b"%d" % number for number in range(5000)}
    commit = add_model(hub, DATA, **many)
    assert fetch(request(tmp_path)).failure is None
    assert_complete(tmp_path, DATA, commit)
    files = manifest.read(folder(tmp_path), commit)
    assert files is not None
    assert len(files) == 5002
    assert len([entry for entry in hub.requests if "/tree/" in entry.path]) == 6


def test_a_mirror_that_knows_no_listings(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    hub.misbehave("*/tree/*", Status(404))
    assert fetch(request(tmp_path)).failure is None
    assert_complete(tmp_path, DATA, commit)
    assert not (folder(tmp_path) / "trees").exists()
