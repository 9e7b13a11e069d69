"""Scans of repositories in the hub's layout, of both generations, made by hand and damaged by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from caches import COMMIT, GOOD, WEIGHTS, etag, put, shared
from huggingface_hub import scan_cache_dir

from speedtest_tui.core.models import manifest
from speedtest_tui.core.models.inventory import Stored
from speedtest_tui.core.models.manifest import ManifestFile
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.models.status import Fault
from speedtest_tui.core.repair.plan import plan

SIZE = sum(len(data) for data in GOOD.values())
FOLDER = "models--org--name"


@pytest.fixture
def hub(places: Path) -> Path:
    """A cache's folder, which is not there yet, on a path with a space and more than ASCII."""
    return places / "Zwischen speicher ü" / "hub"


def one(hub: Path) -> Stored:
    (row,) = scan([("hf", hub)])
    return row


def fault(hub: Path, kind: str, path: Path) -> Fault:
    """The only fault of the only row."""
    (found,) = one(hub).faults
    assert (found.kind, found.path) == (kind, path)
    assert found.detail.isprintable()
    assert not found.detail.endswith(".")
    return found


def blob(hub: Path, name: str = WEIGHTS) -> Path:
    return hub / FOLDER / "blobs" / etag(name, GOOD[name])


@pytest.mark.parametrize("listed", [False, True])
def test_a_whole_repository(hub: Path, listed: bool) -> None:
    snapshot = put(hub, manifest=listed)
    row = one(hub)
    assert (row.cache, row.root, row.path, row.name) == ("hf", hub, hub / FOLDER, "org/name")
    assert (row.layout, row.kind, row.refs, row.bytes) == ("hub", "model", (("main", COMMIT),), SIZE)
    assert row.faults == row.partials == row.files == ()
    (found,) = row.snapshots
    assert (found.revision, found.path, set(row.manifests)) == (COMMIT, snapshot, {COMMIT} if listed else set())
    status = blob(hub).stat()
    weights = found.files[1]
    assert (weights.name, weights.path, weights.blob) == (WEIGHTS, snapshot / WEIGHTS, blob(hub))
    assert (weights.bytes, weights.inode) == (len(GOOD[WEIGHTS]), (status.st_dev, status.st_ino))
    assert row.modified == max(path.stat().st_mtime for path in (hub / FOLDER / "blobs").iterdir())


def test_marks_that_huggingface_hub_leaves_are_no_faults(hub: Path) -> None:
    put(hub, manifest=True)
    (hub / "CACHEDIR.TAG").touch()
    (hub / "version.txt").write_text("1")
    (hub / ".speedtest-trash" / "x").mkdir(parents=True)
    (hub / FOLDER / ".no_exist" / COMMIT).mkdir(parents=True)
    (hub / FOLDER / ".no_exist" / COMMIT / "adapter.json").touch()
    (hub / FOLDER / ".DS_Store").touch()
    (hub / FOLDER / "refs" / "refs" / "pr").mkdir(parents=True)
    (hub / FOLDER / "refs" / "refs" / "pr" / "1").write_text(COMMIT)
    (hub / FOLDER / "refs" / "main.0badc0de.tmp").write_text("012")
    (hub / ".locks" / FOLDER).mkdir(parents=True)
    (hub / ".locks" / FOLDER / f"{blob(hub).name}.lock").touch()
    row = one(hub)
    assert row.faults == ()
    assert row.refs == (("main", COMMIT), ("refs/pr/1", COMMIT))


def test_nested_files_and_real_files_in_a_snapshot(hub: Path) -> None:
    snapshot = put(hub, {**GOOD, "onnx/deep/model.onnx": b"o" * 2_000})
    (snapshot / "README.md").write_text("copied by hand")
    row = one(hub)
    assert [file.name for file in row.snapshots[0].files] == [
        "README.md",
        "config.json",
        "onnx/deep/model.onnx",
        WEIGHTS,
    ]
    assert row.snapshots[0].files[0].blob == snapshot / "README.md"
    assert row.bytes == SIZE + 2_000 + 14
    assert row.faults == ()


def test_blobs_without_a_snapshot_and_shared_by_two_count_once(hub: Path) -> None:
    put(hub)
    (hub / FOLDER / "snapshots" / ("f" * 40)).mkdir()
    (hub / FOLDER / "snapshots" / ("f" * 40) / "config.json").symlink_to(f"../../blobs/{blob(hub, 'config.json').name}")
    (hub / FOLDER / "blobs" / ("0" * 40)).write_bytes(b"x" * 50)
    row = one(hub)
    assert len(row.snapshots) == 2
    assert row.bytes == SIZE + 50


