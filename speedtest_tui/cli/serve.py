"""`speedtest-tui serve`: the dashboard in a browser. Loopback only, unless a host is given."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import logging
import os
import re
import secrets
import shlex
import socket
import sys

from backends.base import how_to_install
from speedtest_tui.cli.arguments import Parser, add_clip, add_race, describe
from speedtest_tui.cli.console import EXIT_OK, complain
from speedtest_tui.cli.dashboard import check_clip, request
from speedtest_tui.core.errors import UserError

LOOPBACK = "127.0.0.1"

TOKEN = "SPEEDTEST_SERVE_TOKEN"
"""The token, where it is to be the same each time: what stands on a command line, other users of a machine can read."""

WARNING = (
    "warning: anyone who knows the token of {address}, or overhears it (nothing is encrypted), can run this program, "
    "read every file that it can read, and use this machine's microphone"
)


def add_arguments(parser: Parser) -> None:
    describe(parser, "Open the dashboard in a browser.", "serve --demo", "serve --host 0.0.0.0 --port 8080")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s, this machine)")
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port, 0 for any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--token", metavar="TEXT", help=f"what the address ends with (default: {TOKEN}, else a new one each time)"
    )
    parser.add_argument(
        "--limit", type=int, default=8, metavar="N", help="dashboards at the same time (default: %(default)s)"
    )
    add_clip(parser.add_mutually_exclusive_group(), "--audio")
    add_race(parser)


def run(options: argparse.Namespace) -> int:
    """Check everything that a dashboard would complain about, then serve until interrupted."""
    check_clip(options)
    request(options)
    token = _token(options.token)
    if options.limit < 1:
        raise UserError(f"--limit {options.limit} lets nobody in", "give 1 or more")
    try:
        from speedtest_tui.cli.web_server import DashboardServer
    except ImportError as error:
        raise UserError(f"{error.name} is not installed", how_to_install("web")) from None
    listening = listen(options.host, options.port)
    address = url(listening)
    if not ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
        complain(WARNING.format(address=address))
    _log_in_one_line()
    DashboardServer(command(options), options.host, token, options.limit).run(listening, address)
    return EXIT_OK


def _token(given: str | None) -> str:
    """The secret of the printed address. Raises UserError."""
    kept = os.environ.pop(TOKEN, "")  # dashboards and their children have no use for it
    token = kept or secrets.token_urlsafe(24) if given is None else given
    if not re.fullmatch("[A-Za-z0-9._~-]{8,200}", token):
        where = TOKEN if given is None else "--token"
        raise UserError(f"{where} is no token", "give at least 8 letters, digits or . _ ~ -")
    return token


def command(options: argparse.Namespace) -> str:
    """What starts one dashboard, as a shell reads it: textual-serve has one run it for each connection."""
    # -P keeps the working folder off the import path. `exec` leaves no shell between the server and the dashboard.
    words = [sys.executable, "-P", "-m", "speedtest_tui"]
    if options.demo:
        words.append("--demo")
    given = {
        "audio": None if options.audio is None else options.audio.absolute(),
        "size": options.size,
        "backends": options.backends,
        "shortlist": options.shortlist,
        "runs": options.runs,
        "max-wer": options.max_wer,
    }
    words += [f"--{name}={value}" for name, value in given.items() if value is not None]
    words += [f"--model={one}" for one in options.model or ()]
    words += [f"--option={option}" for option in options.option or ()]
    return f"exec {shlex.join(words)}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one. Raises UserError."""
    if not 0 <= port <= 65535:
        raise UserError(f"port {port} does not exist", "choose one from 1 to 65535, or 0 for any that is free")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except (socket.gaierror, UnicodeError):
        raise UserError(f"no host is called {host!r}", "give an address or a name of this machine to --host") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} of {host} is in use", "choose another with --port, or 0 for any") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserError(f"{host} is not an address of this machine", f"leave out --host for {LOOPBACK}") from None
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} needs more rights", "choose one from 1024 on with --port") from None
        raise UserError(f"cannot listen on port {port} of {host}", error.strerror or str(error)) from None


def url(listening: socket.socket) -> str:
    """What to type into a browser."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _OneLine(logging.Handler):
    """Prints what a library logs in the program's own form."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def _log_in_one_line() -> None:
    for name in ("textual-serve", "aiohttp.server"):
        logger = logging.getLogger(name)
        logger.handlers = [_OneLine(logging.WARNING)]
        logger.propagate = False
