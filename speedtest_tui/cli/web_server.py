"""textual-serve's server, made safe to leave open on a desk: no other site gets in, nothing is loaded from outside,
and nothing is left behind. Needs the extra `web`; imported by `serve` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import signal
import socket
import time
from urllib.parse import urlsplit

import psutil
from aiohttp import web
from textual_serve.server import Server

from speedtest_tui.cli import console

END_S = 5.0
"""How long dashboards may take to leave in order, a cancelled race be kept; then they are killed."""

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
        // The socket must be open by then: the page passes a change of focus on.
        const connected = new MutationObserver(() => {
          if (!document.body.classList.contains("-first-byte")) return;
          connected.disconnect();
          document.querySelector(".xterm-helper-textarea")?.focus();
        });
        connected.observe(document.body, { attributeFilter: ["class"] });
      });
    </script>"""


class DashboardServer(Server):
    """Serves one dashboard per browser connection, each a process of its own.

    command: what starts a dashboard, as a shell reads it
    host: the name or address that was asked for; requests under it are answered
    """

    def __init__(self, command: str, host: str) -> None:
        super().__init__(command, host=host, title="speedtest-tui")
        own = socket.gethostname().lower()
        self._names = {"localhost", host.lower(), own, f"{own}.local"}
        self._connections: set[asyncio.Task[object]] = set()

    def run(self, listening: socket.socket, address: str) -> None:
        """Serve on a socket until SIGINT, SIGTERM or SIGHUP; prints the address once it can be opened."""

        def announce(_: object) -> None:
            console.say(f"speedtest-tui: {address} (Ctrl-C stops it)")

        web.run_app(self._make_app(), sock=listening, print=announce, access_log=None, shutdown_timeout=1.0)

    async def on_startup(self, app: web.Application) -> None:
        """Closing the terminal's window counts as Ctrl-C; aiohttp handles SIGINT and SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.request_exit)

    async def on_shutdown(self, app: web.Application) -> None:
        """End all dashboards: ask, wait, kill."""
        for connection in self._connections:
            connection.cancel()  # textual-serve then tells its app to quit
        deadline = time.monotonic() + END_S
        while (left := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page, under whatever address the browser knows this server by, and all of it from this server."""
        self._check_name(request)
        self.public_url = f"{request.scheme}://{request.host}"
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)  # what the template's decorator makes of it
        page.text = OUTSIDE_FONT.sub(INSTEAD, page.text or "")
        page.headers["Content-Security-Policy"] = (
            "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; connect-src 'self' ws://{request.host}; frame-ancestors 'none'"
        )
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One dashboard. Browsers let any site open a socket to any address: only our own page may."""
        self._check_name(request)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f"a page of {origin} may not use this program\n")
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            return await super().handle_websocket(request)
        finally:
            self._connections.discard(task)

    def _check_name(self, request: web.Request) -> None:
        """Refuse names that are not ours: a site may let its own name point at this machine (DNS rebinding)."""
        name = urlsplit(f"//{request.host}").hostname or ""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name)
            return
        if name not in self._names:
            raise web.HTTPForbidden(text=f"this server is not called {name}: start it with --host {name}\n")
