"""However a served dashboard ends, neither it nor a child of its race is left. No browser: a socket does as well."""

from __future__ import annotations

import asyncio
import json
import signal
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
async def connected(served: Served) -> AsyncIterator[Terminal]:
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{served.address}/ws?width=100&height=30", headers={"Origin": served.address}) as socket,
    ):
        terminal = Terminal(socket)
        listener = asyncio.create_task(terminal.listen())
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
