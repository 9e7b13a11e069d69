"""Scans of whole caches: what else may lie in them, folders known by two names, and caches that cannot be read."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from caches import CHECKPOINT, COMMIT, GOOD, put, safetensors, write

from speedtest_tui.core.models.inventory import Stored
from speedtest_tui.core.models.places import Roots, default_roots
from speedtest_tui.core.models.scan import scan, use


@pytest.fixture
def local(places: Path) -> Path:
    """The local cache, empty."""
    (places / "models").mkdir()
    return places / "models"


def rows(roots: Roots | None = None) -> dict[str, Stored]:
    """All rows by name; of this test's own home where no roots are named."""
    found = list(scan(roots))
    assert len({row.path for row in found}) == len(found)
    return {row.name: row for row in found}


def kinds(row: Stored) -> list[str]:
    return [fault.kind for fault in row.faults]


def test_the_roots_of_a_home(places: Path) -> None:
    whisper = places / "home" / ".cache" / "whisper"
    assert default_roots() == (
        ("hf", places / "home" / ".cache" / "huggingface" / "hub"),
        ("local", places / "models"),
        ("local", places / "models" / "hub"),
        ("whisper", whisper),
    )
    assert rows() == {}


def test_plain_folders(local: Path) -> None:
    for folder in ("org--flat", "org/nested", "bare"):
        for name, data in GOOD.items():
            write(local / folder / name, data)
    write(local / "bare" / ".cache" / "huggingface" / "download" / "x.metadata", b"12345")
    found = rows()
    assert {name: row.layout for name, row in found.items()} == dict.fromkeys(
        ("org--flat", "org/nested", "bare"), "plain"
    )
    assert all(row.faults == () and row.cache == "local" for row in found.values())
    row = found["org/nested"]
    assert row.path == local / "org" / "nested"
    assert [file.name for file in row.files] == list(GOOD)
    assert row.files[1].blob == row.files[1].path == row.path / "weights.safetensors"
    assert found["bare"].bytes == row.bytes + 5


def test_plain_folders_with_something_wrong(local: Path) -> None:
    write(local / "cut" / "weights.safetensors", safetensors()[:-1])
    write(local / "void" / "config.json", b"")
    write(local / "org--begun" / "weights.safetensors.incomplete", b"1234")
    (local / "lost").mkdir()
    (local / "lost" / "weights.npz").symlink_to("nothing")
    found = rows()
    assert kinds(found["cut"]) == ["truncated"]
    assert kinds(found["void"]) == ["missing-file", "empty"]
    assert kinds(found["lost"]) == ["broken-link"]
    assert kinds(found["org--begun"]) == []
    assert [(part.etag, part.bytes) for part in found["org--begun"].partials] == [("weights.safetensors", 4)]


def test_links_in_a_circle_and_deep_folders_end(local: Path) -> None:
    write(local / "bare" / "weights.safetensors", safetensors())
    (local / "bare" / "again").symlink_to(".")
    (local / "bare" / "loop").symlink_to("loop")
    write(local / "bare" / "/".join("d" * 40) / "deep.json")
    row = rows()["bare"]
    assert sorted(kinds(row)) == ["unreadable"] * 3


def test_checkpoints(places: Path, local: Path) -> None:
    whisper = places / "home" / ".cache" / "whisper"
    write(local / "tiny.pt", CHECKPOINT)
    write(whisper / "base.pt", CHECKPOINT[:-30])
    write(whisper / "small.pt.incomplete", b"123")
    write(whisper / "tiny.en.pt", CHECKPOINT)
    write(whisper / "tiny.en.pt.incomplete", b"1")
    write(whisper / "tiny.en.pt.lock", b"")
    write(whisper / "ggml.bin", b"other")
    found = rows()
    assert (found["tiny.pt"].layout, found["tiny.pt"].cache, kinds(found["tiny.pt"])) == ("checkpoint", "local", [])
    assert kinds(found["base.pt"]) == ["truncated"]
    assert (found["small.pt"].files, found["small.pt"].bytes, kinds(found["small.pt"])) == ((), 3, [])
    assert found["small.pt"].partials[0].path == whisper / "small.pt.incomplete"
    assert kinds(found["tiny.en.pt"]) == ["orphaned-partial"]
    assert kinds(found["ggml.bin"]) == ["foreign"]
    assert len(found) == 5


