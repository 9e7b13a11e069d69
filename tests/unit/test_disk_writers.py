"""Two writers: ours, for nobody else's eyes, and one for places that a person named, which may be anything."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import build, clip

from speedtest_tui.core import disk
from speedtest_tui.core.sessions import store


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
