"""What is remembered of hashed files, and when it is no longer believed."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from speedtest_tui.core import disk as atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import checksums_file
from speedtest_tui.core.models.checked import Checked, remember, verdict


def note(path: Path, ok: bool) -> Checked:
    status = path.stat()
    return Checked(path, status.st_size, status.st_mtime_ns, "d" * 64, ok)


@pytest.fixture
def file(places: Path) -> Path:
    path = places / "weights"
    path.write_bytes(b"12345")
    return path


def test_unknown(file: Path) -> None:
    assert verdict(file) is None
    assert verdict(file.with_name("missing")) is None


@pytest.mark.parametrize(("ok", "said"), [(True, "ok"), (False, "corrupt")])
def test_remembered(file: Path, ok: bool, said: str) -> None:
    remember([note(file, ok)])
    assert verdict(file) == said


def test_links_share_the_verdict_of_their_payload(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    remember([note(link, False)])
    assert verdict(file) == verdict(link) == "corrupt"


def test_another_size_or_time_ends_it(file: Path) -> None:
    remember([note(file, False)])
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert verdict(file) is None
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verdict(file) == "corrupt"
    file.write_bytes(b"123456")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verdict(file) is None


def test_a_later_result_replaces_an_earlier_one_and_others_stay(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"1")
    remember([note(file, False), note(other, True)])
    remember([note(file, True)])
    assert (verdict(file), verdict(other)) == ("ok", "ok")


def test_results_of_files_that_were_removed_are_dropped(file: Path) -> None:
    gone = file.with_name("gone")
    gone.write_bytes(b"1")
    remember([note(gone, True)])
    gone.unlink()
    remember([note(file, True)])
    assert list(json.loads(checksums_file().read_text())["files"]) == [str(file)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'{"schema": 2, "files": {}}',
        b'{"schema": 1, "files": []}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_a_damaged_store_is_no_store(file: Path, content: bytes) -> None:
    checksums_file().parent.mkdir(parents=True)
    checksums_file().write_bytes(content)
    assert verdict(file) is None
    remember([note(file, False)])
    assert verdict(file) == "corrupt"


def test_damaged_entries_do_not_take_the_others_along(file: Path) -> None:
    remember([note(file, False)])
    content = json.loads(checksums_file().read_text())
    content["files"] |= {
        "/a": 1,
        "/b": {"size": "1"},
        "/c": None,
        "/d": {"size": 1, "mtime_ns": 1, "digest": 1, "ok": 1},
    }
    checksums_file().write_text(json.dumps(content))
    assert verdict(file) == "corrupt"


def test_writers_at_once_lose_nothing(file: Path) -> None:
    paths = [file.with_name(f"w{number}") for number in range(12)]
    for path in paths:
        path.write_bytes(b"1")
    threads = [threading.Thread(target=remember, args=([note(path, False)],)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdict(path) for path in paths] == ["corrupt"] * len(paths)


def test_a_store_that_cannot_be_written_is_one_line(file: Path) -> None:
    checksums_file().parent.write_bytes(b"a file where a folder belongs")
    with pytest.raises(UserError, match="cannot be kept"):
        remember([note(file, True)])


def test_a_store_that_is_locked_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.05)
    checksums_file().parent.mkdir(parents=True)
    lock = checksums_file().with_name(f".{checksums_file().name}.lock")
    with FileLock(lock), pytest.raises(UserError, match="has held its lock"):
        remember([note(file, True)])
