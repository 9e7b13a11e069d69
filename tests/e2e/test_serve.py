"""The dashboard in a real browser, served by the real command."""

from __future__ import annotations

import json
import re
import shlex
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from browser import browser, pixels, until
from racing import MARK, python_path
from serving import GONE_S, LONG, QUICK, Served, serving

from speedtest_tui.cli import main as cli
from speedtest_tui.cli import web_server
from speedtest_tui.cli.serve import command as command_for


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Served]:
    """One server for all tests that open no dashboard."""
    with pytest.MonkeyPatch.context() as patch:
        mark = uuid.uuid4().hex
        patch.setenv(MARK, mark)
        with serving(tmp_path_factory.mktemp("lasting"), models_dir, mark) as served:
            yield served


def fetch(address: str, **headers: str) -> tuple[int, str]:
    """Status and text of a page."""
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def head(address: str, **headers: str) -> int:
    """Status of something that may not be text."""
    with urllib.request.urlopen(
        urllib.request.Request(address, headers=headers, method="HEAD"), timeout=20
    ) as response:
        return int(response.status)


async def test_a_race_in_a_browser(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark, *QUICK) as served:
        async with browser(tmp_path / "profile") as tab:
            await tab.open(served.page)
            assert await until(served.sessions), tab.terminal[-2000:]
            session = json.loads(served.sessions()[0].read_text())
            assert [(row["backend"], row["status"]) for row in session["results"]] == [("pocketsphinx", "ok")]
            sentence = session["verdict"]["sentence"]
            assert await until(lambda: sentence in tab.terminal), tab.terminal[-2000:]

            # The terminal fades in over the welcome page.
            await tab.holds("getComputedStyle(document.querySelector('.textual-terminal')).opacity == 1")
            picture = pixels(await tab.screenshot())
            (tmp_path / "finished.png").write_bytes(await tab.screenshot())
            colours = {tuple(colour) for colour in picture[::3, ::3].reshape(-1, 3).tolist()}
            assert len(colours) > 50, "the page is all but blank"
            # Text everywhere: panes reach over most of the page.
            varied = (picture != picture[:, :1]).any(axis=(1, 2)).mean()
            assert varied > 0.5, f"only {varied:.0%} of the lines show something"

            assert {urlsplit(url).netloc for url in tab.requested if not url.startswith("data:")} == {
                urlsplit(served.address).netloc
            }
            assert tab.errors == []
            assert served.dashboards()
            await tab.close()
            assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()
        assert served.errors() == ""


async def test_keys_are_taken_without_a_click(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark) as served:
        async with browser(tmp_path / "profile") as tab:
            await tab.open(served.page)
            assert await until(lambda: "quit" in tab.terminal), tab.terminal[-2000:]
            await tab.holds("document.activeElement.matches('.xterm-helper-textarea')")
            await tab.press("q")
            assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()
            await tab.holds("document.body.innerText.includes('Session ended')")
            assert tab.errors == []


async def test_closing_the_tab_ends_a_race(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark, *LONG) as served:
        async with browser(tmp_path / "profile") as tab:
            await tab.open(served.page)
            assert await until(lambda: "run 2 of 99" in tab.terminal), tab.terminal[-2000:]
            assert len(served.dashboards()) > 1
            await tab.close()
            assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()
        (session,) = served.sessions()
        assert json.loads(session.read_text())["state"] == "cancelled"


def test_the_page_comes_from_this_server_alone(lasting: Served) -> None:
    status, page = fetch(lasting.page)
    assert status == 200
    assert "speedtest-tui" in page
    links = re.findall(r"""(?:src|href)="([^"]*)"|url\(['"]([^'"]*)""", page)
    assert len(links) > 3
    for link in map("".join, links):
        assert link.startswith(("data:", "/static/", f"{lasting.address}/static/")), link
        assert link.startswith("data:") or head(f"{urljoin(lasting.address, link)}?token={lasting.token}") == 200
    assert not lasting.dashboards()


PATHS = (
    "/",
    "/ws",
    "/static/",
    "/static/css/xterm.css",
    "/download/x",
    "/none",
    "//",
    "/?fontsize=1",
    "/../etc/passwd",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "token", ["", "token=", "token=x", "token={known}x", "token={half}", "TOKEN={known}", "token=%ff"]
)
def test_without_the_token_there_is_nothing(lasting: Served, path: str, token: str) -> None:
    known, joint = lasting.token, "&" if "?" in path else "?"
    asked = f"{path}{joint}{token.format(known=known, half=known[: len(known) // 2])}"
    for cookie in ("", f"speedtest-tui-{urlsplit(lasting.address).port}={known[:-1]}", f"token={known}"):
        status, text = fetch(lasting.address + asked, Cookie=cookie)
        assert (status, "open the address that" in text, text.count("\n")) == (403, True, 1), text
    assert not lasting.dashboards()


