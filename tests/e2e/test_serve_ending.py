"""However a served dashboard ends, neither it nor a child of its race is left. No browser: a socket does as well."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from browser import until
from serving import GONE_S, LONG, Served, serving


class Terminal:
    """What a browser would show."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.text = ""

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.text += message.data.decode("utf-8", "replace")

    async def type(self, keys: str) -> None:
        await self.socket.send_json(["stdin", keys])


@asynccontextmanager
async def connected(served: Served, size: str = "width=100&height=30", reading: bool = True) -> AsyncIterator[Terminal]:
    address = f"{served.address}/ws?{size}&token={served.token}"
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, headers={"Origin": served.address}) as socket,
    ):
        terminal = Terminal(socket)
        listener = asyncio.create_task(terminal.listen() if reading else asyncio.sleep(0))
        yield terminal
        await socket.close()
        await listener


def app_of(served: Served) -> psutil.Process:
    """The dashboard's own process."""
    (app,) = psutil.Process(served.process.pid).children()
    return app


async def leave(how: str, served: Served, terminal: Terminal) -> None:
    if how == "q":
        await terminal.type("q")
        assert await until(lambda: "Quitting cancels it" in terminal.text), terminal.text[-2000:]
        await terminal.type("y")
    elif how == "close":
        await terminal.socket.close()
    elif how.startswith("app"):
        app_of(served).send_signal(signal.Signals[how.split()[1]])
    else:
        served.process.send_signal(signal.Signals[how.split()[1]])


@pytest.mark.parametrize(
    "how", ["close", "q", "app SIGTERM", "server SIGTERM", "server SIGINT", "server SIGHUP", "server SIGKILL"]
)
async def test_nothing_is_left_of_a_race(tmp_path: Path, models_dir: Path, mark: str, how: str) -> None:
    with serving(tmp_path, models_dir, mark, *LONG) as served:
        async with connected(served) as terminal:
            assert await until(lambda: "run 2 of 99" in terminal.text), terminal.text[-2000:] + served.errors()
            assert len(served.dashboards()) > 1
            await leave(how, served, terminal)
            assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()
        (session,) = served.sessions()
        assert json.loads(session.read_text())["state"] == "cancelled"
        assert served.errors() == ""
        if how.startswith("server") and how != "server SIGKILL":
            assert served.process.wait(GONE_S) == 0


@pytest.mark.parametrize("how", ["close", "server SIGTERM", "server SIGKILL"])
async def test_nothing_is_left_of_a_dashboard_that_just_starts(
    tmp_path: Path, models_dir: Path, mark: str, how: str
) -> None:
    with serving(tmp_path, models_dir, mark, *LONG) as served:
        async with connected(served) as terminal:
            assert await until(served.dashboards)
            await leave(how, served, terminal)
            assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()


@pytest.mark.parametrize("size", ["width=100000&height=100000", f"width={'9' * 5000}&height=-5", "width=0&height=x"])
async def test_a_giant_terminal_is_made_smaller(tmp_path: Path, models_dir: Path, mark: str, size: str) -> None:
    with serving(tmp_path, models_dir, mark) as served:
        async with connected(served, size) as terminal:
            assert await until(lambda: terminal.text), served.errors()
            environment = app_of(served).environ()
            assert 1 <= int(environment["COLUMNS"]) <= 500
            assert 1 <= int(environment["ROWS"]) <= 200
            for width, height in ((100_000, 100_000), (3000, 3000), (-1, 0), (10**30, 10**30), (True, 2.5)):
                await terminal.socket.send_json(["resize", {"width": width, "height": height}])
            for odd in (
                "[",
                "{}",
                "[]",
                '["resize"]',
                '["resize", {}]',
                '["stdin", 5]',
                "[" * 5000,
                '["stdin", "\\ud800"]',
            ):
                await terminal.socket.send_str(odd)
            await terminal.socket.send_json(["resize", {"width": 100, "height": 30}])
            terminal.text = ""
            assert await until(lambda: "quit" in terminal.text, 60), terminal.text[-2000:]
            assert app_of(served).memory_info().rss < 300e6
        assert await until(lambda: not served.dashboards(), GONE_S), served.dashboards()
        assert served.errors() == ""


def is_blocked(process: psutil.Process) -> bool:
    """Whether it waits in write() for somebody to read its standard output; by what Linux says of its main thread."""
    return Path(f"/proc/{process.pid}/syscall").read_text().startswith("1 0x1 ")


async def test_a_dashboard_that_cannot_leave_is_ended(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark, *LONG) as served:
        async with connected(served):
            assert await until(lambda: len(served.dashboards()) > 1), served.errors()
            app_of(served).suspend()
        assert await until(lambda: not served.dashboards(), 3 * GONE_S), served.dashboards()


@pytest.mark.skipif(sys.platform != "linux", reason="what a process waits for is in Linux's /proc")
@pytest.mark.parametrize("how", ["page gone", "server SIGTERM"])
async def test_a_dashboard_whose_pipe_is_full_ends_in_order(
    tmp_path: Path, models_dir: Path, mark: str, how: str
) -> None:
    """Its page takes nothing, so that it stands still in the middle of a frame; the race's end is kept all the same."""
    with serving(tmp_path, models_dir, mark, *LONG) as served:
        async with connected(served, reading=False) as terminal:
            assert await until(lambda: len(served.dashboards()) > 1), served.errors()
            app = app_of(served)
            for number in range(2000):  # far more than pipe and socket hold
                await terminal.socket.send_json(["resize", {"width": 500 - number % 2, "height": 200}])
                if number % 50 == 49 and (is_blocked(app) and await until(lambda: is_blocked(app), 1.0)):
                    break
            assert await until(lambda: is_blocked(app)), "it never stood still"
            await asyncio.sleep(8)  # the race goes on: of one without a single run nothing would be kept
            if how == "page gone":
                terminal.socket._response.connection.transport.abort()  # type: ignore[union-attr]
            else:
                served.process.send_signal(signal.SIGTERM)
            assert await until(lambda: not served.dashboards(), 3 * GONE_S), served.dashboards()
        (session,) = served.sessions()
        assert json.loads(session.read_text())["state"] == "cancelled"


async def test_there_is_a_limit_to_dashboards(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark, "--limit", "1") as served:
        async with connected(served) as terminal, aiohttp.ClientSession() as client:
            assert await until(lambda: terminal.text), served.errors()
            async with client.get(served.page) as reply:
                assert (reply.status, "1 dashboards already" in await reply.text()) == (503, True)
            async with connected(served) as second:
                assert await until(lambda: "--limit" in second.text)
            assert len(psutil.Process(served.process.pid).children()) == 1
        assert await until(lambda: not served.dashboards(), GONE_S)
        async with connected(served) as terminal:
            assert await until(lambda: "quit" in terminal.text)


async def test_no_page_opens_the_microphone(tmp_path: Path, models_dir: Path, mark: str) -> None:
    with serving(tmp_path, models_dir, mark) as served:
        async with connected(served) as terminal:
            assert await until(lambda: "quit" in terminal.text), terminal.text[-2000:]
            assert not [child.cmdline() for child in app_of(served).children(recursive=True)]
