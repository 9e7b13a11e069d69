"""A hub that means harm: it asks for the token elsewhere, answers without end, and puts control characters into all
that it says."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from downloading import CONFIG, HURRIED, fetch, point_to, request

from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import Patience

COMMIT = "1" * 40
TOKEN = "hf_secret"
BRIEF = Patience(stall_s=5, attempts=2, first_wait_s=0.0, longest_wait_s=0.0, listing_s=1.0)
PAYLOAD = "\x1b]52;c;ZXZpbA==\x07\x9b31m\u202e\u200b"
Answer = tuple[int, dict[str, str], bytes | Iterable[bytes]]


@dataclass
class Host:
    """A server of one test: `answers` gets a path with its query; `asked` has what came, with the token."""

    answers: Callable[[str], Answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def host(answers: Callable[[str], Answer]) -> Iterator[Host]:
    """Serve it."""
    made = Host(answers)

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("Authorization", "")))
            status, headers, body = made.answers(self.path)
            with contextlib.suppress(OSError):
                self.send_response(status, headers.get(":reason"))
                for name, value in ((name, value) for name, value in headers.items() if name != ":reason"):
                    self.send_header(name, value)
                length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {"Connection": "close"}
                self.send_header(*next(iter(length.items())))
                self.end_headers()
                if self.command == "HEAD":
                    return
                for part in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(part)
                    self.wfile.flush()
                self.close_connection |= not isinstance(body, bytes)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None: ...

    server = Quiet(("127.0.0.1", 0), Connection)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): text for name, text in headers.items()}, json.dumps(value).encode()


def entry(name: str = "config.json", **fields: object) -> dict[str, object]:
    return {"type": "file", "oid": "a" * 40, "size": len(CONFIG), "path": name, **fields}


def info(**fields: object) -> Answer:
    return as_json({"sha": COMMIT, "siblings": [{"rfilename": "config.json"}], **fields})


@pytest.fixture
def third() -> Iterator[Host]:
    """Somebody else."""
    with host(lambda _: as_json([])) as made:
        yield made


@pytest.fixture
def hostile(online: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A hub whose answers a test gives; whoever asks it has a token."""
    from huggingface_hub.utils import close_session

    with host(lambda _: info()) as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        point_to(made.url, monkeypatch)
        yield made
        close_session()


@pytest.mark.parametrize(
    "link",
    ["http://{third}/p2", "HTTP://{third}/p2", "//{third}/p2", "http://{hub}@{third}/p2", "http://x:y@{hub}/p2",
     "http://127.0.0.1.:{port}/p2", "http://localhost:{port}/p2", "https://{hub}/p2", "ftp://{hub}/p2", "file:///etc/passwd",
     "http://127.1:{port}/p2", "\\\\{third}/p2", "http:{third}/p2", "http://{hub}\\@{third}/p2", "http://[::1/p2",
     "http://[::ffff:127.0.0.1]:{port}/p2"],
)  # fmt: skip
def test_a_list_that_goes_on_elsewhere_is_refused(hostile: Host, third: Host, tmp_path: Path, link: str) -> None:
    hub, port = hostile.url.removeprefix("http://"), hostile.url.rpartition(":")[2]
    link = link.format(hub=hub, third=third.url.removeprefix("http://"), port=port)
    hostile.answers = lambda path: as_json([entry()], Link=f'<{link}>; rel="next"') if "/tree/" in path else info()
    log = fetch(request(tmp_path, patience=BRIEF))
    assert third.asked == []
    assert [path for path, _ in hostile.asked if path.startswith("/p2")] == []
    assert log.kind in ("unsafe", "endless"), log.failure  # some are relative for whoever reads them as RFC 3986 does
    assert "\n" not in str(log.failure)
    assert all(token == f"Bearer {TOKEN}" for _, token in hostile.asked), hostile.asked


