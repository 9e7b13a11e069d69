"""Undo: everything comes back in reverse order, also after a kill at any point, and an undo can itself be undone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.repair import copying, trash
from speedtest_tui.core.repair.changes import Changes
from speedtest_tui.core.repair.step import Step
from speedtest_tui.core.repair.undo import find, undo


@pytest.fixture
def root(places: Path) -> Path:
    folder = locations.hf_cache()
    folder.mkdir(parents=True)
    (folder / "a").write_text("old a")
    (folder / "b").write_text("old b")
    (folder / "link").symlink_to("a")
    (folder / "folder").mkdir()
    (folder / "folder" / "c").write_text("old c")
    return folder


def picture(root: Path) -> dict[str, str]:
    """All that lies in a cache: a file's text, a link's target."""
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def work(root: Path) -> Changes:
    """One change of every kind, some of them at the same path."""
    made = Changes("a test")
    made.write(root / "a", root, "new a")
    made.write(root / "a", root, "newer a")
    made.remove(root / "b", root)
    made.link(root / "link", root, "folder/c")
    made.link(root / "weights", root, "a")
    made.remove(root / "folder", root)
    made.name_again(root / "second", root, root / "a")
    made.write(root / "new" / "ref", root, "abc")
    return made


def test_undo_puts_everything_back(root: Path) -> None:
    before = picture(root)
    work(root)
    assert picture(root) == {
        "a": "newer a", "link": "-> folder/c", "new/ref": "abc", "second": "newer a", "weights": "-> a",
    }  # fmt: skip
    done = undo(find())
    assert (done.left, done.complete, len(done.reverted)) == ((), True, 9)
    assert picture(root) == before


def test_an_undo_can_be_undone_and_that_too(root: Path) -> None:
    before = picture(root)
    work(root)
    after = picture(root)
    first = undo(find())
    second = undo(find(first.id))
    assert picture(root) == after
    undo(find(second.id))
    assert picture(root) == before


def test_undo_without_a_name_goes_back_one_repair_at_a_time(root: Path) -> None:
    Changes("first").write(root / "a", root, "1")
    Changes("second").write(root / "a", root, "2")
    assert find().what == "second"
    undo(find())
    assert (find().what, (root / "a").read_text()) == ("first", "1")
    undo(find())
    assert (root / "a").read_text() == "old a"
    with pytest.raises(UserError, match="nothing to undo"):
        find()


def test_what_came_meanwhile_is_kept(root: Path) -> None:
    made = Changes("a test")
    made.remove(root / "a", root)
    (root / "a").write_text("downloaded meanwhile")
    done = undo(find(made.id))
    assert (root / "a").read_text() == "old a"
    undo(find(done.id))
    assert (root / "a").read_text() == "downloaded meanwhile"


def test_a_link_that_somebody_replaced_is_left_alone(root: Path) -> None:
    made = Changes("a test")
    made.link(root / "weights", root, "a")
    (root / "weights").unlink()
    (root / "weights").write_text("real weights")
    done = undo(find(made.id))
    assert (root / "weights").read_text() == "real weights"
    assert done.complete
    assert "is left as it is" in done.left[0]


def test_what_a_download_replaces_comes_back(root: Path) -> None:
    made = Changes("a test")
    made.keep(root / "a", root)
    made.keep(root / "not yet", root)
    (root / "fresh").write_text("good")
    (root / "fresh").replace(root / "a")
    (root / "not yet").write_text("fetched")
    undo(find(made.id))
    assert ((root / "a").read_text(), (root / "not yet").exists()) == ("old a", False)


def test_an_undone_entry_is_not_undone_again(root: Path) -> None:
    made = Changes("a test")
    made.write(root / "a", root, "new")
    undo(find(made.id))
    with pytest.raises(UserError, match="undone already"):
        find(made.id)


def test_a_name_must_mean_one_entry(root: Path) -> None:
    Changes("one").write(root / "a", root, "1")
    Changes("two").write(root / "a", root, "2")
    with pytest.raises(UserError, match="2 repairs begin with 20"):
        find("20")
    with pytest.raises(UserError, match="no repair is called nonsense"):
        find("nonsense")


OLD_JOURNAL = """{
 "format": 1,
 "what": "repair of org/größe",
 "started": "2026-11-20T08:15:30+00:00",
 "undoes": "",
 "undone": false,
 "changes": [
  {
   "number": 1,
   "path": "ROOT/models--org--name/refs",
   "root": "ROOT",
   "kept": "",
   "link": "",
   "folder": true
  },
  {
   "number": 2,
   "path": "ROOT/models--org--name/refs/main",
   "root": "ROOT",
   "kept": "",
   "link": "",
   "folder": false
  },
  {
   "number": 3,
   "path": "ROOT/models--org--name/config.json",
   "root": "ROOT",
   "kept": "0003-config.json",
   "link": "../../blobs/abc",
   "folder": false
  }
 ]
}
"""


def test_what_release_0_1_has_repaired_can_be_undone(root: Path) -> None:
    folder = locations.trash_folder() / "20261120-081530-000000-ab12"
    folder.mkdir(parents=True)
    (folder / "journal.json").write_text(OLD_JOURNAL.replace("ROOT", str(root)), encoding="utf-8")
    (folder / "0003-config.json").write_text("old")
    repository = root / "models--org--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("new")
    (repository / "config.json").symlink_to("../../blobs/abc")
    entry = find("20261120")
    assert (entry.what, entry.started) == ("repair of org/größe", "2026-11-20T08:15:30+00:00")
    assert undo(entry).complete
    assert (repository / "config.json").read_text() == "old" and not (repository / "refs").exists()
    assert trash.entries()[-1].undone


class Swapper:
    """Swaps a folder below `root` for a link to `outside`, and back."""

    def __init__(self, root: Path, pattern: str, outside: Path) -> None:
        self._root, self._pattern, self._outside = root, pattern, outside
        self._hidden = root
        self.ended = threading.Event()

    def folder(self) -> Path:
        return next(iter(self._root.glob(self._pattern)), self._root / "none yet")

    def swap(self) -> None:
        with contextlib.suppress(OSError):
            here = self.folder()
            self._hidden = self._root / f"hidden-{uuid.uuid4().hex}"
            here.rename(self._hidden)
            here.symlink_to(self._outside)

    def back(self) -> None:
        with contextlib.suppress(OSError):
            here = self.folder()
            if here.is_symlink():
                here.unlink()
                self._hidden.rename(here)

    def restless(self) -> None:
        while not self.ended.is_set():
            self.swap()
            self.back()

    def before(self, real: Callable[..., Any], nth: int) -> Callable[..., Any]:
        """A system call that finds the link there the nth time, and from then on."""
        left = [nth]

        def late(*arguments: Any, **options: Any) -> Any:
            if not {str(self.folder()), str(self._hidden), str(self._outside)} & set(map(str, arguments[:2])):
                left[0] -= 1
                if left[0] < 0 and not self.folder().is_symlink():
                    self.swap()
            return real(*arguments, **options)

        return late


SWAPPED = {
    "what is changed": ("models--a/refs", "write"),
    "a parent that is made": ("models--a/refs", "parents"),
    "what is copied to": ("models--a/refs", "copied"),
    "the trash of the cache": (trash.FALLBACK, "write"),
    "the entry in it": (f"{trash.FALLBACK}/*", "write"),
}
"""Which folder a link outside takes the place of, meanwhile, and what is being done there."""


def change(manner: str, made: Changes, root: Path, name: str) -> None:
    place = root / "models--a" / ("refs" if manner == "write" else "refs/deep/deeper") / name
    if manner == "copied":
        step = Step("copy", place, root, "hf", "a")
        copying._make(copying.Item(root / "a", place, bytes=5), step, made, lambda *_: None, threading.Event())
        return
    made.write(place, root, "ours")
    made.keep(place, root)
    made.remove(place, root)


@pytest.mark.parametrize("case", SWAPPED)
def test_a_link_that_comes_while_an_undo_or_a_repair_is_at_it_is_not_followed(
    case: str, root: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread swaps a folder for a link outside all the time, and then once right before each system call."""
    pattern, manner = SWAPPED[case]
    outside = places / "outside"
    outside.mkdir()
    theirs = dict.fromkeys(("c", "d", "journal.json", ".new-1", ".new-2", "0001-c", "0002-c"), "theirs")
    for name, text in theirs.items():
        (outside / name).write_text(text)
    (root / "models--a" / "refs").mkdir(parents=True)
    if trash.FALLBACK in pattern:  # as where the cache is on a disk of its own
        monkeypatch.setattr(trash, "candidates", lambda _, root: iter((root / trash.FALLBACK,)))
    swapper = Swapper(root, pattern, outside)

    def work_on(name: str) -> None:
        with contextlib.suppress(OSError, UserError):
            change(manner, Changes("a test"), root, name)
        with contextlib.suppress(OSError, UserError):
            undo(find())

    thread = threading.Thread(target=swapper.restless)
    thread.start()
    for name in ("c", "d") * 10:
        work_on(name)
    swapper.ended.set()
    thread.join()
    swapper.back()
    for call in ("rename", "replace", "link", "symlink", "mkdir", "open", "unlink"):
        for nth in range(6 if call == "open" else 1):
            with monkeypatch.context() as patch:
                patch.setattr(os, call, swapper.before(getattr(os, call), nth))
                work_on("c")
            swapper.back()
    assert {path.name: path.is_dir() or path.read_text() for path in outside.rglob("*")} == theirs