def test_a_link_out_of_the_cache_by_way_of_a_folder(hub: Path, places: Path) -> None:
    put(hub)
    (hub / FOLDER / "blobs").rename(places / "blobs")
    (hub / FOLDER / "blobs").symlink_to(places / "blobs")
    row = one(hub)
    assert {found.kind for found in row.faults} == {"escape"}
    assert (row.bytes, len(row.faults)) == (0, 3)


def test_links_within_the_caches_are_sound(hub: Path, places: Path) -> None:
    snapshot = put(hub)
    (snapshot / "model.safetensors").symlink_to(WEIGHTS)
    other = places / "models"
    put(other, repository="org/other")
    target = other / "models--org--other" / "blobs" / blob(hub).name
    blob(hub).unlink()
    blob(hub).symlink_to(target)
    rows = list(scan([("hf", hub), ("local", other)]))
    assert [row.faults for row in rows] == [(), ()]
    files = rows[0].snapshots[0].files
    assert {file.inode for file in files[1:]} == {(target.stat().st_dev, target.stat().st_ino)}
    assert files[1].blob == snapshot / WEIGHTS


def test_a_file_that_is_rightly_empty(hub: Path) -> None:
    put(hub, {**GOOD, "special_tokens.json": b""})
    assert one(hub).faults == ()


def test_hollow_repositories(hub: Path) -> None:
    (hub / FOLDER).mkdir(parents=True)
    fault(hub, "missing-file", hub / FOLDER)
    (hub / FOLDER / "snapshots").mkdir()
    fault(hub, "missing-file", hub / FOLDER)
    (hub / FOLDER / "snapshots" / COMMIT).mkdir()
    (hub / FOLDER / "refs").mkdir()
    (hub / FOLDER / "refs" / "main").write_text(COMMIT)
    fault(hub, "missing-file", hub / FOLDER / "snapshots" / COMMIT)


def test_files_where_folders_belong(hub: Path) -> None:
    put(hub)
    (hub / FOLDER / "snapshots" / "file").touch()
    fault(hub, "foreign", hub / FOLDER / "snapshots" / "file")
    (hub / FOLDER / "snapshots" / "file").unlink()
    (hub / FOLDER / "notes").touch()
    fault(hub, "foreign", hub / FOLDER / "notes")
    (hub / FOLDER / "notes").unlink()
    (hub / FOLDER / "trees").touch()
    fault(hub, "unreadable", hub / FOLDER / "trees")
    (hub / FOLDER / "trees").unlink()
    (hub / FOLDER / "trees").symlink_to("nothing")
    fault(hub, "broken-link", hub / FOLDER / "trees")