def test_the_page_gives_a_cookie_that_is_as_good(lasting: Served) -> None:
    with urllib.request.urlopen(lasting.page, timeout=20) as response:
        given = response.headers["Set-Cookie"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert {part.strip() for part in given.split(";")} >= {"HttpOnly", "SameSite=Strict", "Path=/"}
    cookie = given.partition(";")[0]
    assert lasting.token in cookie
    assert fetch(lasting.address, Cookie=cookie)[0] == 200
    assert head(f"{lasting.address}/static/css/xterm.css", Cookie=cookie) == 200


@pytest.mark.parametrize(
    ("asked", "size"), [("1", 8), ("0", 8), ("-5", 8), ("9" * 999, 64), ("20", 20), ("x", 16), ('"', 16)]
)
def test_the_size_of_letters_is_a_sensible_one(lasting: Served, asked: str, size: int) -> None:
    page = fetch(f"{lasting.page}&fontsize={quote(asked)}")[1]
    assert f'data-font-size="{size}"' in page


HOSTS = """\
rebound.example 8.8.8.8 10.0.0.1:8000 evil.com@127.0.0.1 [::2] 127.0.0.1.evil.com 127.0.0.1;'unsafe-eval'
127.0.0.1"><script> localhost. 127.1 0x7f000001 @ ::1 127.0.0.1:80:80 [::1]:x localhost:8000@evil.com
"""
ORIGINS = """\
http://elsewhere.example null https://{host} http://{host}.evil.com http://evil.com@{host} http://localhost:1 file://
{host}
"""
OTHERS = [*(("Host", value) for value in HOSTS.split()), *(("Origin", value) for value in ORIGINS.split())]


@pytest.mark.parametrize("path", ["/", "/ws", "/static/css/xterm.css"])
@pytest.mark.parametrize("header", OTHERS)
def test_other_sites_are_refused(lasting: Served, path: str, header: tuple[str, str]) -> None:
    name, value = header[0], header[1].format(host=urlsplit(lasting.address).netloc)
    status, text = fetch(f"{lasting.address}{path}?token={lasting.token}", **{name: value})
    assert (status, "another" in text) == (403, True), text
    assert value not in text
    assert not lasting.dashboards()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8000", "[::1]:9"])
def test_its_own_names_are_answered(lasting: Served, host: str) -> None:
    status, page = fetch(lasting.page, Host=host, Origin=f"http://{host}")
    assert (status, f"ws://{host.lower()}/ws" in page) == (200, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--port 99999", "port 99999 does not exist"),
        ("--port {taken}", "port {taken} of 127.0.0.1 is in use"),
        ("--host 203.0.113.9", "203.0.113.9 is not an address of this machine"),
        ("--host no.such.invalid", "no host is called 'no.such.invalid'"),
        ("--token short", "--token is no token"),
        ("--token a&b=12345678", "--token is no token"),
        ("--limit 0", "--limit 0 lets nobody in"),
        ("--audio missing.wav", "missing.wav does not exist"),
        ("--backends whisper-xyz", "no backend is called 'whisper-xyz'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    command: Callable[..., Any], lasting: Served, arguments: str, words: str
) -> None:
    taken = str(urlsplit(lasting.address).port)
    done = command("serve", *arguments.format(taken=taken).split())
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert words.format(taken=taken) in done.stderr
    assert done.stderr.startswith("speedtest-tui: ")
    assert done.stderr.count("\n") == 1


def test_without_the_extra(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "textual_serve.py").write_text("raise ModuleNotFoundError('gone', name='textual_serve')")
    done = command("serve", PYTHONPATH=python_path(tmp_path / "hidden"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("speedtest-tui: textual_serve is not installed: pip install 'speedtest-tui[web]'\n")


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_a_host_that_others_reach_is_warned_of(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, warned: bool
) -> None:
    # Nothing is really served: the socket is closed instead.
    monkeypatch.setattr(web_server.DashboardServer, "run", lambda _self, listening, _address: listening.close())
    assert cli.run(["serve", "--host", host, "--port", "0"]) == 0
    errors = capsys.readouterr().err
    assert errors.count("\n") == warned
    assert ("microphone" in errors) == warned


def test_what_is_served_survives_the_shell(tmp_path: Path) -> None:
    clip = tmp_path / "it's $HOME; `touch x` \"&.wav"
    options = cli.build_parser().parse_args(["serve", "--audio", str(clip), "--size", "tiny", "--runs", "2"])
    words = shlex.split(command_for(options))
    assert words[:5] == ["exec", sys.executable, "-P", "-m", "speedtest_tui"]
    assert words[5:] == [f"--audio={clip}", "--size=tiny", "--runs=2"]


def test_every_option_reaches_the_dashboard(tmp_path: Path) -> None:
    typed = shlex.split(
        f"--audio {tmp_path}/a.wav --size tiny --backends mlx-whisper --runs 2 --max-wer 5.5 "
        "--option canary-mlx.beam=4 --model canary-mlx:nano --shortlist mine"
    )
    parse = cli.build_parser().parse_args
    wanted, served = vars(parse(typed)), parse(["serve", *typed])
    assert vars(parse(shlex.split(command_for(served))[5:])) == wanted
    forgotten = {name for name, value in vars(parse([])).items() if wanted[name] == value}
    assert forgotten == {"demo", "ascii", "command"}, "give it above"


def test_a_token_from_the_environment_is_in_no_process_list(
    tmp_path: Path, models_dir: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDTEST_SERVE_TOKEN", "chosen-by-me")
    with serving(tmp_path, models_dir, mark) as served:
        assert served.token == "chosen-by-me"
        assert fetch(served.page)[0] == 200
    assert "token" not in command_for(cli.build_parser().parse_args(["serve", "--token", "chosen-by-me"]))
