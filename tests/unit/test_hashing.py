"""Hashes against hashlib and git's own rule, progress in bytes, cancelling, and files that cannot be read."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from caches import git_sha1

from speedtest_tui.core.models import hashes as hashing
from speedtest_tui.core.models.hashes import HashJob, hash_files

CHUNKS = 5


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Some with sizes around that of a chunk, one empty."""
    paths = []
    for number, size in enumerate((0, 1, hashing.CHUNK - 1, hashing.CHUNK, hashing.CHUNK * CHUNKS + 7)):
        path = tmp_path / f"file {number} ü"
        path.write_bytes(bytes([number]) * size)
        paths.append(path)
    return paths


def ignore(_done: int, _total: int) -> None:
    pass


def test_digests(files: list[Path]) -> None:
    found = hash_files([HashJob(path) for path in files], ignore, threading.Event())
    assert found == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    found = hash_files([HashJob(path, "git-sha1") for path in files], ignore, threading.Event())
    assert found == {path: git_sha1(path.read_bytes()) for path in files}
    assert git_sha1(b"test content\n") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"  # `git hash-object`'s own example


def test_progress_reaches_the_total_and_never_falls(files: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    hash_files([HashJob(path) for path in files], lambda done, total: told.append((done, total)), threading.Event())
    total = sum(path.stat().st_size for path in files)
    assert told[0] == (0, total)
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_no_files() -> None:
    assert hash_files([], ignore, threading.Event()) == {}


def test_what_cannot_be_read_is_said_and_the_rest_done(files: list[Path], tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing", tmp_path / "folder"
    folder.mkdir()
    found = hash_files([HashJob(path) for path in (missing, folder, *files)], ignore, threading.Event())
    assert isinstance(found[missing], FileNotFoundError)
    assert isinstance(found[folder], IsADirectoryError)
    assert all(isinstance(found[path], str) for path in files)


def test_a_cancelled_job_has_no_digest(files: list[Path]) -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert hash_files([HashJob(path) for path in files], ignore, cancelled) == {}


def test_cancelling_in_the_middle_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(hashing.CHUNK * CHUNKS))
    cancelled = threading.Event()
    made = hashlib.sha256

    class Counting:
        updates = 0

        def __init__(self) -> None:
            self.inner = made()

        def update(self, data: bytes) -> None:
            Counting.updates += 1
            self.inner.update(data)
            cancelled.set()

        def hexdigest(self) -> str:
            return self.inner.hexdigest()

    monkeypatch.setattr(hashlib, "sha256", Counting)
    assert hash_files([HashJob(path)], ignore, cancelled) == {}
    assert Counting.updates == 1


def test_a_file_that_changes_meanwhile_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"begin")
    made = hashlib.sha256

    def interfering() -> object:
        with path.open("ab") as file:
            file.write(b" and more")
        return made()

    monkeypatch.setattr(hashlib, "sha256", interfering)
    found = hash_files([HashJob(path)], ignore, threading.Event())[path]
    assert isinstance(found, OSError)
    assert "changed while it was read" in str(found)


def test_all_cores_work_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "cores", lambda: 3)
    together = threading.Barrier(3, timeout=20)
    made = hashlib.sha256

    def meeting() -> object:
        together.wait()  # raises BrokenBarrierError where fewer threads than that work at the same time
        return made()

    monkeypatch.setattr(hashlib, "sha256", meeting)
    paths = [tmp_path / str(number) for number in range(3)]
    for path in paths:
        path.write_bytes(b"data")
    assert set(hash_files([HashJob(path) for path in paths], ignore, threading.Event())) == set(paths)
