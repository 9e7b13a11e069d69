"""How downloads ask a server: the token is for the hub alone, and every answer but a file's own bytes has an end.

All requests, huggingface_hub's own included, pass through one client with two hooks; a redirect is a request like any.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from speedtest_tui import __version__
from speedtest_tui.core.codec import decode
from speedtest_tui.core.download.failures import TRY_LATER, Failure, portal
from speedtest_tui.core.download.request import Patience, host_of

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

CONNECT_S = 20.0

ASIDE_BYTES, ASIDE_S = 64 << 10, 30.0
"""What is read at most of a body that is not wanted: a refusal's, a redirect's."""

ANSWER_BYTES = 64 << 20
"""Of all answers to questions about one repository together; 100,000 files are some 30 MB."""

PACKINGS = ("", "identity", "gzip", "deflate")
"""Content-Encodings that are read. A few bytes of others can become gigabytes in one go."""


def timeouts(patience: Patience) -> httpx2.Timeout:
    """A connection is given up when it brings nothing for `stall_s`, however long the whole takes."""
    import httpx2

    return httpx2.Timeout(patience.stall_s, connect=min(CONNECT_S, patience.stall_s))


def client(patience: Patience) -> httpx2.Client:
    """The client of this download, and from now on of huggingface_hub. Raises ImportError, OSError, ValueError."""
    from huggingface_hub import get_session, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def make() -> httpx2.Client:
        made = default_client_factory()
        made.timeout = timeouts(patience)
        hooks = made.event_hooks
        hooks["request"].append(_keep_token)
        hooks["response"].append(_limit)
        made.event_hooks = hooks
        return made

    set_client_factory(make)
    return get_session()


def hub_headers() -> dict[str, str]:
    """What the hub wants to know of whoever asks, the token included."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    headers: dict[str, str] = build_hf_headers(library_name="speedtest-tui", library_version=__version__)
    return headers


def is_hubs(url: httpx2.URL) -> bool:
    """Whether a URL is the hub's: scheme, host and port are those of HF_ENDPOINT, or the same host's https for http."""
    import httpx2
    from huggingface_hub import constants

    hub = httpx2.URL(constants.ENDPOINT)
    upgraded = (hub.scheme, url.scheme, hub.port, url.port) == ("http", "https", None, None)
    return url.host == hub.host and (upgraded or url.origin == hub.origin)


def _keep_token(request: httpx2.Request) -> None:
    if "Authorization" in request.headers and not is_hubs(request.url):
        del request.headers["Authorization"]


def _limit(reply: httpx2.Response) -> None:
    if reply.status_code >= 300:
        reply.headers.pop("Content-Encoding", None)
        reply.stream = _aside(reply.stream)  # type: ignore[arg-type]


def _aside(stream: httpx2.SyncByteStream) -> httpx2.SyncByteStream:
    """The beginning of a body of which nothing is needed."""
    import httpx2

    class Beginning(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            left, until = ASIDE_BYTES, time.monotonic() + ASIDE_S
            for part in stream:
                yield part[:left]
                left -= len(part)
                if left <= 0 or time.monotonic() > until:
                    return

        def close(self) -> None:
            stream.close()

    return Beginning()


class Questions:
    """Asks the hub what a repository holds, within limits that hold for all answers together."""

    def __init__(self, source: str, patience: Patience, session: httpx2.Client) -> None:
        self._source, self._session, self._timeouts = source, session, timeouts(patience)
        self._left_bytes, self._left_s = ANSWER_BYTES, patience.listing_s

    def ask(self, kind: type[T], url: str) -> tuple[T, str]:
        """An answer, and the address of the next page of it or "". Raises Failure, ValueError, httpx2.HTTPError."""
        since = time.monotonic()
        data, reply = within(self._left_s, lambda: self._body(url), self._source)
        self._left_s -= time.monotonic() - since
        following = reply.links.get("next", {}).get("url", "")
        return decode(kind, data), self._checked(url, following) if following else ""

    def _body(self, url: str) -> tuple[bytes, httpx2.Response]:
        from huggingface_hub import hf_raise_for_status

        headers = {**hub_headers(), "Accept-Encoding": "gzip, deflate"}
        data = bytearray()
        with self._session.stream("GET", url, headers=headers, timeout=self._timeouts, follow_redirects=True) as reply:
            hf_raise_for_status(reply)
            require_packing(reply, self._source)
            for part in reply.iter_bytes():
                data += part
                if len(data) > self._left_bytes:
                    raise endless(self._source)
        self._left_bytes -= len(data)
        return bytes(data), reply

    def _checked(self, page: str, link: str) -> str:
        """Where a page says that the next one is. Raises Failure for somebody else's: the token would be sent there."""
        import httpx2

        with contextlib.suppress(httpx2.InvalidURL, ValueError):
            url = httpx2.URL(urljoin(page, link))
            if is_hubs(url) and not url.userinfo:
                return str(url)
        what = f"the hub's list of {self._source} goes on at another server ({(host_of(link) or link)[:60]!r})"
        raise Failure("unsafe", what, "check HF_ENDPOINT; nothing was asked there, and nothing was downloaded")


def require_packing(reply: httpx2.Response, source: str) -> None:
    """Raises Failure for a body that is packed in a way that was not asked for."""
    if reply.headers.get("Content-Encoding", "").strip().lower() not in PACKINGS:
        raise portal(source)


def endless(source: str) -> Failure:
    """More was listed than any model has."""
    what = f"the hub's list of {source} does not end"
    return Failure("endless", what, "check HF_ENDPOINT, or choose another repository; nothing was downloaded")


def within(seconds: float, action: Callable[[], T], source: str) -> T:
    """What an action returns or raises, or Failure when time is up: then it is left alone, in a thread of its own.

    A server that sends a byte now and then, of headers for example, keeps every time-out of a socket from ending.
    """
    answers: queue.SimpleQueue[tuple[T, None] | tuple[None, Exception]] = queue.SimpleQueue()

    def act() -> None:
        try:
            answers.put((action(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=act, name="asking", daemon=True).start()
    try:
        answer, error = answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise Failure("endless", f"the hub's answer about {source} does not end", TRY_LATER) from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