@pytest.mark.parametrize("link", ["{url}/p2", "/p2", "{upper}/p2"])
def test_a_list_that_goes_on_at_the_hub_is_followed(hostile: Host, tmp_path: Path, link: str) -> None:
    def answers(path: str) -> Answer:
        if path == "/p2":
            return as_json([entry("other.json")])
        link_ = link.format(url=hostile.url, upper=hostile.url.replace("http", "HTTP"))
        return as_json([entry()], Link=f'<{link_}>; rel="next"') if "/tree/" in path else info()

    hostile.answers = answers
    assert "has no weights" in str(fetch(request(tmp_path)).failure)
    assert ("/p2", f"Bearer {TOKEN}") in hostile.asked


@pytest.mark.parametrize("where", ["/api/models/org/model", "/tree/", "/resolve/"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_token_along(hostile: Host, third: Host, tmp_path: Path, where: str, status: int) -> None:
    weights = entry("weights.npz", lfs={"oid": "b" * 64, "size": 5, "pointerSize": 1})

    def answers(path: str) -> Answer:
        if where in path and ("/tree/" in where or "/tree/" not in path):
            return status, {"Location": f"{third.url}/stolen"}, b""
        return as_json([entry(), weights]) if "/tree/" in path else info()

    hostile.answers = answers
    assert fetch(request(tmp_path)).failure is not None
    assert third.asked
    assert {token for _, token in third.asked} == {""}


def forever(part: Callable[[int], bytes], pause: float = 0.0) -> Iterator[bytes]:
    for number in itertools.count():
        yield part(number)
        time.sleep(pause)


ENDLESS: dict[str, Callable[[str], Answer]] = {
    "link to itself": lambda path: as_json([entry()], Link=f'<{path}>; rel="next"'),
    "pages": lambda path: as_json([entry()], Link=f'<{path.partition("&n=")[0]}&n={time.monotonic_ns()}>; rel="next"'),
    "empty pages": lambda path: as_json([], Link=f'<{path.partition("&n=")[0]}&n={time.monotonic_ns()}>; rel="next"'),
    "body": lambda _: (200, {}, itertools.chain([b"["], forever(lambda _: b" " * 65536))),
    "an entry now and then": lambda _: (200, {}, forever(lambda n: json.dumps(entry(f"{n}")).encode() + b",", 0.1)),
    "files": lambda _: as_json([entry(f"{n}.json") for n in range(100_001)]),
    "packed": lambda _: (200, {"Content-Encoding": "gzip"}, bomb()),
}


def bomb() -> bytes:
    import zlib

    made = zlib.compressobj(wbits=31)
    return b"".join(made.compress(bytes(1 << 20)) for _ in range(100)) + made.flush()


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("where", ["/tree/", "/revision/"])
def test_what_has_no_end_is_given_up(hostile: Host, tmp_path: Path, kind: str, where: str) -> None:
    hostile.answers = lambda path: ENDLESS[kind](path) if where in path else info()
    log = fetch(request(tmp_path, revision="main", patience=BRIEF))
    if where == "/tree/" or kind in ("body", "packed", "an entry now and then"):
        assert log.kind == "endless"
        assert "does not end" in str(log.failure)
    else:
        assert log.kind == "portal"


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500])
def test_bodies_that_nobody_wants_are_not_read_to_their_end(hostile: Host, tmp_path: Path, status: int) -> None:
    headers = {"Location": "/elsewhere", "Content-Encoding": "gzip"}
    hostile.answers = lambda path: (
        (status, headers, forever(lambda _: bytes(65536))) if "/resolve/" in path else
        as_json([entry(), entry("weights.npz")]) if "/tree/" in path else info()
    )  # fmt: skip
    log = fetch(request(tmp_path))
    assert log.failure is not None
    assert len(str(log.failure)) < 300


def test_a_list_is_told_of_and_can_be_cancelled(hostile: Host, tmp_path: Path) -> None:
    slowly = forever(lambda n: json.dumps(entry(f"{n}")).encode() + b",", 0.05)
    hostile.answers = lambda path: (200, {}, slowly) if "/tree/" in path else info()
    listing = threading.Event()
    downloads = Downloads(lambda rows: listing.set() if rows[0].doing.startswith("listing…") else None)
    downloads.add(request(tmp_path / "cache", patience=Patience()))
    assert listing.wait(30)
    downloads.cancel_all()
    assert downloads.join(30)
    assert downloads.rows[0].state == "cancelled"


