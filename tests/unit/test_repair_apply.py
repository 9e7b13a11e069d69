"""Applying a plan offline: each step does what it says, once, within its cache, and can be undone."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from caches import CHECKPOINT, GOOD, SPEC, flip, payload, put, sha256, shared
from filelock import FileLock
from repairing import apply, picture, planned, reports
from test_repair_plan import OPENAI, WEIGHTS, hf, mlx_weights  # noqa: F401
from test_undo import at_each_kill

from backends.base import ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models import layout
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.inventory import Duplicate
from speedtest_tui.core.models.locks import lock_of
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.apply import Application
from speedtest_tui.core.repair.copying import plan_copy
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.step import Step
from speedtest_tui.core.repair.undo import find, undo


def repaired(*specs: ModelSpec) -> list[str]:
    """Apply the plan for some models; the kinds of its steps. The models must be whole and a second plan empty."""
    before = picture(locations.hf_cache(), locations.local_cache(), locations.whisper_cache())
    done = apply(planned(*specs).chosen, *specs)
    assert [(row.state, row.message) for row in done.rows] == [("done", "")] * len(done.rows)
    assert done.state == "done"
    for spec in specs:
        assert "complete" in {examine(spec, cache).state for cache in ("hf", "local", "whisper")}
    assert planned(*specs).chosen == ()
    after = picture(locations.hf_cache(), locations.local_cache(), locations.whisper_cache())
    assert undo(find(done.entry)).complete
    assert picture(locations.hf_cache(), locations.local_cache(), locations.whisper_cache()) == before
    undo(find(trash.entries()[0].id))
    assert picture(locations.hf_cache(), locations.local_cache(), locations.whisper_cache()) == after
    return [row.step.kind for row in done.rows]


def test_a_link_is_made_again(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    text = snapshot.joinpath(WEIGHTS).readlink()
    (snapshot / WEIGHTS).unlink()
    assert repaired(SPEC) == ["relink"]
    assert (snapshot / WEIGHTS).readlink() == text


def test_content_comes_from_another_cache_as_a_second_name(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    payload(snapshot / WEIGHTS).write_bytes(b"cut")
    whole = payload(put(locations.local_cache(), manifest=True) / WEIGHTS)
    assert repaired(SPEC) == ["relink"]
    assert payload(snapshot / WEIGHTS).samefile(whole)


def test_content_is_hashed_before_it_is_used(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    payload(snapshot / WEIGHTS).write_bytes(b"cut")
    flip(put(locations.local_cache(), manifest=True) / WEIGHTS)
    (step,) = (step for step in planned(SPEC).chosen if step.cache == "hf")
    done = Application([step]).run()
    (row,) = done.rows
    assert row.state == "failed"
    assert "is damaged, too" in row.message
    assert payload(snapshot / WEIGHTS).read_bytes() == b"cut"
    assert done.entry == ""
    # What was found is remembered: both files are to be downloaded now.
    assert [step.kind for step in planned(SPEC).chosen] == ["download", "download"]


def test_a_damaged_shared_payload_is_replaced_for_all_who_share_it(hf: Path) -> None:  # noqa: F811
    first, second = put(hf, manifest=True), put(hf, manifest=True, repository="b/c")
    store, _ = shared(first), shared(second)
    payload(store).write_bytes(GOOD[WEIGHTS][:-4])
    put(locations.local_cache(), manifest=True)
    apply([step for step in planned(SPEC).chosen if step.kind == "relink"])
    assert store.read_bytes() == GOOD[WEIGHTS]
    assert (second / WEIGHTS).read_bytes() == GOOD[WEIGHTS]
    assert examine(SPEC, "hf").state == "complete"


def test_a_missing_blob_is_taken_from_the_shared_store(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    listed = snapshot.parents[1] / "trees" / f"{snapshot.name}.json"
    listed.write_text(listed.read_text().replace('"lfs_sha256"', f'"xet_hash": "{"ab" * 32}", "lfs_sha256"'))
    store = layout.shared_blob(hf, "ab" * 32)
    store.parent.mkdir(parents=True)
    (hf / "blobs" / layout.SHARED_MARKER).write_text("1\n")
    payload(snapshot / WEIGHTS).rename(store)
    apply(planned(SPEC).chosen)
    assert (snapshot / WEIGHTS).read_bytes() == GOOD[WEIGHTS]
    assert examine(SPEC, "hf").state == "complete"


def test_weights_are_adopted_by_a_link_to_their_blob(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, {"config.json": b"{}", "model.safetensors": mlx_weights()})
    assert repaired(SPEC) == ["adopt"]
    assert (snapshot / WEIGHTS).readlink() == (snapshot / "model.safetensors").readlink()


def test_weights_in_a_plain_folder_are_adopted_too(places: Path) -> None:
    folder = locations.local_cache() / "org--name"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "model.safetensors").write_bytes(mlx_weights())
    assert repaired(SPEC) == ["adopt"]
    assert str((folder / WEIGHTS).readlink()) == "model.safetensors"


@pytest.mark.parametrize("ref", [None, "", "0123456789ab", "f" * 40])
def test_a_ref_is_written(hf: Path, ref: str | None) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    main = snapshot.parents[1] / "refs" / "main"
    main.unlink() if ref is None else main.write_text(ref)
    assert repaired(SPEC) == ["write-ref"]
    assert main.read_text() == snapshot.name
    assert main.stat().st_mode & 0o444 == 0o444


def test_a_missing_link_and_a_missing_ref_are_repaired_in_one_go(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True, ref=False)
    (snapshot / WEIGHTS).unlink()
    assert repaired(SPEC) == ["relink", "write-ref"]


def test_locks_and_partials_that_nobody_needs_are_cleared(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    partial = snapshot.parents[1] / "blobs" / f"{sha256(GOOD[WEIGHTS])}.0badc0de.incomplete"
    partial.write_bytes(b"part")
    lock = hf / ".locks" / "models--gone--long-ago" / f"{'a' * 40}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    done = apply(planned(SPEC).chosen, SPEC)
    assert sorted(row.step.kind for row in done.rows) == ["clear-lock", "clear-partial"]
    assert not partial.exists()
    assert not lock.exists()
    assert {(folder / change.kept).read_bytes() for folder, change in trash.entries()[0].changes} == {b"part", b""}


def test_what_another_process_uses_is_left_alone(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    name = sha256(GOOD[WEIGHTS])
    partial = snapshot.parents[1] / "blobs" / f"{name}.0badc0de.incomplete"
    partial.write_bytes(b"part")
    (step,) = planned(SPEC).chosen
    lock = lock_of(partial, hf)
    assert lock is not None
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        done = apply([step])
    assert done.rows[0].state == "failed"
    assert "another program is downloading a file of org/name" in done.rows[0].message
    assert partial.exists()


def test_a_partial_that_is_needed_after_all_stays(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    partial = snapshot.parents[1] / "blobs" / f"{sha256(GOOD[WEIGHTS])}.0badc0de.incomplete"
    partial.write_bytes(b"part")
    steps = planned(SPEC).chosen
    payload(snapshot / WEIGHTS).unlink()
    assert [row.state for row in apply(steps).rows] == ["skipped"]
    assert partial.exists()


def test_a_step_that_is_taken_twice_does_nothing_the_second_time(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, {"config.json": b"{}", "model.safetensors": mlx_weights()}, ref=False, manifest=True)
    (snapshot / "config.json").unlink()
    steps = planned(SPEC).chosen
    apply(steps)
    again = apply(steps)
    assert {(row.state, row.message) for row in again.rows if row.state != "skipped"} == set()
    assert again.entry == ""


def test_equal_files_are_merged_and_the_space_is_free_when_the_trash_is(hf: Path) -> None:  # noqa: F811
    keep, second = payload(put(hf) / WEIGHTS), payload(put(locations.local_cache()) / WEIGHTS)
    same = Duplicate((keep, second), 72, 72, "")
    steps = plan(reports(SPEC), list(scan()), [same]).offered
    assert [row.state for row in apply(steps).rows] == ["done"]
    assert keep.samefile(second)
    assert trash.entries()[0].bytes == len(GOOD[WEIGHTS])
    undo(find())
    assert not keep.samefile(second)


def test_files_that_have_become_different_are_not_merged(hf: Path) -> None:  # noqa: F811
    keep, second = payload(put(hf) / WEIGHTS), payload(put(locations.local_cache()) / WEIGHTS)
    steps = plan(reports(SPEC), list(scan()), [Duplicate((keep, second), 72, 72, "")]).offered
    flip(second)
    (row,) = apply(steps).rows
    assert row.state == "failed"
    assert "not equal" in row.message
    assert not keep.samefile(second)


def test_a_model_is_copied_and_moved_between_caches(hf: Path) -> None:  # noqa: F811
    put(hf, manifest=True)
    copied = apply([plan_copy("org/name", "local", list(scan()))])
    assert [row.state for row in copied.rows] == ["done"]
    assert examine(SPEC, "local").state == examine(SPEC, "hf").state == "complete"
    undo(find())
    assert examine(SPEC, "local").state == "missing"
    moved = apply([plan_copy("org/name", "local", list(scan()), move=True)])
    assert [row.state for row in moved.rows] == ["done"]
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("complete", "missing")
    undo(find())
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("missing", "complete")


def test_a_checkpoint_is_moved_to_the_whisper_cache(places: Path) -> None:
    locations.local_cache().mkdir()
    (locations.local_cache() / "tiny.pt").write_bytes(CHECKPOINT)
    apply([plan_copy("tiny.pt", "whisper", list(scan()), move=True)])
    assert (examine(OPENAI, "local").state, examine(OPENAI, "whisper").state) == ("missing", "complete")


def test_a_copy_to_another_file_system_is_verified(hf: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    flip(put(hf, manifest=True) / WEIGHTS)

    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    step = plan_copy("org/name", "local", list(scan()))
    monkeypatch.setattr(os, "link", link)
    (row,) = apply([step]).rows
    monkeypatch.undo()
    assert row.state == "failed"
    assert "is damaged" in row.message
    assert examine(SPEC, "local").state != "complete"


def test_a_read_only_cache_says_which_step_cannot_be_taken(hf: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True)
    (snapshot / WEIGHTS).unlink()
    steps = planned(SPEC).chosen
    assert len(steps) == 1
    real = os.rename

    def refused(source: str, target: str, **options: int) -> None:
        if target == WEIGHTS:
            raise OSError(errno.EROFS, "Read-only file system", target)
        real(source, target, **options)

    monkeypatch.setattr(os, "rename", refused)
    (row,) = apply(steps).rows
    assert row.state == "failed"
    assert row.message == f"{snapshot / WEIGHTS} is not writable (Read-only file system): change its permissions"
    assert trash.entries() == ()


def test_a_step_out_of_its_cache_is_refused(hf: Path, places: Path) -> None:  # noqa: F811
    put(hf)
    (places / "victim").write_text("mine")
    outside = Step("trash", places / "victim", hf, "hf")
    through = Step("write-ref", hf / "models--org--name" / "refs" / ".." / ".." / ".." / "x", hf, "hf", text="a")
    assert {row.state for row in apply([outside, through]).rows} == {"failed"}
    assert (places / "victim").read_text() == "mine"


def test_a_failing_step_does_not_stop_the_others(hf: Path) -> None:  # noqa: F811
    snapshot = put(hf, manifest=True, ref=False)
    gone = Step("adopt", snapshot / "a", hf, "hf", target=snapshot / "not there")
    done = apply([gone, *planned(SPEC).chosen])
    assert [row.state for row in done.rows] == ["failed", "done"]
    assert done.state == "failed"


def test_a_cancelled_application_says_so_in_every_row(hf: Path) -> None:  # noqa: F811
    put(hf, manifest=True, ref=False)
    cancelled = threading.Event()
    cancelled.set()
    done = Application(planned(SPEC).chosen, cancelled=cancelled).run()
    assert [row.state for row in done.rows] == ["cancelled"]
    assert done.state == "cancelled"
    assert planned(SPEC).chosen


REPAIR = """
sys.path[:0] = {folders!r}
from repairing import apply, planned
from caches import SPEC
apply(planned(SPEC).chosen)
"""


@pytest.mark.timeout(170)
def test_killed_at_any_point_a_repair_is_finished_by_the_next(hf: Path, places: Path) -> None:  # noqa: F811
    def prepare() -> None:
        shutil.rmtree(hf, ignore_errors=True)
        shutil.rmtree(places / "data", ignore_errors=True)
        snapshot = put(hf, {"config.json": b"{}", "model.safetensors": mlx_weights()}, manifest=True)
        (snapshot.parents[1] / "refs" / "main").write_text("0123456789")
        partial = f"{sha256(mlx_weights())}.0badc0de.incomplete"
        (snapshot.parents[1] / "blobs" / partial).write_bytes(b"1")
        (snapshot / "config.json").unlink()

    def look() -> None:
        # Nothing half-done is in the way, and what was there is there or in the trash.
        done = apply(planned(SPEC).chosen, SPEC)
        assert {(row.state, row.message) for row in done.rows if row.state != "done"} == set()
        assert examine(SPEC, "hf").state == "complete"
        assert planned(SPEC).chosen == ()
        for entry in trash.entries():
            assert undo(entry).complete
        assert picture(hf) == whole

    prepare()
    whole = picture(hf)
    calls = at_each_kill(
        hf,
        REPAIR.format(folders=[str(Path(__file__).parents[1] / name) for name in (".", "hub")]),
        prepare,
        look,
        step=9,
    )
    assert calls > 20


@pytest.fixture
def other_disk(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The HF cache on a file system of its own."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == places.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        monkeypatch.setenv("HF_HUB_CACHE", folder)
        yield Path(folder)


def test_what_is_replaced_on_another_disk_stays_on_it(other_disk: Path) -> None:
    snapshot = put(other_disk, manifest=True, ref=False)
    (snapshot / WEIGHTS).unlink()
    assert repaired(SPEC) == ["relink", "write-ref"]
    assert {folder.parent for entry in trash.entries() for folder in entry.folders} == {other_disk / trash.FALLBACK}
    assert planned(SPEC).steps == ()


def test_content_of_another_disk_is_copied_and_verified(other_disk: Path) -> None:
    snapshot = put(other_disk, manifest=True)
    payload(snapshot / WEIGHTS).write_bytes(b"cut")
    whole = payload(put(locations.local_cache(), manifest=True) / WEIGHTS)
    assert repaired(SPEC) == ["relink"]
    assert payload(snapshot / WEIGHTS).read_bytes() == whole.read_bytes()
    assert not payload(snapshot / WEIGHTS).samefile(whole)


def test_a_model_moves_to_another_disk_and_back(other_disk: Path) -> None:
    put(other_disk, manifest=True)
    moved = apply([plan_copy("org/name", "local", list(scan()), move=True)])
    assert [(row.state, row.message) for row in moved.rows] == [("done", "")]
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("complete", "missing")
    assert len({folder.parent for folder in trash.entries()[0].folders}) == 2
    assert undo(find()).complete
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("missing", "complete")


def test_equal_files_on_two_disks_are_linked_only_when_asked_for(other_disk: Path) -> None:
    keep, second = payload(put(locations.local_cache()) / WEIGHTS), payload(put(other_disk) / WEIGHTS)
    same = Duplicate((keep, second), 72, 72, "")
    assert plan(reports(SPEC), list(scan()), [same]).steps == ()
    steps = plan(reports(SPEC), list(scan()), [same], symlinks=True).offered
    assert [row.state for row in apply(steps).rows] == ["done"]
    assert second.readlink() == keep
    assert examine(SPEC, "hf").state == "complete"
    undo(find())
    assert not second.is_symlink()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_no_lock_is_made_behind_a_link(hf: Path, places: Path, level: int) -> None:  # noqa: F811
    """The folder of all locks, a repository's, and a lock; huggingface_hub's own would make one there."""
    snapshot = put(hf)
    blob = payload(snapshot / WEIGHTS)
    partial = blob.with_name(f"{blob.name}.incomplete")
    partial.write_bytes(b"x")
    lock = lock_of(partial, hf)
    assert lock is not None
    linked, outside = (lock.parents[1], lock.parent, lock)[level], places / "outside"
    linked.parent.mkdir(parents=True, exist_ok=True)
    outside.mkdir()
    linked.symlink_to(outside if level < 2 else outside / "new")
    step = Step("clear-partial", partial, hf, "hf", "org/name", lock=lock)
    assert [row.state for row in apply([step]).rows] == ["done"]
    assert list(outside.iterdir()) == [] and not partial.exists()
