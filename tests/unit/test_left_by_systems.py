"""What systems leave in folders changes nothing that is said or planned: a table of names × places."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from caches import GOOD, SPEC, WEIGHTS, hub_cache, plain_folder, safetensors, shared_store
from repairing import planned, reports

from backends.base import ModelSpec
from speedtest_tui.core import disk
from speedtest_tui.core.audio import spool
from speedtest_tui.core.convert.convert import _give_way, look_at
from speedtest_tui.core.locations import spool_folder
from speedtest_tui.core.models.builtin import find, unpack_apart
from speedtest_tui.core.models.duplicates import duplicates
from speedtest_tui.core.models.own import converted_models
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.repair.copying import _items
from speedtest_tui.core.sessions.index import summaries

NAMES = (
    "._weights.safetensors", "._config.json", "._", ".DS_Store", ".Spotlight-V100", ".Trashes", ".fseventsd", "Icon\r",
    ".TemporaryItems", ".DocumentRevisions-V100", ".localized", ".apdisk", ".com.apple.timemachine.donotpresent",
    "__MACOSX", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN", "System Volume Information",
    "lost+found", ".nfs000000000012ab3400000001", ".fuse_hidden0000a1b200000003", ".directory", ".Trash-1000",
    "@eaDir", "weights.safetensors@SynoEAStream", "#recycle", "@Recycle", ".stfolder", ".stversions", ".stignore",
    ".syncthing.weights.safetensors.tmp", "~syncthing~weights.safetensors.tmp", ".dropbox", ".dropbox.attr",
    ".dropbox.cache", ".icloud", "..icloud", ".sync_a1b2.db", ".smbdeleteAAA1.4", ".~lock.config.json#",
)  # fmt: skip
LARGE = safetensors(1_000_100)
OTHER = ModelSpec("hub", "an/owner", SPEC.files)


@pytest.fixture
def filled(places: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Caches with everything in them that can be; the places that a system may leave something in."""
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "hub"))
    hub, local = places / "hub", places / "models"
    made = hub_cache(hub, "org/name", {**GOOD, f"deep/{WEIGHTS}": LARGE})
    shared_store(hub_cache(hub, "org/shared", {"other.safetensors": safetensors(90)}), "other.safetensors")
    made.lock("config.json").parent.mkdir(parents=True)
    plain_folder(local / "an" / "owner", {**GOOD, f"deep/{WEIGHTS}": LARGE})
    plain_folder(local / "converted" / "mine", {"model.safetensors": safetensors(8)})
    plain_folder(places / "home" / ".cache" / "whisper", {"odd.pt": b"x"})
    blobs = made.blob(WEIGHTS).parent
    return {
        "hub": hub, "repository": made.folder, "blobs": blobs, "snapshots": made.snapshot.parent,
        "locks": hub / ".locks",
        "snapshot": made.snapshot, "below a snapshot": made.snapshot / "deep", "refs": made.ref.parent,
        "lists": made.manifest.parent, "locks of one": made.lock("config.json").parent, "store": hub / "blobs",
        "local": local, "owner": local / "an", "plain": local / "an" / "owner", "converted": local / "converted",
        "one converted": local / "converted" / "mine", "whisper": places / "home" / ".cache" / "whisper",
    }  # fmt: skip


def leave(folder: Path, *, as_folders: bool) -> None:
    for name in NAMES:
        if as_folders:
            (folder / name).mkdir()
            (folder / name / WEIGHTS).write_bytes(LARGE)
        else:
            (folder / name).write_bytes(LARGE[:500])


def everything() -> object:
    """All that check, repair, tidy and merge go by."""
    rows = list(scan())
    same = duplicates(rows, lambda *_: {}, lambda *_: None, threading.Event())
    held = [
        (row.name, row.layout, row.bytes, row.faults, row.files, row.snapshots, row.refs, row.blobs, row.partials)
        for row in rows
    ]
    uses = [(one.rows, one.bytes, one.problem) for one in use(rows)]
    states = [report.states for report in reports(SPEC, OTHER)]
    return held, uses, states, planned(SPEC, OTHER), same


@pytest.mark.parametrize("as_folders", [False, True], ids=["files", "folders"])
@pytest.mark.parametrize(
    "place",
    ["hub", "repository", "blobs", "snapshots", "snapshot", "below a snapshot", "refs", "lists", "locks",
     "locks of one", "store", "local", "owner", "plain", "converted", "one converted", "whisper"],
)  # fmt: skip
def test_nothing_changes(filled: dict[str, Path], place: str, as_folders: bool) -> None:
    before = everything()
    leave(filled[place], as_folders=as_folders)
    assert everything() == before


def test_a_repository_is_copied_without_them(filled: dict[str, Path]) -> None:
    target = filled["local"] / "copy"
    for place in ("repository", "plain"):
        source = filled[place]
        before = list(_items(source, source.parent, target))
        leave(source / "snapshots" if place == "repository" else source, as_folders=False)
        assert list(_items(source, source.parent, target)) == before


def test_the_built_in_model_stays_whole(places: Path) -> None:
    folder = unpack_apart("nano/mlx", places / "models")
    assert folder is not None
    leave(folder, as_folders=False)
    assert find("nano/mlx", places / "models") == folder


@pytest.mark.parametrize("as_folders", [False, True], ids=["files", "folders"])
def test_a_folder_of_them_is_empty_for_a_conversion(places: Path, as_folders: bool) -> None:
    target, building = places / "out", places / "building"
    target.mkdir()
    building.mkdir()
    leave(target, as_folders=as_folders)
    assert look_at(target).problem == ""
    _give_way(target, building)
    assert not target.exists() and sorted(path.name for path in building.iterdir()) == sorted(NAMES)
    building.rename(target)
    building.mkdir()
    (target / "mine.txt").touch()
    with pytest.raises(OSError, match="not empty"):
        _give_way(target, building)
    assert len(list(target.iterdir())) == len(NAMES) + 1 and not list(building.iterdir())


def test_no_session_recording_or_converted_model_is_one(places: Path) -> None:
    for folder in (places / "data" / "sessions", spool_folder(), places / "models" / "converted"):
        folder.mkdir(parents=True)
        leave(folder, as_folders=folder.name == "sessions")
    (spool_folder() / f"._one{spool.FRAMES}").touch()
    assert (list(summaries()), spool.abandoned(spool_folder()), converted_models()) == ([], (), ())


def test_what_people_name_is_not_theirs() -> None:
    names = (
        WEIGHTS,
        "config.json",
        "main",
        "v1.0",
        ".gitattributes",
        ".no_exist",
        "models--a--b",
        "a.incomplete",
        ".x",
    )
    assert [name for name in names if disk.is_left_by_a_system(name)] == []