FIELDS: dict[str, Callable[[str], Answer]] = {
    "file name": lambda path: as_json([entry(f"a{PAYLOAD}.json")]) if "/tree/" in path else info(),
    "type": lambda path: as_json([entry(type=PAYLOAD)]) if "/tree/" in path else info(),
    "oid": lambda path: as_json([entry(oid=PAYLOAD)]) if "/tree/" in path else info(),
    "lfs oid": lambda path: as_json([entry(lfs={"oid": PAYLOAD, "size": 1})]) if "/tree/" in path else info(),
    "xet hash": lambda path: as_json([entry(xetHash=PAYLOAD)]) if "/tree/" in path else info(),
    "size": lambda path: as_json([entry(size=PAYLOAD)]) if "/tree/" in path else info(),
    "negative size": lambda path: as_json([entry(size=-1)]) if "/tree/" in path else info(),
    "huge size": lambda path: as_json([entry(size=1 << 70)]) if "/tree/" in path else info(),
    "link": lambda path: as_json([], Link=f'<http://a{OCTETS}/>; rel="next"') if "/tree/" in path else info(),
    "commit": lambda _: info(sha=PAYLOAD),
    "sibling": lambda path: (404, {}, b"") if "/tree/" in path else info(siblings=[{"rfilename": PAYLOAD}]),
    "error": lambda _: as_json({"error": PAYLOAD}, 418),
    "errors": lambda _: as_json({"errors": [{"message": PAYLOAD}]}, 403),
    "error text": lambda _: (500, {}, PAYLOAD.encode()),
    "error message": lambda _: as_json({}, 400, X_Error_Message=OCTETS, X_Error_Code=OCTETS),
    "disabled": lambda _: as_json({}, 403, X_Error_Message="Access to this resource is disabled." + OCTETS),
    "request id": lambda _: as_json({}, 404, X_Request_Id=OCTETS, X_Error_Code="RepoNotFound"),
    "retry after": lambda _: as_json({}, 429, Retry_After="9" * 400),
    "etag": lambda path: (
        as_json([entry(), entry("weights.npz")]) if "/tree/" in path else
        (200, dict.fromkeys(("ETag", "X-Repo-Commit", "X-Linked-Etag"), OCTETS), CONFIG[::-1]) if "/res" in path else
        info()
    ),
    "entry": lambda path: (
        as_json([entry(), entry("weights.npz")]) if "/tree/" in path else
        as_json({}, 404, X_Error_Code="EntryNotFound", X_Error_Message=OCTETS) if "/resolve/" in path else info()
    ),
    "location": lambda _: (302, {"Location": f"http://a{OCTETS}/"}, b""),
    "reason": lambda _: (200, {"Content-Type": OCTETS}, PAYLOAD.encode()),
}  # fmt: skip
OCTETS = PAYLOAD[:-2].replace("\x07", "\x7f")
"""What a header can carry."""


@pytest.mark.parametrize("name", FIELDS)
def test_nothing_that_a_hub_says_reaches_the_terminal_raw(
    hostile: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from speedtest_tui.cli import main as cli

    monkeypatch.setattr("speedtest_tui.cli.download.Patience", lambda **_: HURRIED)
    hostile.answers = FIELDS[name]
    for command in ("download --timeout 5", "check-models", "repair --apply"):
        code = cli.run([*command.split(), "--backends", "mlx-whisper", "--size", "tiny"])
        assert code != 0 or command.startswith("repair")
        shown = capsys.readouterr()
        for raw in ("\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u200b"):
            assert raw not in shown.out + shown.err, (command, shown)
        assert "Traceback" not in shown.err
        assert TOKEN not in shown.out + shown.err
