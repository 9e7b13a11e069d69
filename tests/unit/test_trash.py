"""The trash: what changes keep, where they keep it, and what emptying deletes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.repair import changes as changes_module
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.changes import Changes, Escape
from speedtest_tui.core.repair.undo import find, undo


@pytest.fixture
def root(places: Path) -> Path:
    folder = locations.hf_cache()
    folder.mkdir(parents=True)
    return folder


def kept(entry: trash.Entry) -> list[str]:
    """What the trash keeps, as text."""
    return [(folder / change.kept).read_text() for folder, change in entry.changes if change.kept]


def test_what_is_replaced_and_removed_is_kept_with_its_journal(root: Path) -> None:
    (root / "a").write_text("old")
    (root / "b").write_text("gone")
    made = Changes("a test")
    made.write(root / "a", root, "new")
    made.remove(root / "b", root)
    assert ((root / "a").read_text(), (root / "b").exists()) == ("new", False)
    (entry,) = trash.entries()
    assert (entry.what, entry.undone, kept(entry)) == ("a test", False, ["old", "gone"])
    assert entry.folders == (locations.trash_folder() / made.id,)
    assert entry.bytes == len("old") + len("gone")
    written = json.loads((entry.folders[0] / "journal.json").read_text())
    assert [one["path"] for one in written["changes"]] == [str(root / "a"), str(root / "b")]


def test_a_change_leaves_nothing_beside_the_file(root: Path) -> None:
    (root / "a").write_text("old")
    made = Changes("a test")
    made.link(root / "a", root, "elsewhere")
    made.write(root / "refs" / "main", root, "abc")
    assert sorted(path.name for path in root.rglob("*")) == ["a", "main", "refs"]
    assert not list(locations.trash_folder().rglob(".new-*"))


def test_on_another_file_system_the_trash_is_in_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").write_text("old")
    real = os.link

    def across(source: str, target: str, **options: int) -> None:
        if not (root / trash.FALLBACK).exists():
            raise OSError(errno.EXDEV, "other file system")
        real(source, target, **options)

    monkeypatch.setattr(changes_module.os, "link", across)
    made = Changes("a test")
    made.write(root / "a", root, "new")
    (entry,) = trash.entries()
    assert entry.folders == (root / trash.FALLBACK / made.id,)
    assert (kept(entry), (root / "a").read_text()) == (["old"], "new")
    assert not (locations.trash_folder() / made.id).exists()


def test_without_hard_links_the_old_file_is_moved(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").write_text("old")

    def none(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, "no hard links here")

    monkeypatch.setattr(changes_module.os, "link", none)
    Changes("a test").write(root / "a", root, "new")
    assert (kept(trash.entries()[0]), (root / "a").read_text()) == (["old"], "new")


def test_a_change_that_fails_leaves_the_file_and_no_entry(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").write_text("old")
    real = os.rename

    def refused(source: str, target: str, **options: int) -> None:
        if target == "a":
            raise OSError(errno.EROFS, "read-only")
        real(source, target, **options)

    monkeypatch.setattr(os, "rename", refused)
    made = Changes("a test")
    with pytest.raises(OSError, match="read-only"):
        made.write(root / "a", root, "new")
    assert (root / "a").read_text() == "old"
    assert (trash.entries(), made.made) == ((), False)


@pytest.mark.parametrize("path", ["../out", "x/../../out", "inside/link/out", "."])
def test_nothing_outside_the_cache_is_changed(root: Path, places: Path, path: str) -> None:
    (places / "elsewhere").mkdir()
    (root / "inside").mkdir()
    (root / "inside" / "link").symlink_to(places / "elsewhere")
    made = Changes("a test")
    for change in (lambda p: made.write(p, root, "x"), lambda p: made.link(p, root, "x"), lambda p: made.keep(p, root)):
        with pytest.raises(Escape, match="nothing was changed"):
            change(root / path)
    assert trash.entries() == ()
    assert list((places / "elsewhere").iterdir()) == []


def test_a_repository_that_is_a_link_itself_is_its_owners_wish(root: Path, places: Path) -> None:
    big = places / "big" / "models--a--b" / "refs"
    big.mkdir(parents=True)
    (root / "models--a--b").symlink_to(big.parent)
    Changes("a test").write(root / "models--a--b" / "refs" / "main", root, "abc")
    assert (big / "main").read_text() == "abc"


def test_emptying_deletes_all_and_tells_the_bytes(root: Path) -> None:
    (root / "a").write_text("12345")
    (root / "folder").mkdir()
    (root / "folder" / "b").write_text("123")
    (root / "folder").chmod(0o500)
    (root / "shared").write_text("still has a name")
    os.link(root / "shared", root / "second")
    made = Changes("a test")
    made.remove(root / "a", root)
    made.remove(root / "folder", root)
    made.remove(root / "second", root)
    assert trash.empty() == 8
    assert list(locations.trash_folder().iterdir()) == []
    assert (root / "shared").read_text() == "still has a name"
    assert trash.entries() == ()


def test_a_killed_emptying_is_finished_by_the_next(root: Path) -> None:
    (root / "a").write_text("12345")
    made = Changes("a test")
    made.remove(root / "a", root)
    folder = locations.trash_folder() / made.id
    folder.rename(folder.with_name(trash.EMPTYING + made.id))
    assert trash.entries() == ()
    trash.empty()
    assert list(locations.trash_folder().iterdir()) == []


def test_a_journal_that_came_with_a_disk_speaks_of_its_own_cache_only(root: Path, places: Path) -> None:
    (places / "victim").write_text("mine")
    folder = root / trash.FALLBACK / "20260101-000000-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "0001-x").write_text("theirs")
    change = {
        "number": 1,
        "path": str(places / "victim"),
        "root": str(places),
        "kept": "0001-x",
        "link": "",
        "folder": False,
    }
    book = {
        "format": 1,
        "what": "",
        "started": "2026-01-01T00:00:00+00:00",
        "undoes": "",
        "undone": False,
        "changes": [change],
    }
    (folder / "journal.json").write_text(json.dumps(book))
    assert trash.entries() == ()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "changes": 3}'])
def test_a_damaged_journal_hides_its_entry_and_deletes_nothing(root: Path, content: str) -> None:
    (root / "a").write_text("old")
    made = Changes("a test")
    made.remove(root / "a", root)
    folder = locations.trash_folder() / made.id
    (folder / "journal.json").write_text(content)
    assert trash.entries() == ()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("where", ["data", "cache", "entry", "emptying"])
def test_no_link_in_a_trash_is_followed(root: Path, places: Path, where: str) -> None:
    victim = places / "Documents"
    (victim / "deep").mkdir(parents=True)
    (victim / "thesis").write_text("mine")
    (victim / "deep").chmod(0o500)
    general = locations.trash_folder()
    place = {
        "data": general, "cache": root / trash.FALLBACK, "entry": general / "20260101-000000-000000-abcd",
        "emptying": general / f"{trash.EMPTYING}20260101-000000-000000-abcd",
    }[where]  # fmt: skip
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim)
    assert trash.entries((root,)) == ()
    assert trash.empty((root,)) == 0
    (root / "a").write_text("old")
    made = Changes("a test")
    made.remove(root / "a", root)
    assert trash.empty((root,)) == 3
    assert sorted(path.name for path in victim.iterdir()) == ["deep", "thesis"]
    assert (victim / "deep").stat().st_mode & 0o777 == 0o500


def test_what_the_list_does_not_show_is_not_deleted(root: Path) -> None:
    strange = locations.trash_folder() / "20260101-000000-000000-abcd"
    strange.mkdir(parents=True)
    (strange / "0001-weights").write_text("an original, kept by a repair whose journal a bad disk has damaged")
    (strange / "journal.json").write_text("{")
    assert trash.empty((root,)) == 0
    assert len(list(strange.iterdir())) == 2
    assert trash.unreadable((root,)) == (strange,)


def foreign(root: Path, path: Path) -> Path:
    """An entry that came with a cache: it says that `path` was replaced by a file that it brings along."""
    folder = root / trash.FALLBACK / "20260101-000000-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "0001-x").write_text("theirs")
    change = {"number": 1, "path": str(path), "root": str(root), "kept": "0001-x", "through": str(path.parent)}
    book = {"format": 1, "what": "theirs", "started": "2026-01-01T00:00:00+00:00", "changes": [change]}
    (folder / "journal.json").write_text(json.dumps(book))
    return folder


def test_what_came_with_a_cache_is_neither_undone_unasked_nor_deleted(root: Path) -> None:
    (root / "a").write_text("mine")
    folder = foreign(root, root / "a")
    (entry,) = trash.entries((root,))
    assert entry.foreign
    for name in ("", "2026", folder.name[:-1]):
        with pytest.raises(UserError):
            find(name, (root,))
    assert trash.empty((root,)) == 0
    assert (folder / "0001-x").exists()
    assert undo(find(folder.name, (root,))).complete
    assert (root / "a").read_text() == "theirs"


def test_an_undo_passes_no_link_that_a_stranger_names(root: Path, places: Path) -> None:
    (places / "Documents").mkdir()
    (places / "Documents" / "thesis").write_text("mine")
    (root / "sub").symlink_to(places / "Documents")
    folder = foreign(root, root / "sub" / "thesis")
    done = undo(find(folder.name, (root,)))
    assert not done.complete and "through a link" in done.left[0]
    assert (places / "Documents" / "thesis").read_text() == "mine"


def test_a_journal_that_a_stranger_has_replaced_is_foreign(
    root: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").write_text("old")
    monkeypatch.setattr(trash, "candidates", lambda path, root: iter([root / trash.FALLBACK]))
    made = Changes("a test")
    made.write(root / "a", root, "new")
    (entry,) = trash.entries((root,))
    assert not entry.foreign
    (places / "Documents").mkdir()
    (places / "Documents" / "thesis").write_text("mine")
    (root / "sub").symlink_to(places / "Documents")
    folder = entry.folders[0]
    book = json.loads((folder / "journal.json").read_text())
    book["changes"][0] |= {"path": str(root / "sub" / "thesis"), "through": str(places / "Documents")}
    (folder / "journal.json").write_text(json.dumps(book))
    with pytest.raises(UserError):
        find("", (root,))
    assert trash.empty((root,)) == 0
    assert not undo(find(folder.name, (root,))).complete
    assert (places / "Documents" / "thesis").read_text() == "mine"


def test_folders_nested_beyond_all_bounds_block_no_other_entry(root: Path) -> None:
    (root / "a").write_text("old")
    made = Changes("a test")
    made.remove(root / "a", root)
    deep = os.open(locations.trash_folder() / made.id, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    assert [entry.id for entry in trash.entries((root,))] == [made.id]
    trash.empty((root,))  # raises nothing, whether or not so many can be deleted
    for path in locations.trash_folder().iterdir():
        subprocess.run(["rm", "-rf", str(path)], check=True)


def test_an_undo_passes_the_link_that_the_repair_passed(root: Path, places: Path) -> None:
    for name in ("disk", "other"):
        (places / name / "blobs").mkdir(parents=True)
        (places / name / "blobs" / "x").write_text("old")
    (root / "models--a--b").symlink_to(places / "disk")
    for swapped in (False, True):
        made = Changes("a test")
        made.write(root / "models--a--b" / "blobs" / "x", root, "new")
        if swapped:
            (root / "models--a--b").unlink()
            (root / "models--a--b").symlink_to(places / "other")
        assert undo(find(made.id, (root,))).complete is not swapped
    assert (places / "other" / "blobs" / "x").read_text() == "old"
