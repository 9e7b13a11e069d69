"""Two writers: ours, for nobody else's eyes, and one for places that a person named, which may be anything."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from documents import build, clip

from speedtest_tui.core import disk, locations, removal
from speedtest_tui.core.audio import spool
from speedtest_tui.core.download import publish
from speedtest_tui.core.errors import kept_traceback
from speedtest_tui.core.models import builtin, manifest, remembered
from speedtest_tui.core.sessions import index, store
from speedtest_tui.core.settings import Settings
from speedtest_tui.core.settings import save as save_settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("before", [0o640, 0o644, 0o600, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, before: int) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(before)
    disk.write_where_asked(tmp_path / "a", b"new")
    assert ((tmp_path / "a").read_bytes(), mode(tmp_path / "a")) == (b"new", before)


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_is_as_the_umask_wants(tmp_path: Path, mask: int, expected: int) -> None:
    os.umask(mask)
    disk.write_where_asked(tmp_path / "a", b"new")
    assert mode(tmp_path / "a") == expected


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    (tmp_path / "link").symlink_to("folder/real")
    (tmp_path / "second").symlink_to("link")
    (tmp_path / "dangling").symlink_to("folder/new")
    for name, real in (("link", "real"), ("second", "real"), ("dangling", "new")):
        disk.write_where_asked(tmp_path / name, name.encode())
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "folder" / real).read_text() == name


def test_other_names_of_a_file_stay_its_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a longer old text")
    os.link(tmp_path / "a", tmp_path / "b")
    disk.write_where_asked(tmp_path / "a", b"new")
    assert (tmp_path / "b").read_text() == "new"


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    disk.write_where_asked(tmp_path / "pipe", b"new")
    reader.join(10)
    assert read == [b"new"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_device_is_written_and_stays_one(tmp_path: Path) -> None:
    node = tmp_path / "null"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # a private one: never the machine's own
        node.open("wb").close()
    except OSError:
        pytest.skip("devices cannot be made here")
    (tmp_path / "link").symlink_to(node)
    for path in (node, tmp_path / "link"):
        disk.write_where_asked(path, b"new")
    assert stat.S_ISCHR(node.stat().st_mode)
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_an_open_descriptor(tmp_path: Path, target: str, kind: str) -> None:
    """In a child whose standard output is a pipe or a file of this test; the node itself is only opened."""
    code = (
        f"from pathlib import Path; from speedtest_tui.core.disk import *; write_where_asked(Path({target!r}), b'new')"
    )
    if kind == "pipe":
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout == b"new"
    else:
        with (tmp_path / "out").open("wb") as out:
            subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
        assert (tmp_path / "out").read_bytes() == b"new"


def test_what_is_refused_leaves_everything(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        disk.write_where_asked(tmp_path, b"new")
    with pytest.raises(OSError, match="No such file"):
        disk.write_where_asked(tmp_path / "no" / "folder", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_sessions_are_nobody_else_s_business(places: Path, mask: int) -> None:
    os.umask(mask)
    folder = store.save(build(), clip())
    assert mode(folder) == mode(folder.parent) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("knows", [True, False])
def test_the_disk_s_own_cache_is_flushed_before_others_see_it(
    tmp_path: Path, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS would be asked to (F_FULLFSYNC is 51 there), where the file system knows it and where it does not."""
    before: list[bool] = []

    def control(descriptor: int, command: int) -> None:
        assert command == 51
        before.append((tmp_path / "file").exists())
        if not knows:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    disk.write_bytes(tmp_path / "file", b"new")
    assert before == [False, True]
    assert (tmp_path / "file").read_bytes() == b"new"


