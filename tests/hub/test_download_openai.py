"""Checkpoints from OpenAI's CDN: continued, verified, and never seen half-written under their name."""

from __future__ import annotations

from pathlib import Path

import pytest
from downloading import HURRIED, Log, fetch, here, left_over, weights
from misbehaviour import Corrupt, Cut, HtmlPage, IgnoreRange, Misbehaviour, Stall, Status
from server import HubServer

from backends.base import ModelSpec
from speedtest_tui.core.download.openai import address
from speedtest_tui.core.download.request import OPENAI_ENDPOINT as ENDPOINT
from speedtest_tui.core.download.request import Request

__all__ = ["here"]
NAME = "tiny.pt"
DATA = weights(2_000_000)


def request(url: str, root: Path, trash: Path | None = None) -> Request:
    """A request for a checkpoint."""
    return Request(ModelSpec("openai", url), "whisper", root, trash=trash, patience=HURRIED)


def starts(hub: HubServer) -> list[int]:
    """The first byte of each GET."""
    return [entry.start for entry in hub.requests if entry.method == "GET"]


def ended(log: Log, root: Path) -> None:
    """It is there, whole, and alone but for its lock."""
    assert log.failure is None, log.failure
    assert log.path == root / NAME
    assert log.path.read_bytes() == DATA
    assert {path.name for path in left_over(root)} <= {f".{NAME}.lock"}
    assert log.last.bytes == log.last.total == len(DATA)


def test_a_checkpoint_is_downloaded_and_then_left_alone(hub: HubServer, here: None, tmp_path: Path) -> None:
    root = tmp_path / "whisper größe"
    url = hub.add_checkpoint(NAME, DATA)
    ended(fetch(request(url, root)), root)
    hub.forget()
    ended(fetch(request(url, root)), root)
    assert not hub.requests, "a whole file is recognised without asking anybody"


def test_a_cut_checkpoint_is_continued_in_the_next_run(hub: HubServer, here: None, tmp_path: Path) -> None:
    url = hub.add_checkpoint(NAME, DATA)
    hub.misbehave("/main/*", Cut(after=500_000), method="GET")
    hub.misbehave("/main/*", Stall(after=0), method="GET")
    assert fetch(request(url, tmp_path)).kind in ("cut", "stalled")
    assert not (tmp_path / NAME).exists()
    kept = (tmp_path / f"{NAME}.incomplete").stat().st_size
    hub.behave()
    hub.forget()
    ended(fetch(request(url, tmp_path)), tmp_path)
    assert starts(hub) == [kept]


def test_what_whisper_itself_left_half_written_is_continued(hub: HubServer, here: None, tmp_path: Path) -> None:
    url = hub.add_checkpoint(NAME, DATA)
    (tmp_path / NAME).write_bytes(DATA[:700_000])
    ended(fetch(request(url, tmp_path)), tmp_path)
    assert starts(hub) == [700_000]


def test_a_damaged_checkpoint_is_replaced_and_kept_in_the_trash(hub: HubServer, here: None, tmp_path: Path) -> None:
    root, trash = tmp_path / "whisper", tmp_path / "trash"
    root.mkdir()
    url = hub.add_checkpoint(NAME, DATA)
    (root / NAME).write_bytes(b"?" + DATA[1:])
    ended(fetch(request(url, root, trash)), root)
    assert [path.read_bytes() for path in trash.iterdir()] == [b"?" + DATA[1:]]


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (Corrupt(at=5), "wrong-content"),
        (Status(404), "not-found"),
        (HtmlPage(), "portal"),
        (Status(500), "server"),
    ],
)
def test_a_lasting_trouble_gets_its_own_sentence(
    hub: HubServer, here: None, tmp_path: Path, what: Misbehaviour, kind: str
) -> None:
    url = hub.add_checkpoint(NAME, DATA)
    hub.misbehave("/main/*", what)
    assert fetch(request(url, tmp_path)).kind == kind
    assert not (tmp_path / NAME).exists()


def test_a_server_without_head_or_ranges(hub: HubServer, here: None, tmp_path: Path) -> None:
    url = hub.add_checkpoint(NAME, DATA)
    hub.misbehave("/main/*", Status(405), method="HEAD")
    hub.misbehave("/main/*", Cut(after=500_000), times=1)
    hub.misbehave("/main/*", IgnoreRange())
    log = fetch(request(url, tmp_path))
    assert log.failure is None
    assert (tmp_path / NAME).read_bytes() == DATA
    assert "starting again" in log.notes


def test_another_file_under_the_address(hub: HubServer, here: None, tmp_path: Path) -> None:
    url = hub.add_checkpoint(NAME, DATA, sha256="0" * 64)
    assert fetch(request(url, tmp_path)).kind == "wrong-content"
    assert not list(tmp_path.glob(f"{NAME}*"))


@pytest.mark.parametrize("url", ["https://x/models/abc/tiny.pt", "https://x/models/" + "a" * 64 + "/..", "tiny.pt/x"])
def test_an_address_that_is_none(here: None, tmp_path: Path, url: str) -> None:
    assert fetch(request(url, tmp_path)).kind == "unsafe"


def test_a_mirror_takes_the_place_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://openaipublic.azureedge.net/main/whisper/models/abc/tiny.pt"
    assert address(url) == url
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:8000/mirror/")
    assert address(url) == "http://127.0.0.1:8000/mirror/main/whisper/models/abc/tiny.pt"
