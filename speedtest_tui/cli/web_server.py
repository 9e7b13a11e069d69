"""textual-serve's server, made safe to leave open on a desk. Needs the extra `web`; imported by `serve` alone.

Whoever lacks the token of the printed address gets nothing, no other site gets in, nothing is loaded from outside, and
nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import re
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import quote

import psutil
from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from speedtest_tui.cli import console
from speedtest_tui.core.codec import encode

END_S = 5.0
"""How long a dashboard may take to leave in order, a cancelled race be kept; then it is killed."""

MOST_COLUMNS, MOST_LINES = 500, 200
"""Of a terminal. A frame of a larger one costs memory without end, and no screen shows it."""

FONT_SIZES = range(8, 65)
MESSAGE_BYTES = 1 << 20
"""Of one message from a page, and of what a dashboard has not read yet: what is typed then is lost."""

READY = b"__GANGLION__\n"
"""What Textual's web driver writes before its first packet."""

WORDS_BYTES = 4096

HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?P<port>:[0-9]{1,5})?")
FONT_SIZE = re.compile(r'(?<=data-font-size=")[^"]*')
NO_TOKEN = "this dashboard wants its token: open the address that `speedtest-tui serve` printed, all of it"
FULL = "there are {limit} dashboards already: close one, or start the server with a higher --limit"

# textual-serve's page asks a font service for the font that is in its own package, has no icon, and would have people
# click on the terminal before it takes keys.
OUTSIDE_FONT = re.compile(r"<link[^>]*fonts\.googleapis[^>]*>")
INSTEAD = """\
<link rel="icon" href="data:,">
    <style>
      @font-face {
        font-family: "Roboto Mono";
        font-weight: 100 700;
        src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf");
      }
    </style>
    <script>
      addEventListener("load", () => {
        // The token is in a cookie now: neither the history nor a bookmark need to have it.
        const address = new URL(location.href);
        address.searchParams.delete("token");
        history.replaceState(null, "", address);
        // The socket must be open by then: the page passes a change of focus on.
        const connected = new MutationObserver(() => {
          if (!document.body.classList.contains("-first-byte")) return;
          connected.disconnect();
          document.querySelector(".xterm-helper-textarea")?.focus();
        });
        connected.observe(document.body, { attributeFilter: ["class"] });
      });
    </script>"""


