"""Files that are to be downloaded again are really replaced, in the shared store too, and kept in the trash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import clients
import pytest
from caches import HubCache, hub_cache, shared_store
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
    request,
    weights,
)
from server import HubServer

__all__ = ["here"]
DATA = weights(300_000)
LARGE = {"weights.safetensors"}


def test_a_damaged_file_is_replaced_and_kept_in_the_trash(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    fetch(request(tmp_path))
    blob = folder(tmp_path) / "blobs" / hashlib.sha256(DATA).hexdigest()
    damaged = DATA[:-1] + b"?"
    blob.write_bytes(damaged)
    assert fetch(request(tmp_path)).failure is None
    assert blob.read_bytes() == damaged, "right in size: nobody asked for it again"
    log = fetch(request(tmp_path, again=("weights.safetensors",), trash=tmp_path / "trash"))
    assert log.failure is None
    assert_complete(tmp_path, DATA, commit)
    assert [path.read_bytes() for path in (tmp_path / "trash").iterdir()] == [damaged]


def test_what_was_repaired_meanwhile_is_not_downloaded_again(hub: HubServer, here: None, tmp_path: Path) -> None:
    add_model(hub, DATA)
    fetch(request(tmp_path))
    hub.forget()
    log = fetch(request(tmp_path, again=("weights.safetensors",), trash=tmp_path / "trash"))
    assert log.failure is None
    assert gets(hub) == []
    assert not (tmp_path / "trash").exists()
    assert log.last.bytes == log.last.total


@pytest.mark.parametrize("kept_bytes", [len(DATA), 1000])
def test_a_damaged_payload_of_the_shared_store_is_replaced_there_too(
    hub: HubServer, here: None, online: dict[str, str], tmp_path: Path, kept_bytes: int
) -> None:
    root, damage = tmp_path / "cache", b"?" + DATA[1:kept_bytes]
    made, payload = shared(hub, root)
    payload.chmod(0o644)
    payload.write_bytes(damage)
    wanted = request(root, again=("weights.safetensors",), trash=tmp_path / "trash")
    assert fetch(wanted).failure is None
    blob = made.blob("weights.safetensors")
    assert payload.read_bytes() == blob.read_bytes() == made.file("weights.safetensors").read_bytes() == DATA
    assert blob.is_file()
    assert not blob.is_symlink()
    assert not payload.stat().st_mode & 0o222
    kept = [path for path in (tmp_path / "trash").iterdir() if not path.is_symlink()]
    assert [path.read_bytes() for path in kept] == [damage]
    # A fresh client that is to have the file in another repository is given the repaired payload.
    offline = {**online, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(root)}
    found = clients.run(offline, f'answer(hf_hub_download({REPOSITORY!r}, "weights.safetensors"))')
    assert Path(found.value).read_bytes() == DATA


def test_another_repositorys_good_payload_is_used(hub: HubServer, here: None, tmp_path: Path) -> None:
    made, payload = shared(hub, tmp_path)
    made.blob("weights.safetensors").unlink()
    hub.forget()
    log = fetch(request(tmp_path))
    assert log.failure is None
    assert "already there" in log.notes
    assert gets(hub) == []
    assert made.blob("weights.safetensors").samefile(payload)


def shared(hub: HubServer, root: Path) -> tuple[HubCache, Path]:
    """A cache whose weights lie in the shared store, and a hub that says so."""
    files = {"config.json": CONFIG, "weights.safetensors": DATA}
    made = hub_cache(root, REPOSITORY, files, lfs=LARGE)
    payload = shared_store(made, "weights.safetensors")
    hub.add_repo(REPOSITORY, files, lfs=LARGE, commit=made.commit)
    # The server knows no xet hashes; a list on disk is read by nobody here, so the answer itself is given one.
    import routes

    listed = routes.listed

    def with_xet(name: str, content: Content) -> dict[str, object]:
        entry = listed(name, content)
        return {**entry, "xetHash": payload.name} if name == "weights.safetensors" else entry

    pytest.MonkeyPatch().setattr(routes, "listed", with_xet)
    return made, payload


@pytest.fixture(autouse=True)
def _true_lists() -> Iterator[None]:
    import routes

    listed = routes.listed
    yield
    routes.listed = listed
