"""Every way in which a download can fail, as one sentence and what to do about it. Runs in the downloading child."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backends.base import Advice
from speedtest_tui.core import disk

PATIENT_STATUS = (408, 425, 429)
"""Refusals that pass by themselves, as do all of 500 and above."""

MARGIN_BYTES = 64 << 20
"""What must be left afterwards: a file system that is full to the brim troubles everything else on it."""

ELSEWHERE = "choose another place with --to local"
TRY_LATER = "try again later; what was downloaded is kept and resumed"


class Failure(Exception):
    """An end of a download, or of one attempt.

    kind: a word for programs
    transient: another attempt may do better
    wait_s: how long the server asked to be left alone
    """

    def __init__(
        self, kind: str, what: str, todo: str, *, transient: bool = False, wait_s: float | None = None
    ) -> None:
        self.kind, self.advice = kind, Advice(what, todo)
        super().__init__(str(self.advice))
        self.transient, self.wait_s = transient, wait_s


def explain(error: Exception, source: str) -> Failure:
    """Say in words what went wrong with `source`, a repository or a file's URL."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, Failure):
        return error
    if isinstance(error, OfflineModeIsEnabled):
        return Failure("offline", "downloads are switched off", "unset HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) first")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, source)
    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
        return _transport(error, source)
    if isinstance(error, ValueError | KeyError | TypeError | AttributeError):
        return portal(source)
    if isinstance(error, OSError):
        return _disk(error)
    return Failure("unexpected", f"{source} cannot be downloaded ({type(error).__name__}: {error})", TRY_LATER)


def portal(source: str) -> Failure:
    """Something answers that is not the server: a network's login page, a wrong HF_ENDPOINT."""
    return Failure(
        "portal",
        f"{_host(source)} answered with something other than a model",
        "log in to this network in a browser if it asks for that, check HF_ENDPOINT, then try again",
    )


def wrong_content(name: str) -> Failure:
    """A file that came whole and is not the right one."""
    return Failure(
        "wrong-content",
        f"{name} was downloaded, but its hash is not the published one, so it was discarded",
        "try again later; if it happens again, tell the publisher",
    )


def require_room(missing: int, place: Path) -> None:
    """Raises Failure where so many bytes do not fit, before the first one comes."""
    left = disk.free(place)
    needed = missing + MARGIN_BYTES
    if missing and left is not None and left < needed:
        what = f"{place} has {left / 1e6:,.0f} MB free, the download needs {needed / 1e6:,.0f} MB"
        raise Failure("space", what, f"free some space, or {ELSEWHERE}")


def _refused(error: Any, source: str) -> Failure:
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        todo = f"ask for access at {_endpoint()}/{source}, then log in with `hf auth login`"
        return Failure("gated", f"{source} is gated: its publisher decides who may download it", todo)
    if isinstance(error, DisabledRepoError):
        return Failure("not-found", f"{source} has been disabled on the hub", "choose another model")
    if isinstance(error, RevisionNotFoundError):
        return Failure("not-found", f"{source} has no such revision", "leave the revision out, or check it")
    if isinstance(error, RemoteEntryNotFoundError):
        file = urlsplit(str(error.response.url)).path.rpartition("/")[2]
        return Failure("not-found", f"{source} does not have {file}", "choose another model or revision")
    if isinstance(error, RepositoryNotFoundError):
        todo = "check the name, or log in with `hf auth login`"
        return Failure("not-found", f"{source} is not on the hub, or is private", todo)
    return from_status(status, error.response.headers, source)


def from_status(status: int, headers: Any, source: str) -> Failure:
    """A refusal by its number alone."""
    host = _host(source)
    if status == 401:
        todo = "renew it with `hf auth login`, or unset HF_TOKEN"
        return Failure("token", f"{host} does not accept your token", todo)
    if status == 403:
        todo = f"look at {_endpoint()}/{source} whether it asks for something, and check your token's rights"
        return Failure("forbidden", f"no permission to download {source}", todo)
    if status in (404, 410):
        return Failure("not-found", f"{source} is not on {host}", "check the name, or choose another model")
    if status == 429:
        wait = _retry_after(headers)
        todo = "try again in a few minutes; logging in with `hf auth login` raises the limit"
        return Failure("rate-limited", f"too many requests to {host}", todo, transient=True, wait_s=wait)
    if status >= 500 or status in PATIENT_STATUS:
        wait = _retry_after(headers)
        return Failure("server", f"{host} has a problem (status {status})", TRY_LATER, transient=True, wait_s=wait)
    return Failure("unexpected", f"{host} refuses {source} with status {status}", TRY_LATER)


def _transport(error: Exception, source: str) -> Failure:
    import httpx2

    host = _host(source)
    if isinstance(error, httpx2.ProxyError):
        todo = "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
        return Failure("proxy", f"the proxy refuses the connection to {host} ({_brief(error)})", todo)
    causes = tuple(_causes(error))
    # Once they understand each other, what goes wrong between them is the connection's fault.
    if isinstance(error, httpx2.ConnectError) and any(isinstance(cause, ssl.SSLError) for cause in causes):
        todo = "check this machine's clock and certificates; behind a company's proxy set SSL_CERT_FILE to its own"
        return Failure("tls", f"the certificate of {host} cannot be trusted ({_brief(error)})", todo)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        reason = "its name cannot be looked up" if unknown else _brief(error)
        todo = "check your network and proxy settings, then try again"
        return Failure("network", f"{host} cannot be reached ({reason})", todo, transient=True)
    if isinstance(error, httpx2.TimeoutException):
        return Failure("stalled", f"{host} stopped sending data", TRY_LATER, transient=True)
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return Failure("cut", f"the connection to {host} keeps breaking", TRY_LATER, transient=True)
    if isinstance(error, httpx2.TooManyRedirects):
        return portal(source)
    todo = "check HF_ENDPOINT and the proxy settings"
    return Failure("network", f"the request to {host} failed ({_brief(error)})", todo)


def _disk(error: OSError) -> Failure:
    kind = {"full": "space", "forbidden": "read-only", "other": "disk"}[disk.refusal(error)]
    advice = disk.advice(error, "the cache", ELSEWHERE)
    return Failure(kind, advice.what, advice.todo)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _retry_after(headers: Any) -> float | None:
    """Seconds; the header is a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    moment = parsedate_tz(value)
    return max(0.0, mktime_tz(moment) - time.time()) if moment else None


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _host(source: str) -> str:
    """Who was asked: of a URL its host, of a repository the hub."""
    return urlsplit(source if "://" in source else _endpoint()).netloc or source