class Dashboard(AppService):
    """One dashboard's process, with a terminal of a sensible size, and an end."""

    async def start(self, width: int, height: int) -> None:
        """Start it. Raises OSError."""
        await super().start(*clamped(width, height))

    async def set_terminal_size(self, width: int, height: int) -> None:
        """The page has another size."""
        width, height = clamped(width, height)
        await super().set_terminal_size(width, height)

    async def send_bytes(self, data: bytes) -> bool:
        """As textual-serve's, but never waits: one that reads nothing must not keep its page from closing."""
        return self._send(b"D", data)

    async def send_meta(self, data: dict[str, str | int | bool | None]) -> bool:
        """The same for what is no key."""
        return self._send(b"M", encode(data))

    def _send(self, kind: Literal[b"D", b"M"], data: bytes) -> bool:
        with contextlib.suppress(RuntimeError, OSError):
            if self.stdin.transport.get_write_buffer_size() < MESSAGE_BYTES:
                self.stdin.write(self.encode_packet(kind, data))
                return True
        return False

    async def run(self) -> None:
        """Pass on what it shows, until it or its page ends; textual-serve's prints what is on stderr as it is."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._errors = asyncio.create_task(self._read_errors(process.stderr))
        read = process.stdout.readexactly
        takers = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await process.stdout.readuntil(READY)
            while True:
                kind, size = await read(1), int.from_bytes(await read(4), "big")
                await takers[kind](await read(size))

    async def _read_errors(self, stream: asyncio.StreamReader) -> bytes:
        """The end of what it writes to stderr, all of which is read: a full pipe would hold it up."""
        kept = b""
        while data := await stream.read(1 << 16):
            kept = (kept + data)[-WORDS_BYTES:]
        return kept

    async def ended(self) -> None:
        """Returns when it shows nothing any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Ask it to leave, read what it still writes, so that it can, and kill it with its children after END_S."""
        process, task = self._process, self._task
        if process is None or task is None:
            return
        self._task = None
        children: list[psutil.Process] = []
        try:
            async with asyncio.timeout(END_S):
                await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
                await self.send_meta({"type": "quit"})
                task.cancel()
                await asyncio.wait([task])
                while process.stdout and await process.stdout.read(1 << 16):
                    pass
                await process.wait()
                if words := (await self._errors).decode("utf-8", "replace").strip():
                    console.complain(words.splitlines()[-1].removeprefix("speedtest-tui: "))
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(psutil.Error):
                dashboard = psutil.Process(process.pid)
                children = [*dashboard.children(recursive=True), dashboard]
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            await process.wait()


class DashboardServer(Server):
    """Serves one dashboard per browser connection, each a process of its own.

    command: what starts a dashboard, as a shell reads it
    host: the name or address that was asked for; requests under it are answered
    token: what the printed address ends with; limit: how many dashboards there may be at a time
    """

    def __init__(self, command: str, host: str, token: str, limit: int) -> None:
        super().__init__(command, host=host, title="speedtest-tui")
        self._host, self._token, self._limit = host.lower(), token.encode(), limit
        self._names: set[str] = set()
        self._cookie = ""
        self._connections: set[asyncio.Task[object]] = set()

    def run(self, listening: socket.socket, address: str) -> None:
        """Serve on a socket until SIGINT, SIGTERM or SIGHUP; prints the address once it can be opened."""
        self._names = names_of(listening, self._host)
        # Cookies know hosts and no ports.
        self._cookie = f"speedtest-tui-{listening.getsockname()[1]}"

        def announce(_: object) -> None:
            console.say(f"speedtest-tui: {address}/?token={quote(self._token)} (Ctrl-C stops it)")

        web.run_app(self._make_app(), sock=listening, print=announce, access_log=None, shutdown_timeout=1.0)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Closing the terminal's window counts as Ctrl-C; aiohttp handles SIGINT and SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.request_exit)

    async def on_shutdown(self, app: web.Application) -> None:
        """End all dashboards: ask, wait, kill."""
        for connection in self._connections:
            connection.cancel()
        deadline = time.monotonic() + END_S
        while (left := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let nobody near any path but who knows the token, under one of our names, and from a page of our own."""
        host = HOST.fullmatch(request.host.lower())
        # A site may let its own name point at this machine (DNS rebinding).
        if host is None or host["name"] not in self._names:
            raise web.HTTPForbidden(text="this server has another name: open the address that it printed\n")
        # Browsers let any site open a socket to any address: only our own page may.
        if request.headers.get("Origin", own := f"{request.scheme}://{host[0]}").lower() != own:
            raise web.HTTPForbidden(text="a page of another server may not use this program\n")
        given = (request.query.get("token", ""), request.cookies.get(self._cookie, ""))
        if not any(hmac.compare_digest(one.encode("utf-8", "replace"), self._token) for one in given):
            raise web.HTTPForbidden(text=NO_TOKEN + "\n")
        self.public_url = own
        return await handler(request)

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page, under whatever address the browser knows this server by, and all of it from this server."""
        if len(self._connections) >= self._limit:
            return web.Response(status=503, text=FULL.format(limit=self._limit) + "\n")
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)  # what the template's decorator makes of it
        size = min(max(to_int(request.query.get("fontsize", "16"), 16), FONT_SIZES[0]), FONT_SIZES[-1])
        page.text = FONT_SIZE.sub(str(size), OUTSIDE_FONT.sub(INSTEAD, page.text or ""))
        page.headers["Content-Security-Policy"] = (
            "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; connect-src 'self' {self.public_url.replace('http', 'ws', 1)}; "
            "frame-ancestors 'none'"
        )
        page.headers["Referrer-Policy"] = "no-referrer"
        page.headers["Cache-Control"] = "no-store"
        page.set_cookie(self._cookie, self._token.decode(), httponly=True, samesite="Strict")
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One dashboard, which lives until its page goes, or until it ends by itself."""
        page = web.WebSocketResponse(heartbeat=15, max_msg_size=MESSAGE_BYTES)
        task = asyncio.current_task()
        assert task is not None
        full = len(self._connections) >= self._limit
        if not full:
            self._connections.add(task)
        try:
            await page.prepare(request)
            if full:
                await page.send_bytes(f"\r\n {FULL.format(limit=self._limit)}\r\n".encode())
                return page
            await self._show(page, *(to_int(request.query.get(key, ""), 80) for key in ("width", "height")))
        except asyncio.CancelledError:
            await page.close()
        except OSError as error:
            console.complain(f"a dashboard could not be started or shown: {error}")
        finally:
            self._connections.discard(task)
        return page

    async def _show(self, page: web.WebSocketResponse, width: int, height: int) -> None:
        async def close() -> None:
            await page.close()

        dashboard = Dashboard(
            self.command,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        try:
            await dashboard.start(width, height)
            talk = asyncio.create_task(self._process_messages(page, dashboard))
            shown = asyncio.create_task(dashboard.ended())
            await asyncio.wait({talk, shown}, return_when=asyncio.FIRST_COMPLETED)
            for task in (talk, shown):
                task.cancel()
        finally:
            await dashboard.stop()
        await page.close()

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """Pass on what a page says; what it should not say is ignored."""
        async for message in websocket:
            said: object = None
            with contextlib.suppress(ValueError, RecursionError, TypeError):
                said = message.json() if message.type == WSMsgType.TEXT else None
            match said:
                case ["stdin", str(keys)]:
                    await app_service.send_bytes(keys.encode("utf-8", "replace"))
                case ["resize", {"width": int(width), "height": int(height)}]:
                    await app_service.set_terminal_size(width, height)
                case ["ping", data]:
                    await websocket.send_json(["pong", data])
                case ["blur", *_]:
                    await app_service.blur()
                case ["focus", *_]:
                    await app_service.focus()


def clamped(width: int, height: int) -> tuple[int, int]:
    """A terminal's columns and lines, within what is shown anywhere."""
    return min(max(width, 1), MOST_COLUMNS), min(max(height, 1), MOST_LINES)


def names_of(listening: socket.socket, host: str) -> set[str]:
    """What a browser may call a server, in lower case: names and addresses of this machine under which it listens."""
    bound = ipaddress.ip_address(listening.getsockname()[0])
    own = socket.gethostname().lower()
    addresses = {str(bound)}
    if bound.is_unspecified:
        found = (one.address.partition("%")[0] for each in psutil.net_if_addrs().values() for one in each)
        for address in found:
            with contextlib.suppress(ValueError):
                addresses.add(str(ipaddress.ip_address(address)))
    names = {host.strip("[]"), own, f"{own}.local", *addresses}
    if bound.is_loopback or bound.is_unspecified:
        names |= {"localhost", "127.0.0.1", "::1"}
    return {f"[{name}]" if ":" in name else name for name in names}
