"""Names of the hub's layout: the same as huggingface_hub makes, and none that leads out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils._shared_blobs import is_shared_blobs_dir, shared_blob_path

from speedtest_tui.core.models import layout
from speedtest_tui.core.models.locks import lock_of

CACHE = Path("/cache")
XET = "ab" + "0" * 62


@pytest.mark.parametrize("repository", ["org/name", "gpt2", "org/name-with--dashes".replace("--", "-")])
@pytest.mark.parametrize("kind", ["model", "dataset", "space", "kernel"])
def test_folders_are_named_as_huggingface_hub_names_them(repository: str, kind: str) -> None:
    folder = layout.repository_folder(CACHE, repository, kind)
    assert folder == CACHE / repo_folder_name(repo_id=repository, repo_type=kind)
    assert layout.repository_id(folder.name) == (kind, repository)
    for name in ("etag", "etag.incomplete", "etag.0badc0de.incomplete"):
        assert lock_of(layout.blob_file(folder, name), CACHE) == CACHE / ".locks" / folder.name / "etag.lock"


@pytest.mark.parametrize("name", ["models", "models--", "model--a--b", "models----", "models--..--x", "models--a\n"])
def test_other_folders_are_no_repositories(name: str) -> None:
    assert layout.repository_id(name) is None


@pytest.mark.parametrize("name", ["a", "a/b", "a..b/c", "..a", "a/...", ".gitattributes", "ü/日本 語.json", "a:b"])
def test_safe_names(name: str) -> None:
    assert layout.is_safe_name(name)


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\\b", "a\0b", "a\n", "a\rb", "\ud800"]
)
def test_unsafe_names(name: str) -> None:
    assert not layout.is_safe_name(name)


def test_parts_have_no_slash() -> None:
    assert layout.is_safe_part("main")
    assert not layout.is_safe_part("a/b")
    assert not layout.is_safe_part("..")


def test_digests() -> None:
    assert layout.digest_of("ab" * 32) == ("sha256", "ab" * 32)
    assert layout.digest_of("ab" * 20) == ("git-sha1", "ab" * 20)
    assert layout.digest_of("AB" * 20) is None
    assert layout.digest_of("ab" * 20 + "\n") is None


@pytest.mark.parametrize(
    ("name", "etag"),
    [
        ("abc.incomplete", "abc"),
        ("abc.0badc0de.incomplete", "abc"),
        ("abc.0badc0d.incomplete", "abc.0badc0d"),
        (".incomplete", None),
        ("abc", None),
        ("abc.incomplete.lock", None),
    ],
)
def test_partial_downloads(name: str, etag: str | None) -> None:
    assert layout.etag_of_partial(name) == etag


def test_one_hop_is_not_followed_further(tmp_path: Path) -> None:
    (tmp_path / "payload").touch()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "etag").symlink_to("../payload")
    (tmp_path / "snapshot").symlink_to("snapshot/../blobs/etag")
    assert layout.first_hop(tmp_path / "snapshot") == tmp_path / "blobs" / "etag"
    assert layout.first_hop(tmp_path / "blobs" / "etag") == tmp_path / "payload"
    with pytest.raises(OSError, match="Invalid argument"):
        layout.first_hop(tmp_path / "payload")


def test_within_goes_by_names() -> None:
    assert layout.is_within(Path("/cache/a/../b"), CACHE)
    assert not layout.is_within(Path("/cache/../other"), CACHE)
    assert not layout.is_within(Path("/cache2/a"), CACHE)
    assert not layout.is_within(CACHE, CACHE)
    assert layout.is_within(CACHE, Path("/"))


def test_the_shared_store(tmp_path: Path) -> None:
    payload = layout.shared_blob(tmp_path, XET)
    assert payload == shared_blob_path(tmp_path, XET)
    with pytest.raises(ValueError, match="not a xet hash"):
        layout.shared_blob(tmp_path, "../" + XET)
    assert layout.is_shared_name(payload, tmp_path)
    assert not layout.is_shared_name(tmp_path / "blobs" / "00" / XET, tmp_path)
    assert not layout.is_shared_target(payload, tmp_path)
    (tmp_path / "blobs").mkdir()
    for text, owned in (("", False), ("2\n", False), ("1\n", True), ("1\n\n", False)):
        (tmp_path / "blobs" / layout.SHARED_MARKER).write_text(text)
        assert is_shared_blobs_dir(tmp_path / "blobs") is owned
        assert layout.is_shared_target(payload, tmp_path) is owned
