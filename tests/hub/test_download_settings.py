"""What the environment says of proxies, certificates and the hub: where it is wrong, the variable is named, and what it
holds without the credentials in it; and a host that cannot be reached is told of once."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from downloading import CONFIG, add_model, fetch, here, point_to, request, weights
from server import HOST, HubServer

from backends.base import ModelSpec
from speedtest_tui.core.download.failures import shown
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import Request

__all__ = ["here"]
DATA = weights(50_000)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def closed_port() -> int:
    with socket.create_server((HOST, 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    "wrong",
    [
        ("ALL_PROXY", "socks5://u:secret@127.0.0.1:1", "settings", "needs the package socksio"),
        ("all_proxy", "socks5h://127.0.0.1:1", "settings", "pip install socksio"),
        ("ALL_PROXY", "socks4://u:secret@127.0.0.1:1", "settings", "no proxy that downloads can use"),
        *((name, "ftp://u:secret@127.0.0.1:1", "settings", "no proxy that") for name in PROXIES),
        *((name, "http://u:secret@127.0.0.1:99999", "settings", "is no address of a proxy") for name in PROXIES),
        ("HTTP_PROXY", "http://u:secret@[::1", "settings", "is no address of a proxy"),
        ("HTTP_PROXY", "http://", "settings", "is no address of a proxy"),
        ("HTTP_PROXY", "u:secret@127.0.0.1:x", "settings", "is no address of a proxy"),
        ("http_proxy", "http://a b:secret@127.0.0.1", "settings", "is no address of a proxy"),
        ("HTTP_PROXY", "http://u:secret@nowhere.invalid:3128", "proxy", "its name cannot be looked up"),
        ("HTTP_PROXY", "http://u:secret@127.0.0.1:{closed}", "proxy", "cannot be reached"),
        ("ALL_PROXY", "u:secret@127.0.0.1:{closed}", "proxy", "cannot be reached"),
        ("SSL_CERT_FILE", "/gone/x.pem", "settings", "cannot be read (No such file"),
        ("SSL_CERT_FILE", "/", "settings", "cannot be read"),
        ("SSL_CERT_FILE", __file__, "settings", "holds no certificates"),
        ("SSLKEYLOGFILE", "/gone/keys", "settings", "cannot be written"),
        ("HF_ENDPOINT", "huggingface.co", "settings", "is no web address"),
        ("HF_ENDPOINT", "htp://u:secret@host", "settings", "is no web address"),
        ("HF_ENDPOINT", "https://", "settings", "is no web address"),
        ("HF_ENDPOINT", "", "settings", "is no web address"),
        ("HF_ENDPOINT", "https://u:secret@[::1", "settings", "is no web address"),
        ("HF_ENDPOINT", "https://host:99999", "settings", "is no web address"),
        ("HF_ENDPOINT", "https://ho st", "settings", "is no web address"),
        ("SPEEDTEST_OPENAI_ENDPOINT", "mirror", "settings", "is no web address"),
        ("HF_HUB_ETAG_TIMEOUT", "soon", "settings", "no number of seconds"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "", "settings", "no number of seconds"),
        ("HF_TOKEN", "hf_\u00fc-secret", "token", "characters that no token has"),
        ("HF_TOKEN", "hf_a secret", "token", "characters that no token has"),
    ],
)
def test_what_is_set_wrongly_is_named(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    name, value, kind, words = wrong
    add_model(hub, DATA)
    value = value.format(closed=closed_port()) if "{" in value else value
    monkeypatch.setenv(name, value)
    log = fetch(request(tmp_path))
    assert (log.kind, words in str(log.failure)) == (kind, True), log.failure
    assert name in str(log.failure)
    assert "secret" not in str(log.failure) + log.notes
    assert kind == "token" or shown(value) in str(log.failure)
    assert "\n" not in str(log.failure)
    assert not hub.requests


@pytest.mark.parametrize(
    "odd",
    [
        ("NO_PROXY", "http://[::1"), ("NO_PROXY", ",,*.x,10.0.0.0/99"), ("REQUESTS_CA_BUNDLE", "/gone"),
        ("CURL_CA_BUNDLE", "/gone"), ("SSL_CERT_DIR", "/gone"), ("HF_HUB_ENABLE_HF_TRANSFER", "1"),
        ("HF_XET_HIGH_PERFORMANCE", "1"), ("FTP_PROXY", "nonsense://"), ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("HTTP_PROXY", ""), ("HF_TOKEN", "  \n"), ("HF_DEBUG", "1"),
    ],
)  # fmt: skip
def test_what_does_not_matter_stops_nothing(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: tuple[str, str]
) -> None:
    add_model(hub, DATA)
    monkeypatch.setenv(*odd)
    assert fetch(request(tmp_path)).failure is None


@pytest.mark.parametrize(
    "said",
    [
        ("HTTP_PROXY", 407, "wants a name and password"),
        ("HTTPS_PROXY", 407, "wants a name and password"),
        ("HTTPS_PROXY", 403, "refuses the connection"),
    ],
)
def test_a_proxy_that_says_no(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[str, int, str]
) -> None:
    name, status, words = said
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    with socket.create_server((HOST, 0)) as proxy:
        monkeypatch.setenv(name, f"http://u:secret@{HOST}:{proxy.getsockname()[1]}")
        endpoint = f"{name.removesuffix('_PROXY').lower()}://hub.invalid"
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        point_to(endpoint, monkeypatch)

        def refuse() -> None:
            connection, _ = proxy.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        log = fetch(request(tmp_path))
    assert (log.kind, words in str(log.failure)) == ("proxy", True), log.failure
    assert name in str(log.failure)
    assert "secret" not in str(log.failure)


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[HubServer]:
    """A hub whose certificate is not to be trusted: from tomorrow on, until yesterday, of another host, of its own."""
    authority, when, name = trustme.CA(), {}, HOST
    if request.param == "tomorrow":
        when = {"not_before": datetime(2200, 1, 1, tzinfo=UTC), "not_after": datetime(2201, 1, 1, tzinfo=UTC)}
    elif request.param == "yesterday":
        when = {"not_before": datetime(2001, 1, 1, tzinfo=UTC), "not_after": datetime(2002, 1, 1, tzinfo=UTC)}
    elif request.param == "other":
        name = "other.example"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **when).configure_cert(context)  # type: ignore[arg-type]
    with HubServer(tls=context) as server, authority.cert_pem.tempfile() as trusted:
        if request.param != "own":
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
        yield server


@pytest.mark.parametrize(
    ("secure", "words"),
    [("tomorrow", "this machine's clock says"), ("yesterday", "this machine's clock says"), ("other", "HF_ENDPOINT ("),
     ("own", "REQUESTS_CA_BUNDLE is not read here: put '/company.pem' into SSL_CERT_FILE")],
    indirect=["secure"],
)  # fmt: skip
def test_a_certificate_that_is_not_trusted(
    secure: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", secure.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/company.pem")
    point_to(secure.url, monkeypatch)
    log = fetch(request(tmp_path))
    assert (log.kind, words in str(log.failure)) == ("tls", True), log.failure


def test_https_to_a_server_that_speaks_http(
    hub: HubServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hub.url.replace("http:", "https:")
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    point_to(endpoint, monkeypatch)
    log = fetch(request(tmp_path))
    assert log.kind == "tls"
    assert f"HF_ENDPOINT ('{endpoint}')" in str(log.failure)


def test_a_host_that_cannot_be_reached_is_told_of_once(
    hub: HubServer, online: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://{HOST}:{closed_port()}")
    checkpoint = hub.add_checkpoint("tiny.pt", CONFIG)
    downloads = Downloads()
    for name in ("org/one", "org/two", "org/three"):
        downloads.add(request(tmp_path / "cache", name))
    downloads.add(Request(ModelSpec("openai", checkpoint), "whisper", tmp_path / "whisper"))
    assert downloads.join(60)
    first, *others, elsewhere = downloads.rows
    assert first.advice
    assert "HF_ENDPOINT" in first.advice.todo
    assert [(row.state, row.failure) for row in (first, *others)] == [("failed", "network")] * 3
    assert {str(row.advice).rpartition(":")[0] for row in others} == {f"not tried, as {HOST}"}
    assert elsewhere.state == "done", "another host has nothing to do with it"
