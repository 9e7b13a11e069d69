"""Connections of the local hub: one thread each, HTTP/1.1 with keep-alive."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from answers import Answer, misbehaved, plain, ranged, redirect
from misbehaviour import REFUSALS, TRANSFERS, ChangedEtag
from record import Request
from routes import Asked, Origin, answer
from sending import Hung, Sender

if TYPE_CHECKING:
    from server import HubServer


class Listener(ThreadingHTTPServer):
    """One origin, served from its own thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, origin: Origin, hub: HubServer, tls: ssl.SSLContext | None = None) -> None:
        super().__init__((host, 0), Connection)
        self.origin, self.hub, self._tls = origin, hub, tls
        self.url = f"{'https' if tls else 'http'}://{host}:{self.server_address[1]}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=f"hub {origin}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the listener and every connection."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; what the two sides have to say about certificates comes with the first request."""
        connection, address = super().get_request()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `close` finds it."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; anything else is, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection: any number of requests, one after the other."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a request of any method."""
        address = urlsplit(self.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        request = Request(
            self.server.origin,
            self.command,
            address.path,
            address.query,
            self.headers.get("Range"),
            token,
            self.headers.get("User-Agent", ""),
        )
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._number = self.server.hub.record.begin(request)
        try:
            self._send(self._answer(request, body), request)
        except Hung as hung:
            self.close_connection = True
            if hung.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # The reader holds the socket open; closed in this order, the client sees a reset and no end.
                self.rfile.close()
                self.connection.close()
        finally:
            self.server.hub.record.change(self._number, ended=True)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, request: Request, body: bytes) -> Answer:
        """The answer without regard to ranges, or what was ordered instead of it."""
        hops = int(parse_qs(request.query).get("hops", ["0"])[0])
        if hops:
            return redirect(f"{request.path}?hops={max(-1, hops - 1)}")
        if "hops=" not in request.query:
            orders = self.server.hub.orders.take(request.method, request.path, REFUSALS)
            if orders:
                return misbehaved(orders[0], request.path)
        asked = Asked(
            request.method, request.path, request.query, request.token, self.server.url, self.server.origin, body
        )
        return answer(self.server.hub.shelf, asked)

    def _send(self, answered: Answer, request: Request) -> None:
        headers = dict(answered.headers)
        if answered.content is not None or "X-Linked-Etag" in headers:
            for order in self.server.hub.orders.take(request.method, request.path, ChangedEtag):
                assert isinstance(order, ChangedEtag)
                name = "X-Linked-Etag" if "X-Linked-Etag" in headers else "ETag"
                headers[name] = f'"{order.etag}"'
        answered = Answer(answered.status, headers, answered.body, answered.content)
        with_bytes = request.method != "HEAD" and answered.status == 200
        orders = self.server.hub.orders.take(request.method, request.path, TRANSFERS) if with_bytes else ()
        if answered.content is not None and with_bytes:
            answered = ranged(answered, self.headers, orders)
        body = answered.body or plain(200, b"", "").body
        assert body is not None
        sender = Sender(
            self.connection, body, orders, self._sent, self.server.hub.record.stall, self.server.hub.released
        )
        announced = None if sender.chunked else sender.announced
        self.server.hub.record.change(self._number, status=answered.status, announced=announced)
        self.send_response(answered.status)
        for name, value in answered.headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if sender.chunked else ("Content-Length", str(announced))))
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.flush()
            sender.send()

    def _sent(self, count: int) -> None:
        self.server.hub.record.change(self._number, sent=count)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `HubServer.requests` is the log."""