@pytest.mark.parametrize("level", ["root", "repository"])
def test_an_owners_link_is_passed_both_ways_and_a_changed_one_is_not(root: Path, places: Path, level: str) -> None:
    folder = root / "models--a"
    folder.mkdir()
    (folder / "ref").write_text("old")
    moved, disk, other = (root if level == "root" else folder), places / "disk", places / "other"
    moved.rename(disk)
    moved.symlink_to(disk)
    Changes("a test").write(folder / "ref", root, "new")
    assert (folder / "ref").read_text() == "new"
    assert undo(find()).complete and (folder / "ref").read_text() == "old"
    if level == "repository":
        Changes("a test").write(folder / "ref", root, "new")
        shutil.copytree(disk, other)
        moved.unlink()
        moved.symlink_to(other)
        assert not undo(find()).complete and (other / "ref").read_text() == "new"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {unit!r})
countdown = int(sys.argv[1])
def dying(function):
    def call(*arguments, **options):
        global countdown
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        countdown -= 1
        return function(*arguments, **options)
    return call
# Python's own names of the system calls that change a file system; pathlib calls them through `os`.
for name in ("rename", "replace", "link", "symlink", "mkdir", "unlink", "rmdir", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
from test_undo import undo, find, work
root = Path(sys.argv[2])
{action}
"""


def killed_after(calls: int, root: Path, action: str) -> bool:
    """Run `action` in a process that is killed before its n-th change of the file system; whether it was."""
    script = KILLED.format(unit=str(Path(__file__).parent), action=action)
    ended = subprocess.run([sys.executable, "-c", script, str(calls), str(root)], check=False, capture_output=True)
    assert ended.returncode in (0, -9), ended.stderr.decode()
    return ended.returncode != 0


def at_each_kill(root: Path, action: str, prepare: Callable[[], None], look: Callable[[], None], step: int = 1) -> int:
    """Kill `action` before each of its system calls in turn, starting afresh each time; how many there were."""
    calls = 0
    while True:
        prepare()
        killed = killed_after(calls, root, action)
        look()
        if not killed:
            return calls
        calls += step


def restore(root: Path, places: Path) -> None:
    """The cache as it was, and an empty trash."""
    subprocess.run(["rm", "-rf", str(root), str(places / "data")], check=True)
    root.mkdir(parents=True)
    (root / "a").write_text("old a")
    (root / "b").write_text("old b")
    (root / "link").symlink_to("a")
    (root / "folder").mkdir()
    (root / "folder" / "c").write_text("old c")


@pytest.mark.timeout(170)
def test_killed_at_any_point_nothing_is_lost_and_undo_leads_back(root: Path, places: Path) -> None:
    before = picture(root)

    def look() -> None:
        for path in ("a", "link"):
            assert os.path.lexists(root / path), f"{path} was gone for a moment"
        for entry in trash.entries():
            assert undo(entry).complete
        assert picture(root) == before

    assert at_each_kill(root, "work(root)", lambda: restore(root, places), look, step=5) > 30


@pytest.mark.timeout(170)
def test_a_killed_undo_is_finished_by_the_next(root: Path, places: Path) -> None:
    before = picture(root)

    def prepare() -> None:
        restore(root, places)
        work(root)

    def look() -> None:
        for entry in trash.entries():
            if not entry.undone and not entry.undoes:
                assert undo(entry).complete
        assert picture(root) == before

    assert at_each_kill(root, "undo(find())", prepare, look, step=7) > 30