def test_our_own_models(local: Path) -> None:
    made = local / "embedded" / "nano-0123456789ab"
    write(made / "mlx" / "weights.safetensors", safetensors())
    size = len(safetensors())
    write(made / "mlx" / "manifest.json", b'{"files": {"weights.safetensors": {"bytes": %d}}}' % size)
    write(made / ".mlx.lock", b"")
    write(made / "hf" / "model.safetensors", safetensors())
    write(made / "hf" / "manifest.json", b'{"files": {"model.safetensors": {"bytes": 1}, "gone": {"bytes": 1}}}')
    killed = write(made / ".hf.abcdefgh.partial" / "model.safetensors", b"123").parent
    write(local / "converted" / "canary" / "conversion.json", b"{}")
    write(local / "converted" / "bare" / "weights.safetensors", safetensors())
    found = rows()
    assert found["nano-0123456789ab/mlx"].layout == "embedded"
    assert kinds(found["nano-0123456789ab/mlx"]) == []
    assert kinds(found["nano-0123456789ab/hf"]) == ["truncated", "missing-file"]
    assert (found["canary"].layout, kinds(found["canary"])) == ("converted", [])
    assert kinds(found["bare"]) == ["missing-file"]
    assert len(found) == 4  # what is being built at this moment is nobody's business
    os.utime(killed, (time.time() - 7_200, time.time() - 7_200))
    assert kinds(rows()[".hf.abcdefgh.partial"]) == ["orphaned-partial"]


@pytest.mark.usefixtures("any_name")
def test_what_does_not_belong(places: Path, local: Path) -> None:
    hub = places / "home" / ".cache" / "huggingface" / "hub"
    write(hub / "tiny.pt", CHECKPOINT)
    write(hub / "notes" / "a.txt", b"1234")
    write(hub / "odd\x1b[2J\udcff.txt", b"1")
    write(local / "notes.txt", b"12")
    write(local / "photos" / "2024" / "a.jpg", b"123")
    write(local / "README.md", b"ours")
    write(local / "org" / "model" / "weights.npz", b"PK")
    write(local / "org" / "todo.txt", b"1")
    (hub / "lost").symlink_to("nothing")
    (hub / "loop").symlink_to("loop")
    (local / "models--org--loop").symlink_to("models--org--loop")
    found = rows()
    assert kinds(found.pop("org/loop")) == ["unreadable"]
    assert found.pop("org/model").layout == "plain"
    names = {"tiny.pt", "notes", "odd\\x1b[2J\\xff.txt", "notes.txt", "photos", "todo.txt", "lost", "loop"}
    assert set(found) == names
    assert all(row.layout == "foreign" and "foreign" in kinds(row) for row in found.values())
    assert all(fault.detail.isprintable() for row in found.values() for fault in row.faults)
    assert found["photos"].bytes == 3
    assert "broken-link" in kinds(found["lost"])
    assert "does not belong here: the Hugging Face cache holds folders like" in found["notes"].faults[0].detail


def test_the_hub_folder_of_the_local_cache(local: Path) -> None:
    put(local / "hub")
    put(local, repository="org/other")
    found = rows()
    assert {name: row.root for name, row in found.items()} == {"org/name": local / "hub", "org/other": local}
    assert rows([("local", local)]) == found


def test_a_folder_that_is_two_caches_is_listed_once(places: Path, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(local / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(local / "hub"))
    assert {name: row.cache for name, row in rows().items()} == {"org/name": "hf"}
    (places / "link").symlink_to(local / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "link"))
    assert {name: row.path for name, row in rows().items()} == {"org/name": places / "link" / "models--org--name"}
    # All that either cache may hold is at home in a folder that is both.
    monkeypatch.setenv("HF_HUB_CACHE", str(local))
    write(local / "tiny.pt", CHECKPOINT)
    assert {name: row.layout for name, row in rows().items()} == {"org/name": "hub", "tiny.pt": "checkpoint"}