@pytest.mark.parametrize("part", ["", "blobs", "snapshots", "refs", f"snapshots/{COMMIT}"])
def test_folders_that_may_not_be_listed(hub: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(hub)
    closed, real = str(hub / FOLDER / part), os.scandir

    def scandir(path: str) -> object:
        if os.fspath(path) == closed.rstrip("/"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    faults = one(hub).faults
    assert ("unreadable", closed.rstrip("/")) in {(found.kind, str(found.path)) for found in faults}


def test_files_that_may_not_be_read(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = put(hub)
    blob(hub).chmod(0)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it answers to anybody but root
    assert fault(hub, "unreadable", snapshot / WEIGHTS).bytes == len(GOOD[WEIGHTS])


def test_the_shared_store(hub: Path) -> None:
    payload = shared(put(hub, manifest=True))
    payload.with_name(f"{payload.name}.lock").touch()
    row = one(hub)
    assert (row.faults, row.bytes) == ((), SIZE)
    weights = row.snapshots[0].files[1]
    assert (weights.blob, weights.inode) == (blob(hub), (payload.stat().st_dev, payload.stat().st_ino))


def test_a_shared_payload_that_is_gone_or_leads_outside(hub: Path, places: Path) -> None:
    snapshot = put(hub)
    payload = shared(snapshot)
    payload.unlink()
    assert "of the shared store" in fault(hub, "broken-link", snapshot / WEIGHTS).detail
    (places / "secret").write_bytes(GOOD[WEIGHTS])
    payload.symlink_to(places / "secret")
    fault(hub, "escape", snapshot / WEIGHTS)


def test_payloads_that_nothing_links_to_have_a_row(hub: Path) -> None:
    shared(put(hub))
    lonely = hub / "blobs" / "cd" / ("cd" + "0" * 62)
    lonely.parent.mkdir()
    lonely.write_bytes(b"x" * 70)
    (hub / "blobs" / "notes.txt").touch()
    repository, store = sorted(scan([("hf", hub)]), key=lambda row: row.name)
    assert repository.name == "org/name"
    assert (store.name, store.kind, store.bytes, [file.path for file in store.files]) == (
        "shared store",
        "",
        70,
        [lonely],
    )
    assert [(found.kind, found.path.name) for found in store.faults] == [("foreign", "notes.txt")]


def test_a_folder_blobs_without_the_marker_is_foreign(hub: Path) -> None:
    (hub / "blobs" / "ab").mkdir(parents=True)
    assert (one(hub).layout, one(hub).name) == ("foreign", "blobs")


def partial(hub: Path, suffix: str, size: int) -> Path:
    path = blob(hub).with_name(blob(hub).name + suffix)
    path.write_bytes(b"x" * size)
    return path


def test_partial_downloads_that_can_be_continued(hub: Path) -> None:
    put(hub, manifest=True, leave_out=(WEIGHTS,))
    path = partial(hub, ".0badc0de.incomplete", 40)
    row = one(hub)
    assert row.faults == ()
    assert [(found.path, found.etag, found.bytes) for found in row.partials] == [(path, blob(hub).name, 40)]
    assert row.bytes == 2 + 40


def test_partial_downloads_that_nothing_continues(hub: Path) -> None:
    put(hub, manifest=True, leave_out=(WEIGHTS,))
    partial(hub, ".0badc0de.incomplete", 40)
    smaller = partial(hub, ".incomplete", 30)
    assert fault(hub, "orphaned-partial", smaller).bytes == 30
    blob(hub).write_bytes(GOOD[WEIGHTS])
    assert [found.kind for found in one(hub).faults] == ["orphaned-partial"] * 2
    blob(hub).write_bytes(b"too short")  # it will be fetched again, and the partial may be the better beginning
    assert [found.path for found in one(hub).faults] == [smaller]


def lock(hub: Path, name: str, text: str = "", folder: str = FOLDER) -> Path:
    path = hub / ".locks" / folder / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_stale_locks(hub: Path) -> None:
    put(hub)
    with subprocess.Popen(["true"]) as ended:
        pass
    held_by_file = lock(hub, blob(hub).name, f"{ended.pid}\n{os.uname().nodename}\n")
    assert "has ended" in fault(hub, "stale-lock", held_by_file).detail
    held_by_file.write_text(f"{os.getpid()}\n{os.uname().nodename}\n")
    assert one(hub).faults == ()
    held_by_file.write_text(f"{ended.pid}\nanother-machine\n")
    assert one(hub).faults == ()
    held_by_file.unlink()
    fault(hub, "stale-lock", lock(hub, "f" * 64))


def test_the_lock_of_a_file_that_is_to_come_is_not_stale(hub: Path) -> None:
    put(hub, manifest=True, leave_out=(WEIGHTS,))
    lock(hub, blob(hub).name)
    assert one(hub).faults == ()


def test_locks_of_a_repository_that_is_gone(hub: Path) -> None:
    path = lock(hub, "f" * 64)
    row = one(hub)
    assert (row.name, row.layout, row.path) == ("org/name", "hub", path.parent)
    assert [(found.kind, found.path) for found in row.faults] == [("stale-lock", path)]


def test_a_manifest_of_a_commit_without_a_snapshot_protects_its_partials(hub: Path) -> None:
    put(hub)
    manifest.write(hub / FOLDER, "e" * 40, {"big.bin": ManifestFile(99, "0" * 40, "9" * 64)})
    lock(hub, "9" * 64)
    assert one(hub).faults == ()


def test_a_repository_of_5000_files_finds_the_same_as_huggingface_hub(hub: Path) -> None:
    put(hub, {f"part-{number // 100}/{number}.txt": b"%d" % number for number in range(5_000)}, manifest=True)
    (theirs,) = scan_cache_dir(hub).repos
    row = one(hub)
    assert (row.name, row.kind, row.bytes) == (theirs.repo_id, theirs.repo_type, theirs.size_on_disk)
    files = {(file.path, file.blob, file.bytes) for file in row.snapshots[0].files}
    (revision,) = theirs.revisions
    assert files == {(file.file_path, file.blob_path, file.size_on_disk) for file in revision.files}
    assert row.modified == theirs.last_modified


def test_many_damaged_files_cost_no_more_each_than_few(hub: Path) -> None:
    """Calls are counted, not seconds: four times the links, partial downloads and steps are four times the calls."""

    def calls(count: int) -> int:
        snapshot = hub / f"models--org--{count}" / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        blobs = snapshot.parents[1] / "blobs"
        blobs.mkdir()
        for number in range(count):
            (snapshot / f"{number}.json").symlink_to(f"../../blobs/{number:040x}")
            (blobs / f"{number + count:040x}.0badc0de.incomplete").touch()
        counted = 0

        def count_call(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count_call)
        try:
            plan([], [row for row in scan((("hf", hub),)) if row.name == f"org/{count}"])
        finally:
            sys.setprofile(None)
        shutil.rmtree(snapshot.parents[1])
        return counted

    calls(1)
    assert calls(200) < 5 * calls(50)