def killed(writer: Callable[[], object], nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a writer be killed by SIGKILL when it flushes something for the nth time."""
    child = os.fork()
    if not child:
        real, left = disk.sync, iter(range(nth - 1))

        def sync(descriptor: int) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)

        monkeypatch.setattr(disk, "sync", sync)
        with contextlib.suppress(BaseException):
            writer()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    "writer", ["a file", "an export", "settings", "results", "a session", "a list", "a ref", "a recording"]
)
def test_what_a_killed_writer_left_is_swept_by_the_next(
    writer: str, at: int, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--a--b"
    repository.mkdir()
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path / "config"))
    write: dict[str, Callable[[], object]] = {
        "a file": lambda: disk.write_bytes(tmp_path / "a.json", b"new"),
        "an export": lambda: disk.write_where_asked(tmp_path / "a.md", b"new"),
        "settings": lambda: save_settings(replace(Settings(), size="tiny")),
        "results": lambda: remembered.HASHES.keep({}),
        "a session": lambda: store.save(build(), clip()),
        "a list": lambda: manifest.write(repository, "c" * 40, {}),
        "a ref": lambda: publish.write_ref(repository, "main", secrets.token_hex(20)),
        "a recording": lambda: spool.SpoolWriter(tmp_path / "recordings", spool.Facts(16_000, 1, "")).close(),
    }

    def left() -> list[Path]:
        return [path for path in tmp_path.rglob(".*") if removal.is_leftover(path.name)]

    for _ in range(3):
        killed(write[writer], at, monkeypatch)
    if at == 1 and writer != "a session":
        assert len(left()) >= 1
    for path in left():
        os.utime(path, (0, 0))
    write[writer]()
    for folder in {path.parent for path in left()} if writer in ("a file", "a list", "a ref") else ():
        removal.sweep(folder)
    assert left() == []


CALLS = ("open", "rename", "replace", "link", "symlink", "mkdir", "unlink", "rmdir", "fsync", "chmod", "fchmod")


def ends_before(writer: Callable[[], object], count: int) -> bool:
    """Let a process of its own be killed by SIGKILL at its system call after that many; whether it got to its end."""
    child = os.fork()
    if not child:
        left = iter(range(count))

        def dying(real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return call

        for name in CALLS:  # pathlib, tempfile and shutil call them through `os`
            setattr(os, name, dying(getattr(os, name)))
        with contextlib.suppress(BaseException):
            writer()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


KILLABLE = ("a link", "a payload", "a borrowed payload", "a copy", "a built-in model", "an index", "a crash log")


@pytest.mark.parametrize("writer", KILLABLE)
def test_killed_at_any_point_nothing_half_is_counted_and_the_next_sweeps(
    writer: str, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, shared = tmp_path / "snapshot", tmp_path / "store"
    if writer == "a copy":
        monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    if writer == "an index":
        monkeypatch.setattr(index, "SETTLED_NS", -1)
        for _ in range(index.WORTH + 1):
            store.save(build(), clip())
        truth = [one.name for one in index.summaries()]
    models = locations.local_cache()

    def prepare() -> None:
        for place in (folder, shared):
            place.mkdir(exist_ok=True)
        (folder / "blob").unlink(missing_ok=True)
        (folder / "blob").write_bytes(b"new" * 1000)
        (shared / "payload").write_bytes(b"old")
        locations.sessions_index().unlink(missing_ok=True)

    work: dict[str, Callable[[], object]] = {
        "a link": lambda: publish.link(folder / "blob", folder / "pointer", None),
        "a copy": lambda: publish.link(folder / "blob", folder / "pointer", None),
        "a payload": lambda: publish.place_shared(folder / "blob", shared / "payload", shared / "trash"),
        "a borrowed payload": lambda: publish.borrow_shared(shared / "payload", folder / "blob"),
        "a built-in model": lambda: builtin.materialise("nano/mlx", models),
        "an index": lambda: list(index.summaries()),
        "a crash log": kept_traceback,
    }
    sound: dict[str, Callable[[], bool]] = {
        "a link": lambda: not os.path.lexists(folder / "pointer") or (folder / "pointer").read_bytes() == b"new" * 1000,
        "a payload": lambda: (shared / "payload").read_bytes() in (b"old", b"new" * 1000),
        "a borrowed payload": lambda: (folder / "blob").read_bytes() in (b"old", b"new" * 1000),
        "a built-in model": lambda: (
            not builtin.folder_of("nano/mlx", models).exists() or builtin.find("nano/mlx", models) is not None
        ),
        "an index": lambda: [one.name for one in index.summaries()] == truth,
        "a crash log": lambda: not locations.crash_log().exists() or "NoneType" in locations.crash_log().read_text(),
    }
    for count in range(200):
        prepare()
        ended = ends_before(work[writer], count)
        assert sound[writer if writer != "a copy" else "a link"](), count
        if ended:
            break
    else:
        pytest.fail("it never came to its end")
    assert count > 2

    def left() -> list[Path]:
        return [path for path in tmp_path.rglob(".*") if removal.is_leftover(path.name)]

    for path in left():
        os.utime(path, (0, 0), follow_symlinks=False)
    prepare()
    work[writer]()
    for place in (folder, shared):
        removal.sweep(place, older_s=0)  # as a download at its end; the time of what is called .new cannot be set back
    assert left() == []


@pytest.mark.parametrize("letter", ["x", "é", "日"])
def test_names_as_long_as_a_file_system_takes(letter: str, tmp_path: Path) -> None:
    path = tmp_path / (letter * (255 // len(letter.encode())))
    for text in (b"old", b"new"):
        disk.write_where_asked(path, text)
    killed(lambda: disk.write_bytes(path, b"newer"), 1, pytest.MonkeyPatch())
    (left,) = (one for one in tmp_path.iterdir() if removal.is_leftover(one.name))
    os.utime(left, (0, 0))
    disk.write_bytes(path, b"newest")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"newest"]
    with disk.new_folder(path.with_name(path.name[:-1] + "y")) as folder:
        (folder / "a").touch()


def test_what_is_held_new_or_not_ours_is_not_swept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis").write_text("years of work")
    place = tmp_path / "place"
    place.mkdir()
    kept = (".a.json.abcdefg.partial", ".a.abcdefgh.part", "a.abcdefgh.partial", ".abcdefgh.partial", ".git", ".x.new",
            ".a.ABCDEFGH.partial", ".0123456z.new")  # fmt: skip
    for name in (*kept, ".gone.abcdefgh.partial", ".young.abcdefgh.partial", ".old.one.abcdefgh.damaged"):
        (place / name).write_text("x")
        os.utime(place / name, (0, 0))
    (place / ".gone.abcdefgh.partial").unlink()
    (place / ".gone.abcdefgh.partial").mkdir()
    (place / ".gone.abcdefgh.partial" / "out").symlink_to(home)
    os.utime(place / ".gone.abcdefgh.partial", (0, 0))
    os.utime(place / ".young.abcdefgh.partial")
    (place / ".link.abcdefgh.partial").symlink_to(home)
    (place / ".01234567.new").symlink_to(home / "thesis")
    with disk.new_folder(place / "held") as building:
        os.utime(building, (0, 0))
        removal.sweep(place)
        removal.sweep(place, "old.two")
        assert building.is_dir()
    removal.sweep(place, older_s=0)
    assert {path.name for path in place.iterdir()} == {*kept, "held", ".link.abcdefgh.partial"}
    assert (home / "thesis").read_text() == "years of work"


def test_a_folder_is_removed_however_deep_it_is_nested(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    top = folder
    for number in range(3_000):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        if number % 500 == 0:
            os.symlink("/", "link", dir_fd=inner)
            os.chmod("d", 0o500, dir_fd=folder)
        if folder != top:
            os.close(folder)
        folder = inner
    os.close(folder)
    removal.remove_at(top, "d")
    os.close(top)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_swapped_for_a_link_while_it_is_removed(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path / "place"
    (home / "deep").mkdir(parents=True)
    (home / "deep" / "thesis").write_text("years of work")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                (place / "a" / "b").rename(place / "a" / "aside")
                (place / "a" / "b").symlink_to(home)

    swapper = threading.Thread(target=swap)
    place.mkdir()
    parent = os.open(place, os.O_RDONLY)
    swapper.start()
    for _ in range(200):
        with contextlib.suppress(OSError):
            (place / "a" / "b" / "deep").mkdir(parents=True)
            (place / "a" / "b" / "deep" / "thesis").write_text("old")
        with contextlib.suppress(OSError):
            removal.remove_at(parent, "a")
        # What was written through the link by this test itself comes back.
        (home / "deep" / "thesis").write_text("years of work")
    stop.set()
    swapper.join()
    os.close(parent)
    assert (home / "deep" / "thesis").read_text() == "years of work"
    assert [path.name for path in home.iterdir()] == ["deep"]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no memory file system")
def test_a_plain_file_below_dev_is_replaced_whole() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "a"
        path.write_bytes(b"much longer")
        disk.write_where_asked(path, b"new")
        assert path.read_bytes() == b"new"