def test_a_cache_within_another_is_not_foreign(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "all"))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(places / "all" / "deep" / "ours"))
    put(places / "all" / "deep" / "ours")
    assert {name: row.cache for name, row in rows().items()} == {"org/name": "local"}


def test_links_to_repositories(places: Path, local: Path) -> None:
    hub = places / "home" / ".cache" / "huggingface" / "hub"
    put(local)
    put(places / "disk", repository="org/outside")
    hub.mkdir(parents=True)
    (hub / "models--org--name").symlink_to(local / "models--org--name")
    (hub / "models--org--outside").symlink_to(places / "disk" / "models--org--outside")
    (hub / "models--org--gone").symlink_to("models--org--nothing")
    found = rows()
    assert {name: (row.cache, kinds(row)) for name, row in found.items()} == {
        "org/name": ("local", []),
        "org/outside": ("hf", []),
        "org/gone": ("hf", ["broken-link"]),
    }
    assert [snapshot.revision for snapshot in found["org/outside"].snapshots] == [COMMIT]


def test_rows_come_one_by_one_and_cancelling_ends_them(places: Path) -> None:
    for number in range(5):
        put(places / "hub", repository=f"org/{number}")
    stop = threading.Event()
    looking = scan([("hf", places / "hub")], stop)
    assert next(looking).name == "org/0"
    put(places / "hub", {"later.txt": b"x"}, repository="org/3", commit="e" * 40)
    assert [next(looking).name for _ in range(3)] == ["org/1", "org/2", "org/3"]
    stop.set()
    assert list(looking) == []


def test_what_vanishes_while_it_is_read_is_a_fault(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(places / "hub")
    put(places / "hub", repository="org/other")

    def readlink(path: str) -> str:
        if "models--org--name" in path:
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path)

    real = os.readlink
    monkeypatch.setattr(os, "readlink", readlink)
    found = rows([("hf", places / "hub")])
    assert kinds(found["org/name"]) == ["unreadable"]
    assert kinds(found["org/other"]) == []


def test_use(places: Path, local: Path) -> None:
    hub = places / "home" / ".cache" / "huggingface" / "hub"
    put(hub)
    whole = sum(len(data) for data in GOOD.values())
    plain = local / "bare"
    plain.mkdir()
    os.link(
        next(path for path in (hub / "models--org--name" / "blobs").iterdir() if path.stat().st_size > 2),
        plain / "weights.safetensors",
    )
    write(plain / "config.json", b"{}")
    os.link(
        plain / "weights.safetensors", write(local / "twin" / "config.json", b"{}").with_name("weights.safetensors")
    )
    hf, ours, whisper = use(list(scan()))
    assert (hf.cache, hf.root, hf.exists, hf.bytes, hf.rows, hf.problem) == ("hf", hub, True, whole, 1, None)
    assert hf.free
    assert (ours.cache, ours.root, ours.bytes, ours.rows) == ("local", local, whole + 2, 2)
    assert (whisper.exists, whisper.bytes, whisper.rows, whisper.problem) == (False, 0, 0, None)


def test_caches_that_cannot_be_used(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "file").touch()
    (places / "gone").symlink_to("nothing")
    (places / "closed").mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        if os.fspath(path) == str(places / "closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for name, problem in (
        ("file", f"{places / 'file'} is a file where a folder belongs"),
        ("gone", f"{places / 'gone'} is a broken link"),
        ("file/below", f"{places / 'file'} is a file where a folder belongs"),
        ("closed", f"{places / 'closed'} cannot be read (Permission denied)"),
    ):
        roots = (("hf", places / name),)
        found = list(scan(roots))  # type: ignore[arg-type]
        assert found == []
        assert [cache.problem and cache.problem.what for cache in use(found, roots)] == [problem]  # type: ignore[arg-type]
    monkeypatch.setattr(os, "access", lambda *_: False)  # as on a read-only file system
    for folder, problem in ((places, "is read-only"), (places / "new", f"cannot be made: {places} is read-only")):
        (cache,) = use([], [("hf", folder)])
        assert cache.problem and cache.problem.what == f"{folder} {problem}"
