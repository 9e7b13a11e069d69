"""A headless Chromium driven over its DevTools protocol: as much of it as the tests of `serve` need."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
import pytest
from racing import MARK

CHROME_OF_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"  # on no PATH
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", CHROME_OF_MACOS)

FLAGS = (
    "--headless",
    "--no-sandbox",  # containers run as root and lack the namespaces that the sandbox needs
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1200,800",
)

PATIENCE_S = 60.0
"""How long anything in the browser may take; only reached where something is wrong."""


def chromium() -> str:
    """The browser's program. Without one the test is skipped, and where CI is set it fails."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") and sys.platform != "darwin" else pytest.skip)(
            "no Chromium is installed: apt-get install chromium"
        )
    return program


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Ask until the answer is true or time is up; return the last answer. The event loop runs on meanwhile."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return answer


class Tab:
    """One page. What its web sockets receive is kept, and which addresses it asks for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self._target = ""
        self._received: list[bytes] = []
        self.requested: list[str] = []
        self.errors: list[str] = []

    @property
    def terminal(self) -> str:
        """All that the terminal was sent, escape sequences included."""
        return b"".join(self._received).decode("utf-8", "replace")

    async def open(self, address: str) -> None:
        """Go there; returns when the page has loaded."""
        self._target = (await self._ask("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self._ask("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime", "Log"):
            await self._ask(f"{domain}.enable")
        await self._ask("Page.navigate", url=address)
        await self.holds("document.readyState == 'complete'")

    async def holds(self, script: str) -> None:
        """Wait until a JavaScript expression is true; raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._evaluate(script) is not True:
                await asyncio.sleep(0.05)

    async def _evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return (await self._ask("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def screenshot(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode((await self._ask("Page.captureScreenshot", format="png"))["data"])

    async def press(self, key: str) -> None:
        """Press a key that writes a character, wherever the focus is."""
        for kind, text in (("keyDown", key), ("keyUp", "")):
            await self._ask("Input.dispatchKeyEvent", type=kind, key=key, text=text)

    async def close(self) -> None:
        """Close the tab as a person does."""
        await self._ask("Target.closeTarget", targetId=self._target)

    async def listen(self) -> None:
        """Take in what the browser sends, until it ends."""
        async for message in self._socket:
            data = message.json()
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            else:
                self._note(data["method"], data["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.webSocketFrameReceived" and params["response"]["opcode"] == 2:
            self._received.append(base64.b64decode(params["response"]["payloadData"]))
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requested.append(params["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(str(params["entry"]["text"]))

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {} if self._session is None else {"sessionId": self._session}
        await self._socket.send_json({"id": number, "method": method, "params": params, **session})
        data = await asyncio.wait_for(answer, PATIENCE_S)
        assert "error" not in data, f"{method}: {data}"
        result: dict[str, Any] = data["result"]
        return result


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A browser with an empty profile, and a tab to open something in."""
    profile.mkdir()
    arguments = [chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    unmarked = {name: value for name, value in os.environ.items() if name != MARK}  # it is not of those looked for
    process = subprocess.Popen(arguments, env=unmarked, **silent)
    try:
        door = profile / "DevToolsActivePort"
        assert await until(lambda: door.exists() and door.read_text().count("\n")), "the browser did not start"
        port, path = door.read_text().splitlines()
        async with (
            aiohttp.ClientSession() as client,
            # Screenshots come in one message.
            client.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=64 << 20) as socket,
        ):
            tab = Tab(socket)
            listener = asyncio.create_task(tab.listen())
            yield tab
            listener.cancel()
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pixels(png: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A PNG as an array of shape (height, width, 3)."""
    with av.open(BytesIO(png)) as picture:
        return next(picture.decode(video=0)).to_ndarray(format="rgb24")
