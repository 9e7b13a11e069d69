"""Refs, manifests and links that lead nowhere, elsewhere, or to another disk: what is used, and what is said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from caches import (
    COMMIT,
    GOOD,
    SPEC,
    payload,
    put,
    sha256,
)

from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState

WEIGHTS = "weights.safetensors"


def kinds(state: CacheState) -> list[str]:
    return [fault.kind for fault in state.faults]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        (None, "refs/main is missing"),
        (b"", "refs/main is empty"),
        (COMMIT[:12].encode(), "refs/main names no commit"),
        (b"\xff\xfe\x00", "refs/main names no commit"),
        (b"f" * 40, "refs/main names ffffffffffff, which is not here"),
        (b"../../../../outside/outside", "refs/main names no commit"),
        (b"..", "refs/main names no commit"),
        (b"/", "refs/main names no commit"),
        (b"x" * 1_000_000, "refs/main names no commit"),
    ],
)
def test_a_bad_ref_is_flagged_and_the_only_snapshot_used(hub: Path, ref: bytes | None, said: str) -> None:
    snapshot = put(hub)
    path = hub / "models--org--name" / "refs" / "main"
    path.unlink() if ref is None else path.write_bytes(ref)
    state = examine(SPEC, "hf")
    assert (state.state, state.path, kinds(state)) == ("complete", snapshot, ["bad-ref"])
    assert state.detail == f"{said}: snapshot {COMMIT[:12]} is used instead"


def test_a_ref_that_is_a_folder_or_pipe(hub: Path) -> None:
    put(hub)
    path = hub / "models--org--name" / "refs" / "main"
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    assert kinds(examine(SPEC, "hf")) == ["bad-ref"]
    path.unlink()
    path.mkdir()
    assert kinds(examine(SPEC, "hf")) == ["bad-ref"]


def test_of_several_snapshots_without_a_ref_the_newest_whole_one_is_used(hub: Path) -> None:
    old, whole, broken = (put(hub, commit=letter * 40, ref=False) for letter in "abc")
    (broken / WEIGHTS).unlink()
    for age, snapshot in enumerate((broken, whole, old)):
        os.utime(snapshot, (1_000_000 - age, 1_000_000 - age))
    state = examine(SPEC, "hf")
    assert (state.state, state.path, kinds(state)) == ("complete", whole, ["bad-ref"])


def test_a_pinned_revision_asks_no_ref(hub: Path) -> None:
    pinned = put(hub, commit="a" * 40, ref=False)
    put(hub)
    state = examine(replace(SPEC, revision="a" * 40), "hf")
    assert (state.state, state.path, state.faults) == ("complete", pinned, ())
    assert examine(replace(SPEC, revision="b" * 40), "hf").state == "partial"


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"[]", b'{"format_version": 7, "files": {}}', b"\xff" * 9, pytest.param(b"[" * 99_999, id="deep")],
)
def test_a_manifest_that_cannot_be_read_is_no_manifest(hub: Path, manifest: bytes) -> None:
    snapshot = put(hub, manifest=True)
    (snapshot.parents[1] / "trees" / f"{COMMIT}.json").write_bytes(manifest)
    assert examine(SPEC, "hf").state == "complete"


def test_a_manifest_with_a_name_that_leads_outside_is_a_fault_that_changes_nothing(hub: Path) -> None:
    snapshot = put(hub, manifest=True)
    path = snapshot.parents[1] / "trees" / f"{COMMIT}.json"
    path.write_text(path.read_text().replace('"files": {', '"files": {"../../x": {"size": 1, "blob_id": "0"}, '))
    state = examine(SPEC, "hf")
    assert (state.state, kinds(state)) == ("complete", ["escape"])
    assert "../../x" in state.detail


@pytest.mark.parametrize("target", ["file", "missing"])
def test_a_link_that_leads_outside_is_not_used(places: Path, home: tuple[CacheName, Path], target: str) -> None:
    cache, folder = home
    snapshot = put(folder)
    (places / "outside").mkdir()
    (places / "outside" / "file").write_bytes(GOOD[WEIGHTS])
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(places / "outside" / target)
    state = examine(SPEC, cache)
    assert (state.state, kinds(state)) == ("damaged", ["escape"])
    assert state.detail == "weights.safetensors is a link to a place outside its cache and is not used"


def test_a_blob_that_leads_outside_is_not_used(places: Path, hub: Path) -> None:
    snapshot = put(hub)
    blob = payload(snapshot / WEIGHTS)
    blob.rename(places / "elsewhere")
    blob.symlink_to(places / "elsewhere")
    assert kinds(examine(SPEC, "hf")) == ["escape"]


def test_a_snapshot_that_leads_outside_is_not_used(places: Path, hub: Path) -> None:
    snapshot = put(hub)
    (places / "outside").mkdir()
    for name, data in GOOD.items():
        (places / "outside" / name).write_bytes(data)
        (snapshot / name).unlink()
    snapshot.rmdir()
    snapshot.symlink_to(places / "outside")
    assert kinds(examine(SPEC, "hf")) == ["escape", "escape"]


def test_a_cache_or_repository_moved_to_another_disk_and_linked_is_fine(places: Path, hub: Path) -> None:
    put(places / "disk")
    hub.mkdir()
    (hub / "models--org--name").symlink_to(places / "disk" / "models--org--name")
    assert examine(SPEC, "hf").state == "complete"
    (hub / "models--org--name").unlink()
    hub.rmdir()
    hub.symlink_to(places / "disk")
    state = examine(SPEC, "hf")
    assert (state.state, state.path) == ("complete", hub / "models--org--name" / "snapshots" / COMMIT)


def test_a_repository_on_a_disk_that_is_unplugged(places: Path, hub: Path) -> None:
    hub.mkdir()
    (hub / "models--org--name").symlink_to(places / "unplugged")
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("broken-link", "models--org--name is a link to something that is not there")


def test_payloads_in_the_shared_store(hub: Path) -> None:
    blob = payload(put(hub) / WEIGHTS)
    shared = hub / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    (hub / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    blob.rename(shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    state = examine(SPEC, "hf")
    # The hash is the name of the first hop; the store's own names are another kind of hash.
    assert (state.state, state.files[1].sha256) == ("complete", sha256(GOOD[WEIGHTS]))
    shared.unlink()
    assert examine(SPEC, "hf").state == "broken-link"


def test_a_payload_in_another_cache_is_fine(places: Path, hub: Path) -> None:
    here, there = put(hub), put(places / "models")
    (there / WEIGHTS).unlink()
    (there / WEIGHTS).symlink_to(here / WEIGHTS)
    assert examine(SPEC, "local").state == "complete"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_missing(hub: Path) -> None:
    snapshot = put(hub)
    for folder in (snapshot, snapshot.parents[1]):
        folder.chmod(0)
        state = examine(SPEC, "hf")
        folder.chmod(0o755)
        assert (state.state, kinds(state)) == ("damaged", ["unreadable"])


def test_what_may_not_be_looked_at_is_not_missing(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = put(hub)
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent == snapshot:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("damaged", "models--org--name cannot be read: permission denied")
