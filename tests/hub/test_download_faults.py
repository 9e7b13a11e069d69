"""Our downloader against every way in which the hub goes wrong: it gets on, or says in one sentence why not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from downloading import (
    CONFIG,
    HURRIED,
    REPOSITORY,
    Log,
    add_model,
    assert_complete,
    fetch,
    folder,
    gets,
    here,
    partial,
    point_to,
    request,
    weights,
)
from misbehaviour import (
    ChangedEtag,
    Chunked,
    Corrupt,
    Cut,
    HtmlPage,
    IgnoreRange,
    Misbehaviour,
    Redirects,
    Resized,
    Slow,
    Stall,
    Status,
    WrongContentRange,
    WrongLength,
)
from server import HubServer

from speedtest_tui.core.download.request import Note, Patience
from speedtest_tui.core.process.lines import Message

__all__ = ["here"]
LFS = "/lfs/*weights.safetensors"
DATA = weights()

PASSING = {
    "cut": (LFS, Cut(after=1_000_000), 2),
    "cut by a reset": (LFS, Cut(after=1_000_000, reset=True), 2),
    "cut before the first byte": (LFS, Cut(after=0), 3),
    "stall": (LFS, Stall(after=1_000_000), 1),
    "server error": (LFS, Status(500), 2),
    "unavailable": ("*/resolve/*", Status(503, retry_after=0), 2),
    "too many requests": (LFS, Status(429, retry_after=0), 3),
    "listing refused for a while": ("/api/models/*", Status(502), 2),
    "an expired address": (LFS, Status(403), 1),
    "redirects": ("*/resolve/*weights*", Redirects(3), None),
    "chunks": (LFS, Chunked(), None),
    "slow": (LFS, Slow(20_000_000), None),
    "too long an announcement": (LFS, WrongLength(by=1000), 1),
    "another length for a while": (LFS, Resized(by=-5), 1),
    "the other length for a while": (LFS, Resized(by=5), 1),
}


@pytest.mark.parametrize("case", PASSING)
def test_a_passing_trouble_ends_in_a_verified_model(hub: HubServer, here: None, tmp_path: Path, case: str) -> None:
    commit = add_model(hub, DATA)
    pattern, what, times = PASSING[case]
    hub.misbehave(pattern, what, times)
    log = fetch(request(tmp_path))
    assert log.failure is None, log.failure
    assert_complete(tmp_path, DATA, commit)
    assert log.last.bytes == log.last.total == len(DATA) + len(CONFIG)


def test_a_cut_download_is_continued_where_it_broke_off(hub: HubServer, here: None, tmp_path: Path) -> None:
    add_model(hub, DATA)
    hub.misbehave(LFS, Cut(after=1_000_000), times=2)
    log = fetch(request(tmp_path))
    assert gets(hub) == [(0, 200), (1_000_000, 206), (2_000_000, 206)]
    assert log.last.received == len(DATA) + len(CONFIG)


def test_progress_begins_a_new_count_of_attempts(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    hub.misbehave(LFS, Cut(after=250_000), times=11)
    assert fetch(request(tmp_path)).failure is None
    assert len(gets(hub)) == 12 > HURRIED.attempts
    assert_complete(tmp_path, DATA, commit)


REFUSED: dict[str, tuple[str, Misbehaviour, str, str]] = {
    "always cut at once": (LFS, Cut(after=0), "cut", "keeps breaking"),
    "always stalls": (LFS, Stall(after=0), "stalled", "stopped sending data"),
    "always 500": (LFS, Status(500), "server", "has a problem (status 500)"),
    "always 429": (LFS, Status(429, retry_after=0), "rate-limited", "too many requests"),
    "401": (
        "*/resolve/*",
        Status(401, message="Invalid credentials in Authorization header"),
        "token",
        "hf auth login",
    ),
    "403": ("*/resolve/*", Status(403), "forbidden", "no permission to download"),
    "404 of a file": ("*/resolve/*", Status(404, error_code="EntryNotFound"), "not-found", "does not have config.json"),
    "a page for people": ("/api/models/*", HtmlPage(), "portal", "something other than a model"),
    "a page instead of a file": ("*/resolve/*", HtmlPage(), "portal", "something other than a model"),
    "redirects in a circle": ("*/resolve/*", Redirects(None), "portal", "something other than a model"),
    "wrong bytes": (LFS, Corrupt(at=1_500_000), "wrong-content", "hash is not the published one"),
    "always another length": (LFS, Resized(by=7), "wrong-content", "should have 3,000,000 bytes"),
    "always fewer bytes": (LFS, Resized(by=-7), "wrong-content", "the server has 2,999,993"),
    "another name for the same": ("*/resolve/*weights*", ChangedEtag("1" * 64), "wrong-content", "hash"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_lasting_trouble_gets_its_own_sentence(hub: HubServer, here: None, tmp_path: Path, case: str) -> None:
    add_model(hub, DATA)
    pattern, what, kind, words = REFUSED[case]
    hub.misbehave(pattern, what)
    log = fetch(request(tmp_path))
    assert log.kind == kind, log.failure
    assert words in str(log.failure)
    assert "\n" not in str(log.failure)
    assert not (folder(tmp_path) / "refs").exists()
    assert not list(tmp_path.rglob("weights.safetensors"))
    hub.behave()
    assert fetch(request(tmp_path)).failure is None


def test_wrong_bytes_leave_nothing_behind(hub: HubServer, here: None, tmp_path: Path) -> None:
    add_model(hub, DATA)
    hub.misbehave(LFS, Corrupt(at=10))
    assert fetch(request(tmp_path)).kind == "wrong-content"
    assert not partial(tmp_path, DATA).exists()
    assert not partial(tmp_path, DATA).with_suffix("").exists()
    assert len(gets(hub)) == 1


def test_a_wrong_beginning_is_started_over_once(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    begun = partial(tmp_path, DATA)
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"\xff" + DATA[1:1_000_000])
    log = fetch(request(tmp_path))
    assert log.failure is None
    assert "starting again" in log.notes
    assert gets(hub) == [(1_000_000, 206), (0, 200)]
    assert_complete(tmp_path, DATA, commit)
    assert log.last.bytes == log.last.total


def test_a_whole_file_that_was_never_published_is_not_downloaded(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    begun = partial(tmp_path, DATA)
    begun.parent.mkdir(parents=True)
    begun.write_bytes(DATA)
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == []
    assert_complete(tmp_path, DATA, commit)


def test_too_long_a_beginning_is_dropped(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    begun = partial(tmp_path, DATA)
    begun.parent.mkdir(parents=True)
    begun.write_bytes(DATA + b"more")
    log = fetch(request(tmp_path))
    assert gets(hub) == [(0, 200)]
    assert_complete(tmp_path, DATA, commit)
    assert log.last.bytes == log.last.total


@pytest.mark.parametrize("what", [IgnoreRange(), WrongContentRange(shift=-1), WrongContentRange(shift=9)])
def test_a_server_that_cannot_continue_is_begun_again_visibly(
    hub: HubServer, here: None, tmp_path: Path, what: Misbehaviour
) -> None:
    commit = add_model(hub, DATA)
    hub.misbehave(LFS, Cut(after=1_000_000), times=1)
    fetch(request(tmp_path, patience=Patience(attempts=1)))
    hub.misbehave(LFS, what)
    log = fetch(request(tmp_path))
    assert log.failure is None
    assert "starting again" in log.notes or "wrong part" in log.notes
    assert_complete(tmp_path, DATA, commit)
    assert log.last.bytes == log.last.total


def test_the_other_file_is_downloaded_when_it_changes_in_between(hub: HubServer, here: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    newer = weights(2_500_000, seed=2)
    hub.misbehave(LFS, Cut(after=1_000_000), times=1)
    changed: list[str] = []
    log = Log()

    def send(message: Message) -> None:
        log.messages.append(message)
        if isinstance(message, Note) and not changed:
            changed.append(add_model(hub, newer))
            commits = hub.shelf.repositories[REPOSITORY].commits
            commits[commit] = commits[changed[0]]

    told = fetch(request(tmp_path), send)
    assert told.failure is None
    assert "has changed on the hub" in log.notes
    assert_complete(tmp_path, newer, commit)
    assert log.last.bytes == log.last.total == len(newer) + len(CONFIG)


def test_a_full_disk_keeps_what_there_is(hub: HubServer, here: None, tmp_path: Path, room: list[int]) -> None:
    commit = add_model(hub, DATA)
    log = fetch(request(tmp_path))
    assert log.kind == "space"
    assert "free some space" in str(log.failure)
    kept = partial(tmp_path, DATA).stat().st_size
    assert kept == 1_000_000 - len(CONFIG)
    room[0] = 10**9
    hub.forget()
    assert fetch(request(tmp_path)).failure is None
    assert gets(hub) == [(kept, 206)]
    assert_complete(tmp_path, DATA, commit)


def test_too_little_room_is_seen_before_the_first_byte(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(hub, DATA)
    monkeypatch.setattr("speedtest_tui.core.disk.free", lambda _place: 4_000_000)
    log = fetch(request(tmp_path))
    assert log.kind == "space"
    assert "4 MB free" in str(log.failure)
    assert gets(hub) == []
    assert not folder(tmp_path).exists()


def test_no_network(here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        point_to(f"http://127.0.0.1:{nobody.getsockname()[1]}", monkeypatch)
        log = fetch(request(tmp_path))
    assert log.kind == "network"
    assert "cannot be reached" in str(log.failure)


def test_no_such_host(here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to("http://hub.invalid", monkeypatch)
    log = fetch(request(tmp_path))
    assert log.kind == "network"
    assert "looked up" in str(log.failure)


def test_no_tls_where_tls_is_expected(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(hub.url.replace("http:", "https:"), monkeypatch)
    assert fetch(request(tmp_path)).kind == "tls"
