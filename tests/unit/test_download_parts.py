"""The parts of a download that need no server: requests, sentences, patience, figures, partial files."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.base import ModelSpec, RequiredFile
from backends.catalogue import MLX_WHISPER, POCKETSPHINX, WHISPER_MPS
from speedtest_tui.core.download import publish
from speedtest_tui.core.download.failures import Failure, explain, from_status
from speedtest_tui.core.download.incoming import Content
from speedtest_tui.core.download.queue import Speed
from speedtest_tui.core.download.request import DownloadRow, Patience, Request, request_for
from speedtest_tui.core.download.transfer import Attempts, Progress

SPEC = ModelSpec("hub", "org/name", (RequiredFile(("a", "b"), "c"),), "main")
REQUEST = Request(SPEC, "hf", Path("/x y/größe"), ("a",), Path("/t"))


def quiet() -> Progress:
    """Nobody listens."""
    return Progress(lambda *_, **__: None)


def test_a_models_request(places: Path) -> None:
    request = request_for(MLX_WHISPER["tiny"])
    assert request is not None
    assert request.root == places / "home/.cache/huggingface/hub"
    assert request.fallback is not None
    assert request.fallback.source == "mlx-community/whisper-tiny-mlx"
    local = request_for(MLX_WHISPER["tiny"], "local")
    assert local is not None
    assert local.fallback is not None
    assert local.root == local.fallback.root == places / "models"


def test_checkpoints_go_where_whisper_looks(places: Path) -> None:
    request = request_for(WHISPER_MPS["large"])
    assert request is not None
    assert (request.name, request.cache, request.root) == ("large-v3.pt", "whisper", places / "home/.cache/whisper")


@pytest.mark.parametrize(
    "spec", [MLX_WHISPER["nano"], POCKETSPHINX["tiny"], ModelSpec("hub", "a/b", missing_reason="x")]
)
def test_what_comes_from_no_server_has_no_request(places: Path, spec: ModelSpec) -> None:
    assert request_for(spec) is None


def test_the_parents_side_imports_no_http_library() -> None:
    code = (
        "import sys, speedtest_tui.core.download.queue, speedtest_tui.core.download.request;"
        "print([name for name in sys.modules if name.split('.')[0] in ('huggingface_hub', 'httpx2', 'filelock')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "space"),
        (OSError(errno.EROFS, "Read-only file system", "/cache"), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/cache"), "read-only"),
        (OSError(errno.EIO, "Input/output error", "/cache"), "disk"),
        (ValueError("not JSON"), "portal"),
        (RuntimeError("what?"), "unexpected"),
    ],
)
def test_every_error_is_one_sentence_with_something_to_do(error: Exception, kind: str) -> None:
    failure = explain(error, "org/name")
    assert failure.kind == kind
    assert failure.advice.what
    assert failure.advice.todo
    assert "\n" not in str(failure)


def test_what_breaks_within_tls_is_no_matter_of_trust() -> None:
    import ssl

    import httpx2

    broken, refused = httpx2.ReadError("broken"), httpx2.ConnectError("refused")
    broken.__cause__ = refused.__cause__ = ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]")
    failure = explain(broken, "org/name")
    assert (failure.kind, failure.transient) == ("cut", True)
    assert explain(refused, "org/name").kind == "tls"


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [(401, "token", False), (403, "forbidden", False), (404, "not-found", False), (410, "not-found", False),
     (418, "unexpected", False), (408, "server", True), (429, "rate-limited", True), (500, "server", True),
     (503, "server", True)],
)  # fmt: skip
def test_refusals(status: int, kind: str, transient: bool) -> None:
    failure = from_status(status, {}, "https://host.example/file.pt")
    assert (failure.kind, failure.transient) == (kind, transient)


@pytest.mark.parametrize(("value", "low", "high"), [("7", 7, 7), ("", None, None), ("soon", None, None),
                                                    ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)])  # fmt: skip
def test_how_long_a_server_wants_to_be_left_alone(value: str, low: float | None, high: float | None) -> None:
    wait = from_status(429, {"Retry-After": value}, "https://h/x").wait_s
    assert wait == low == high


def test_speed_is_of_the_last_seconds() -> None:
    speed = Speed()
    assert speed.at(0, 0) is None
    assert speed.at(0.2, 100) is None, "too little to go by"
    assert speed.at(1, 1000) == 1000
    for second in range(2, 20):
        last = speed.at(second, 1000 + (second - 1) * 10)
    assert last == pytest.approx(10)


@pytest.mark.parametrize("algorithm", ["sha256", "git-sha1"])
def test_content_is_hashed_while_it_is_written_and_when_it_is_taken_up(tmp_path: Path, algorithm: Any) -> None:
    data = bytes(range(256)) * 9000
    right = hashlib.sha256(data) if algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % len(data) + data)
    path = tmp_path / "x.incomplete"
    with Content(path, algorithm, len(data)) as content:
        content.append(data[:1_500_000])
    with Content(path, algorithm, len(data)) as content:
        content.take_up(lambda: None)
        assert content.length == 1_500_000
        assert content.continued
        content.append(data[1_500_000:])
        assert content.digest() == right.hexdigest()
    assert path.read_bytes() == data


def test_a_write_that_takes_only_a_part_is_followed_by_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from speedtest_tui.core.download import incoming as module

    monkeypatch.setattr(module, "write", lambda descriptor, data: os.write(descriptor, bytes(data[:3])))
    with Content(tmp_path / "x", "sha256", None) as content:
        content.append(b"abcdefgh")
        assert content.digest() == hashlib.sha256(b"abcdefgh").hexdigest()
    assert (tmp_path / "x").read_bytes() == b"abcdefgh"


def test_a_partial_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "x.incomplete").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        Content(tmp_path / "x.incomplete", "sha256", None)
    assert publish.solid_bytes(tmp_path / "x.incomplete") == 0


def test_a_ref_is_written_once_and_whole(tmp_path: Path) -> None:
    publish.write_ref(tmp_path, "refs/pr/1", "a" * 40)
    ref = tmp_path / "refs" / "refs" / "pr" / "1"
    before = ref.stat().st_mtime_ns, ref.stat().st_ino
    publish.write_ref(tmp_path, "refs/pr/1", "a" * 40)
    assert (ref.stat().st_mtime_ns, ref.stat().st_ino) == before
    assert ref.read_text() == "a" * 40


def test_attempts_wait_longer_and_longer_unless_the_server_says_how_long() -> None:
    slept: list[float] = []
    attempts = Attempts(Patience(attempts=5, first_wait_s=1, longest_wait_s=3), quiet(), slept.append)
    for wait_s in (None, None, 7, None):
        attempts.failed(Failure("cut", "a", "b", transient=True, wait_s=wait_s))
    assert slept == [1, 2, 7, 3]
    with pytest.raises(Failure):
        attempts.failed(Failure("cut", "a", "b", transient=True))


def test_a_row_says_what_its_figures_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    row = DownloadRow(REQUEST, "contacting", file="weights.npz")
    assert row.doing == "contacting huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hub")
    assert row.doing == "contacting mirror.example"
    assert replace(row, state="checking").doing == "checking weights.npz"
    assert replace(row, state="downloading").doing == ""
