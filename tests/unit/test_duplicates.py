"""Files that exist more than once: known by inode, by name, or by their hash, and never by size alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from caches import put, safetensors, sha256

from speedtest_tui.core.models import duplicates as module
from speedtest_tui.core.models.hashes import HashJob, hash_files
from speedtest_tui.core.models.inventory import Duplicate
from speedtest_tui.core.models.scan import scan

WEIGHTS = safetensors(1_000)
FILES = {"config.json": b"{}", "weights.safetensors": WEIGHTS}


@pytest.fixture(autouse=True)
def small_files_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST", 1_000)


class Counted:
    """The real hashing, with a note of what was hashed."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(
        self, jobs: Sequence[HashJob], on_progress: Callable[[int, int], None], cancelled: threading.Event
    ) -> Mapping[Path, str | OSError]:
        self.paths += [job.path for job in jobs]
        return hash_files(jobs, on_progress, cancelled)


def found(places: Path) -> tuple[tuple[Duplicate, ...], Counted]:
    """The duplicates in three caches of a home, and what had to be hashed."""
    roots = (("hf", places / "hf"), ("local", places / "models"), ("whisper", places / "whisper"))
    hashes = Counted()
    stored = list(scan(roots))
    return module.duplicates(stored, hashes, lambda *_: None, threading.Event()), hashes


def blob(places: Path, cache: str, repository: str = "org--name") -> Path:
    return places / cache / f"models--{repository}" / "blobs" / sha256(WEIGHTS)


def test_blobs_are_known_by_name(places: Path) -> None:
    put(places / "models", FILES)
    put(places / "hf", FILES)
    put(places / "hf", FILES, repository="org/other")
    (one,), hashes = found(places)
    assert one.paths == (blob(places, "hf"), blob(places, "hf", "org--other"), blob(places, "models"))
    assert (one.bytes, one.reclaimable, one.digest) == (len(WEIGHTS), 2 * len(WEIGHTS), sha256(WEIGHTS))
    assert not hashes.paths


def test_two_snapshots_of_one_blob_are_no_duplicate(places: Path) -> None:
    snapshot = put(places / "hf", FILES)
    other = snapshot.with_name("f" * 40)
    other.mkdir()
    (other / "weights.safetensors").symlink_to(f"../../blobs/{sha256(WEIGHTS)}")
    assert found(places)[0] == ()


def test_one_inode_takes_no_space_twice(places: Path) -> None:
    put(places / "hf", FILES)
    plain = places / "models" / "org--name"
    plain.mkdir(parents=True)
    os.link(blob(places, "hf"), plain / "weights.safetensors")
    assert found(places)[0] == ()
    (plain / "model.safetensors").write_bytes(WEIGHTS)
    (one,), hashes = found(places)
    assert one.paths == (blob(places, "hf"), plain / "model.safetensors")
    assert one.reclaimable == len(WEIGHTS)
    assert hashes.paths == [plain / "model.safetensors"]


def test_plain_files_are_hashed_where_sizes_agree(places: Path) -> None:
    for name, data in (
        ("a--a", WEIGHTS),
        ("b--b", WEIGHTS),
        ("c--c", WEIGHTS[:-1] + b"y"),
        ("d--d", safetensors(2_000)),
    ):
        (places / "models" / name).mkdir(parents=True)
        (places / "models" / name / "weights.safetensors").write_bytes(data)
    (one,), hashes = found(places)
    assert [path.parent.name for path in one.paths] == ["a--a", "b--b"]
    assert one.digest == sha256(WEIGHTS)
    assert sorted(path.parent.name for path in hashes.paths) == ["a--a", "b--b", "c--c"]


def test_the_first_to_keep_is_in_the_hf_cache_then_local_then_whisper(places: Path) -> None:
    data = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"w" * 2_000
    for cache in ("whisper", "models"):
        (places / cache).mkdir()
        (places / cache / "tiny.pt").write_bytes(data)
    (one,), _ = found(places)
    assert one.paths == (places / "models" / "tiny.pt", places / "whisper" / "tiny.pt")
    put(places / "hf", {"tiny.pt": data})
    (one,), _ = found(places)
    assert one.paths[0].parent.name == "blobs"
    assert len(one.paths) == 3


def test_a_payload_in_the_shared_store_is_named_itself(places: Path) -> None:
    xet = "ab" + "0" * 62
    put(places / "hf", FILES)
    put(places / "models", FILES)
    payload = places / "hf" / "blobs" / "ab" / xet
    payload.parent.mkdir(parents=True)
    (places / "hf" / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    blob(places, "hf").rename(payload)
    blob(places, "hf").symlink_to(f"../../blobs/ab/{xet}")
    (one,), hashes = found(places)
    assert one.paths == (payload, blob(places, "models"))
    assert not hashes.paths


def test_small_and_damaged_files_are_left_alone(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(places / "hf", FILES)
    put(places / "models", FILES)
    blob(places, "models").write_bytes(WEIGHTS[:-1] + b"zz")
    assert found(places)[0] == ()  # another size than its header says
    blob(places, "models").write_bytes(WEIGHTS)
    assert len(found(places)[0]) == 1
    monkeypatch.setattr(module, "SMALLEST", 1_000_000)
    assert found(places)[0] == ()


def test_without_hashing_only_names_count(places: Path) -> None:
    put(places / "hf", FILES)
    plain = places / "models" / "org--name"
    plain.mkdir(parents=True)
    (plain / "weights.safetensors").write_bytes(WEIGHTS)
    stored = list(scan([("hf", places / "hf"), ("local", places / "models")]))
    assert module.duplicates(stored, lambda *_: {}, lambda *_: None, threading.Event()) == ()
    put(places / "models", FILES)
    stored = list(scan([("hf", places / "hf"), ("local", places / "models")]))
    assert len(module.duplicates(stored, lambda *_: {}, lambda *_: None, threading.Event())) == 1
    stop = threading.Event()
    stop.set()
    assert len(module.duplicates(stored, hash_files, lambda *_: None, stop)) == 1
