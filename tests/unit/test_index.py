"""The index of sessions: quick where it fits the files, and never believed where it does not."""

from __future__ import annotations

import datetime
import os
import random
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from documents import STARTED, build, edited, failed_row, good_row
from racing import TESTS

from speedtest_tui.core import codec, disk
from speedtest_tui.core.locations import sessions_folder, sessions_index
from speedtest_tui.core.sessions import index, store
from speedtest_tui.core.sessions.document import Document
from speedtest_tui.core.sessions.index import Summary, summaries
from speedtest_tui.core.sessions.store import DamagedSession

COUNT = 12


def write(number: int, document: Document | str | None = None) -> Path:
    """A session's folder; what stands there is replaced as an editor does it."""
    started = STARTED + datetime.timedelta(hours=number)
    folder = sessions_folder() / f"{started:%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    document = document or build(started=started)
    text = document if isinstance(document, str) else codec.document(document)
    disk.write_bytes(folder / "session.json", text.encode())
    return folder


@pytest.fixture(autouse=True)
def settled(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sessions enough for an index, all of them older than what may still change unseen."""
    monkeypatch.setattr(index, "SETTLED_NS", -1_000_000_000)
    for number in range(COUNT):
        write(number)
    yield
    assert not list(sessions_index().parent.glob(".*.partial"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sessions whose files are read."""
    names: list[str] = []
    real = index.read_with_stamp

    def reading(folder: Path) -> Any:
        names.append(folder.name)
        return real(folder)

    monkeypatch.setattr(index, "read_with_stamp", reading)
    return names


def listed() -> list[Summary | DamagedSession]:
    return list(summaries())


def truth() -> list[Summary | DamagedSession]:
    """What the files say."""
    read_ones = [store.read(sessions_folder() / name) for name in store.names()]
    return [one if isinstance(one, DamagedSession) else index.summary(one) for one in read_ones]


def test_a_second_list_reads_no_session(read: list[str]) -> None:
    first = listed()
    assert (len(read), first) == (COUNT, truth())
    read.clear()
    assert (listed(), read) == (first, [])
    assert sessions_index().stat().st_mode & 0o777 == 0o600


def test_a_few_sessions_need_no_index() -> None:
    for name in store.names()[index.WORTH - 1 :]:
        shutil.rmtree(sessions_folder() / name)
    listed()
    assert not sessions_index().exists()


def in_place(folder: Path) -> None:
    """The same length, the same file, the same time of change as far as anybody can set it."""
    file = folder / "session.json"
    before = file.stat()
    file.write_text(file.read_text().replace("hello there", "jello there"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def swapped(folder: Path) -> None:
    one, other = folder / "session.json", sorted(sessions_folder().iterdir())[0] / "session.json"
    one.rename(folder / "x")
    other.rename(one)
    (folder / "x").rename(other)


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited in place": in_place,
    "replaced": lambda folder: write(5, build(failed_row("z"), started=STARTED)),
    "removed": shutil.rmtree,
    "file removed": lambda folder: (folder / "session.json").unlink(),
    "damaged": lambda folder: (folder / "session.json").write_text("{"),
    "of another version": lambda folder: (folder / "session.json").write_text('{"schema": 3}'),
    "renamed": lambda folder: folder.rename(folder.with_name("mine")),
    "added": lambda folder: write(99),
    "copied": lambda folder: shutil.copytree(folder, folder.with_name("copy")),
    "swapped": swapped,
    "a pipe in its place": lambda folder: ((folder / "session.json").unlink(), os.mkfifo(folder / "session.json")),
    "a link in its place": lambda folder: (
        (folder / "session.json").rename(folder / "x"), (folder / "session.json").symlink_to("x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_people_do_to_sessions_is_seen(change: str) -> None:
    listed()
    CHANGES[change](sorted(sessions_folder().iterdir())[5])
    assert listed() == truth()
    assert listed() == truth()


def test_a_file_that_may_still_change_is_read_again(read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SETTLED_NS", 3600 * 10**9)
    listed()
    read.clear()
    listed()
    assert len(read) == COUNT


def lines() -> list[bytes]:
    return sessions_index().read_bytes().splitlines(keepends=True)


def forged(line: bytes, old: bytes, new: bytes) -> bytes:
    """A row with another content and the right sum."""
    rest = line[9:-1].replace(old, new)
    return b"%08x\t%b\n" % (zlib.crc32(rest.replace(b"\t", b"", 1)), rest)


DAMAGES: dict[str, Callable[[list[bytes]], bytes]] = {
    "empty": lambda lines: b"",
    "cut": lambda lines: b"".join(lines)[:1500],
    "another version": lambda lines: lines[0].replace(b"sessions 1", b"sessions 9") + b"".join(lines[1:]),
    "no head": lambda lines: b"".join(lines[1:]),
    "no ends of lines": lambda lines: lines[0] + b"".join(lines[1:]).replace(b"\n", b""),
    "twice": lambda lines: b"".join([*lines, *lines[1:]]),
    "zeros": lambda lines: bytes(100_000),
    "no JSON": lambda lines: lines[0] + forged(lines[1], b"{", b"["),
    "other types": lambda lines: lines[0] + forged(lines[1], b'"rank":1', b'"rank":"1"'),
    "a huge number": lambda lines: lines[0] + forged(lines[1], b'"rank":1', b'"rank":' + b"9" * 5000),
    "no number": lambda lines: lines[0] + forged(lines[1], b'"rtfx":', b'"rtfx":1e999,"x":'),
    "year 0": lambda lines: lines[0] + forged(lines[1], b'"started":"2026', b'"started":"0000'),
    "deep": lambda lines: lines[0] + forged(lines[1], b'"clip":{', b'"clip":' + b"[" * 7000 + b',{'),
    "another name": lambda lines: lines[0] + forged(lines[1], b'{"name":"2026', b'{"name":"2027'),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_as_none(damage: str) -> None:
    first = listed()
    sessions_index().write_bytes(DAMAGES[damage](lines()))
    assert listed() == first
    assert listed() == first


def test_flipped_bits_change_nothing() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    dice, first = random.Random(seed), listed()
    whole = sessions_index().read_bytes()
    for _ in range(100):
        data = bytearray(whole)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        sessions_index().write_bytes(data)
        assert listed() == first


def test_a_forged_row_of_the_right_types_lies_in_lists_only() -> None:
    listed()
    newest = forged(lines()[1], b'"size":"tiny"', b'"size":"huge"')
    sessions_index().write_bytes(lines()[0] + newest + b"".join(lines()[2:]))
    found = listed()[0]
    assert isinstance(found, Summary) and found.plan.size == "huge"
    assert store.find("last").document.plan.size == "tiny"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "link to a file", "forbidden"])
def test_something_else_in_its_place(kind: str, places: Path) -> None:
    file, other = sessions_index(), places / "thesis"
    other.write_text("years of work")
    make: dict[str, Callable[[], object]] = {
        "folder": file.mkdir, "pipe": lambda: os.mkfifo(file), "link to nothing": lambda: file.symlink_to("nothing"),
        "link to a file": lambda: file.symlink_to(other), "forbidden": lambda: (file.touch(), file.chmod(0)),
    }  # fmt: skip
    make[kind]()
    assert listed() == truth()
    assert listed() == truth()
    assert other.read_text() == "years of work"


def test_a_disk_that_takes_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_bytes", full)
    assert listed() == listed() == truth()
    assert not sessions_index().exists()


@pytest.mark.parametrize("text", ["half \udcff", "x" * 20_000], ids=["surrogate", "long"])
def test_what_cannot_be_kept_is_read_each_time(text: str, read: list[str]) -> None:
    document = edited(build(), lambda facts: facts["clip"].update(name=text))
    folder = sessions_folder() / "20270101T000000"
    folder.mkdir()
    (folder / "session.json").write_bytes(codec.encode(document))
    listed()
    read.clear()
    assert listed() == truth()
    assert read == [folder.name]


def test_two_processes_and_a_kill() -> None:
    """Readers that rebuild it at once, some of them killed while they do: whatever is there then fits."""
    code = (
        "from speedtest_tui.core.sessions import index\nindex.SETTLED_NS = -10**9\n"
        "from speedtest_tui.core.locations import sessions_index\nprint(flush=True)\n"
        "while True:\n    sessions_index().unlink(missing_ok=True)\n    assert len(list(index.summaries())) == 12\n"
    )
    command = [sys.executable, "-c", code]
    readers = [subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for reader in readers:
        assert reader.stdout and reader.stdout.readline() == b"\n"
    time.sleep(0.3)
    for reader in readers:
        reader.kill()
        assert reader.communicate()[1] == b""
    assert listed() == listed() == truth()
    for left in sessions_index().parent.glob(".*.partial"):
        left.unlink()


def test_entries_are_fit_for_a_history() -> None:
    rows = (good_row("a", (0.2, 0.2)), good_row("b", (0.1, 0.1)))
    write(50, build(*rows, started=STARTED + datetime.timedelta(hours=50)))
    newest = listed()[0]
    assert isinstance(newest, Summary)
    assert [(entry.backend, entry.source, entry.rank, entry.status) for entry in newest.entries] == [
        ("b", "org/b", 1, "ok"), ("a", "org/a", 2, "ok"),
    ]  # fmt: skip
    assert replace(newest).begun == newest.begun and newest.clip.sha256 and newest.machine == "Test chip"
