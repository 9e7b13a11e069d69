"""The lists of files that huggingface_hub keeps: read as it reads them, written as it writes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import _tree_cache
from huggingface_hub._tree_cache import TreeCacheEntry

from speedtest_tui.core.models import manifest
from speedtest_tui.core.models.manifest import ManifestFile

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA1, SHA256, XET = "1" * 40, "2" * 64, "3" * 64
FILES = {
    "model.safetensors": ManifestFile(1234, SHA1, SHA256, XET),
    "config.json": ManifestFile(519, SHA1),
    "onnx/ünï.bin": ManifestFile(7, SHA1, SHA256),
}


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    _tree_cache._IN_MEMORY_TREE_CACHE.clear()


def theirs() -> dict[str, TreeCacheEntry]:
    return {
        name: TreeCacheEntry(
            file.size, file.blob_id, file.sha256 or None, file.size if file.sha256 else None, file.xet_hash or None
        )
        for name, file in FILES.items()
    }


def put(repository: Path, files: object, **more: object) -> Path:
    path = repository / "trees" / f"{COMMIT}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"format_version": 1, "files": files, **more}))
    return path


def test_what_huggingface_hub_writes_is_read(tmp_path: Path) -> None:
    _tree_cache.write_tree_cache(str(tmp_path), COMMIT, theirs())
    assert manifest.read_with_faults(tmp_path, COMMIT) == (FILES, ())
    assert [file.etag for file in FILES.values()] == [SHA256, SHA1, SHA256]
    assert manifest.etags({COMMIT: FILES, "other": None}) == {SHA256: 7, SHA1: 519}


def test_what_is_written_is_huggingface_hubs_to_the_byte(tmp_path: Path) -> None:
    manifest.write(tmp_path / "ours", COMMIT, FILES)
    _tree_cache.write_tree_cache(str(tmp_path / "theirs"), COMMIT, theirs())
    ours, expected = (manifest.path_of(tmp_path / whose, COMMIT) for whose in ("ours", "theirs"))
    assert ours.read_bytes() == expected.read_bytes()
    _tree_cache._IN_MEMORY_TREE_CACHE.clear()
    assert _tree_cache.read_tree_cache(str(tmp_path / "ours"), COMMIT) == theirs()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a\\b", "a\nb", ""])
def test_unsafe_names_are_left_out_and_reported(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, {name: {"size": 1, "blob_id": SHA1}, "config.json": {"size": 519, "blob_id": SHA1}})
    found, faults = manifest.read_with_faults(tmp_path, COMMIT)
    assert found == {"config.json": ManifestFile(519, SHA1)}
    assert [(fault.kind, fault.path) for fault in faults] == [("escape", path)]
    assert faults[0].detail.isprintable()
    with pytest.raises(ValueError, match="not a file of a repository"):
        manifest.write(tmp_path, COMMIT, {name: ManifestFile(1, SHA1)})


def test_blobs_whose_names_lead_elsewhere_are_left_out_and_reported(tmp_path: Path) -> None:
    put(tmp_path, {"config.json": {"size": 1, "blob_id": "../../../outside"}})
    found, faults = manifest.read_with_faults(tmp_path, COMMIT)
    assert found == {}
    assert [fault.kind for fault in faults] == ["escape"]


DAMAGED: tuple[Any, ...] = (
    {"config.json": {"size": -1, "blob_id": SHA1}},
    {"config.json": {"size": "1", "blob_id": SHA1}},
    {"config.json": {"size": True, "blob_id": SHA1}},
    {"config.json": {"blob_id": SHA1}},
    {"config.json": {"size": 1, "blob_id": None}},
    {"config.json": {"size": 1, "blob_id": SHA1, "xet_hash": "../../" + XET}},
    {"config.json": {"size": 1, "blob_id": SHA1, "lfs_sha256": "short"}},
    {"config.json": 1},
    ["config.json"],
    None,
)


@pytest.mark.parametrize("files", DAMAGED)
def test_a_list_that_makes_no_sense_is_none(tmp_path: Path, files: object) -> None:
    put(tmp_path, files)
    found, faults = manifest.read_with_faults(tmp_path, COMMIT)
    assert found is None
    assert [fault.kind for fault in faults] == ["unreadable"]
    assert manifest.read(tmp_path, COMMIT) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", pytest.param(b"[" * 100_000, id="deep")])
def test_a_list_that_is_no_json_is_none(tmp_path: Path, data: bytes) -> None:
    put(tmp_path, {}).write_bytes(data)
    found, faults = manifest.read_with_faults(tmp_path, COMMIT)
    assert found is None
    assert [fault.kind for fault in faults] == ["unreadable"]


def test_a_later_format_is_no_fault(tmp_path: Path) -> None:
    put(tmp_path, {}, format_version=2)
    assert manifest.read_with_faults(tmp_path, COMMIT) == (None, ())


def test_no_list_is_no_fault(tmp_path: Path) -> None:
    assert manifest.read_with_faults(tmp_path, COMMIT) == (None, ())
    assert manifest.read_with_faults(tmp_path, "../../x") == (None, ())
    with pytest.raises(ValueError, match="not the name of a commit"):
        manifest.write(tmp_path, "../x", {})


def test_a_pipe_or_a_folder_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    path = put(tmp_path, {})
    path.unlink()
    os.mkfifo(path)
    assert [fault.kind for fault in manifest.read_with_faults(tmp_path, COMMIT)[1]] == ["unreadable"]
    path.unlink()
    path.mkdir()
    assert [fault.kind for fault in manifest.read_with_faults(tmp_path, COMMIT)[1]] == ["unreadable"]
