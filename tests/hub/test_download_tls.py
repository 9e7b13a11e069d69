"""Downloads over TLS, as all real ones are: with a certificate that is trusted, and with one that is not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from child import finish, start
from downloading import (
    add_model,
    assert_complete,
    gets,
    large_bytes,
    partial,
    request,
    served,
    size_of,
    wait_until,
    weights,
)
from misbehaviour import Cut, Stall
from server import HOST, HubServer

from speedtest_tui.core.download.incoming import HELD_BYTES
from speedtest_tui.core.download.request import Patience

DATA = weights(5_000_000)
PATIENT = Patience(stall_s=20, attempts=4, first_wait_s=0.0, longest_wait_s=0.0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the hub."""
    return trustme.CA()


@pytest.fixture
def hub(authority: trustme.CA) -> Iterator[HubServer]:
    """As elsewhere, but over https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    with HubServer(tls=context) as server:
        yield server


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children trust it, as behind a company's proxy."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_breaks_is_continued(
    hub: HubServer, online: dict[str, str], trusted: None, tmp_path: Path, reset: bool
) -> None:
    assert hub.url.startswith("https://")
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Cut(3_000_000, reset=reset), times=1)
    assert finish(start(request(tmp_path, patience=PATIENT)))["event"] == "Finished"
    assert_complete(tmp_path, DATA, commit)
    assert len(gets(hub)) == 2
    if not reset:  # after a reset, what was on its way is lost
        assert gets(hub) == [(0, 200), (3_000_000, 206)]


def test_killed_and_continued(hub: HubServer, online: dict[str, str], trusted: None, tmp_path: Path) -> None:
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=2_500_000))
    process = start(request(tmp_path, patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled and served(hub))
    wait_until(lambda: size_of(partial(tmp_path, DATA)) >= 2_500_000 - HELD_BYTES)
    process.kill()
    finish(process)
    kept = size_of(partial(tmp_path, DATA))
    hub.behave()
    hub.forget()
    assert finish(start(request(tmp_path, patience=PATIENT)))["event"] == "Finished"
    assert large_bytes(hub) == len(DATA) - kept
    assert_complete(tmp_path, DATA, commit)


def test_a_stranger_is_not_trusted(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    add_model(hub, DATA)
    last = finish(start(request(tmp_path, patience=PATIENT)))
    assert (last["event"], last["kind"]) == ("Failed", "tls")
    assert "cannot be trusted" in last["advice"]["what"]
    assert "SSL_CERT_FILE" in last["advice"]["todo"]
    assert not hub.requests
