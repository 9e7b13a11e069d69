"""Every way in which a download can fail, as one sentence and what to do about it. Runs in the downloading child.

What the environment sets wrongly is found before the first request (`check_environment`), or named when a request fails
because of it: always the variable and what it holds, never the credentials in it.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from backends.base import Advice
from speedtest_tui.core import disk
from speedtest_tui.core.download.request import OPENAI_ENDPOINT, host_of

PATIENT_STATUS = (408, 425, 429)
"""Refusals that pass by themselves, as do all of 500 and above."""

MARGIN_BYTES = 64 << 20
"""What must be left afterwards: a file system that is full to the brim troubles everything else on it."""

ELSEWHERE = "choose another place with --to local"
TRY_LATER = "try again later; what was downloaded is kept and resumed"

MOST_WAIT_S = 600.0
"""A server that wants to be left alone for longer is not waited for."""

ENVIRONMENT = "this machine's network settings"
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What other programs read certificates from, and httpx2 does not."""


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
    if isinstance(error, Failure):
        return error
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

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
    if status == 407:
        return _proxy_refuses(host, proxy_of(source if "://" in source else _endpoint()), "407")
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


def check_environment() -> None:
    """Find what would make every request fail, before huggingface_hub reads it. Raises Failure, ImportError."""
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        value = os.environ.get(name)
        if value is not None and not re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
            raise _setting(name, value, "is no number of seconds", "write it as digits")
    for name in ("HF_ENDPOINT", OPENAI_ENDPOINT):
        value = os.environ.get(name, "")
        if (value or (name == "HF_ENDPOINT" and name in os.environ)) and not _is_address(value, ("http", "https")):
            raise _setting(name, value, "is no web address", "write it as https://host")
    for scheme in ("http", "https", "all"):
        if value := getproxies().get(scheme, ""):
            _check_proxy(_named(scheme), value)
    if path := os.environ.get("SSL_CERT_FILE"):
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            what = "holds no certificates" if isinstance(error, ssl.SSLError) else f"cannot be read ({error.args[-1]})"
            raise _setting("SSL_CERT_FILE", path, what, "correct it") from None
    if path := os.environ.get("SSLKEYLOGFILE"):
        try:
            Path(path).open("ab").close()
        except (OSError, ValueError) as error:
            raise _setting("SSLKEYLOGFILE", path, f"cannot be written ({error.args[-1]})", "correct it") from None
    _check_token()


def _check_token() -> None:
    from huggingface_hub import get_token

    try:
        token = get_token() or ""
    except (OSError, ValueError):
        token = "\0"
    if not re.fullmatch("[!-~]*", token):
        given = [name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name)]
        where = given[0] if given else "the file of `hf auth login`"
        todo = "renew it with `hf auth login`" if not given else f"correct or unset {where}"
        raise Failure("token", f"the token in {where} has characters that no token has", todo)


def _check_proxy(name: str, value: str) -> None:
    address = value if "://" in value else f"http://{value}"
    if not re.match("(https?|socks5h?)://", address, re.IGNORECASE):
        raise _setting(name, value, "is no proxy that downloads can use", "write it as http://host:port")
    if not _is_address(address, ("http", "https", "socks5", "socks5h")):
        raise _setting(name, value, "is no address of a proxy", "write it as http://host:port")
    if value.lower().startswith("socks"):
        try:
            import socksio  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            raise _setting(name, value, "needs the package socksio", "pip install socksio") from None


def _is_address(value: str, schemes: tuple[str, ...]) -> bool:
    """Whether an HTTP client can connect to it."""
    import httpx2

    try:
        parts, url = urlsplit(value), httpx2.URL(value)
        port = parts.port
    except (ValueError, httpx2.InvalidURL):
        return False
    return url.scheme in schemes and bool(url.host) and port != 0 and not re.search(r"[\s\0-\x1f\x7f]", value)


def _setting(name: str, value: str, what: str, todo: str) -> Failure:
    unset = "" if name == ENVIRONMENT else f", or unset {name}"
    return Failure("settings", f"{name} holds {shown(value)}, which {what}", f"{todo}{unset}")


def shown(value: str) -> str:
    """A setting without the credentials in it."""
    return repr(re.sub(r"^([^/]*//)?.*@", r"\1***@", value)[:120])


def _named(scheme: str) -> str:
    """Where the proxy of a scheme is set; Python prefers the lower-case name."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), ENVIRONMENT)


def proxy_of(url: str) -> str:
    """ "HTTPS_PROXY ('http://proxy:3128')" where a URL is asked for through a proxy, else ""."""
    proxies, scheme = getproxies(), urlsplit(url).scheme
    key = next((key for key in (scheme, "all") if proxies.get(key)), "")
    if not key or proxy_bypass(host_of(url).partition(":")[0]):
        return ""
    return f"{_named(key)} ({shown(proxies[key])})"


def _transport(error: Exception, source: str) -> Failure:
    import httpx2

    try:
        asked = str(error.request.url)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        asked = source if "://" in source else _endpoint()
    host, proxy = host_of(asked) or _host(source), proxy_of(asked)
    causes = tuple(_causes(error))
    if isinstance(error, httpx2.ProxyError):
        return _proxy_refuses(host, proxy, _brief(error))
    # Once they understand each other, what goes wrong between them is the connection's fault.
    if isinstance(error, httpx2.ConnectError) and any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _untrusted(error, causes, host, proxy)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        reason = "its name cannot be looked up" if unknown else _brief(error)
        if proxy:
            todo = f"check your network and {proxy.partition(' (')[0]}, then try again"
            return Failure("proxy", f"the proxy of {proxy} cannot be reached ({reason})", todo, transient=True)
        todo = f"check your network{_endpoint_too(host)}, then try again"
        return Failure("network", f"{host} cannot be reached ({reason})", todo, transient=True)
    if isinstance(error, httpx2.TimeoutException):
        return Failure("stalled", f"{host} stopped sending data", TRY_LATER, transient=True)
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return Failure("cut", f"the connection to {host} keeps breaking", TRY_LATER, transient=True)
    if isinstance(error, httpx2.TooManyRedirects):
        return portal(source)
    todo = f"check the proxy settings{_endpoint_too(host)}"
    return Failure("network", f"the request to {host} failed ({_brief(error)})", todo)


def _proxy_refuses(host: str, proxy: str, reason: str) -> Failure:
    where = proxy or "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    name = proxy.partition(" (")[0] or "it"
    if "407" in reason:
        todo = f"write {name} as http://name:password@host:port"
        return Failure("proxy", f"the proxy of {where} wants a name and password, or others than these", todo)
    return Failure("proxy", f"the proxy of {where} refuses the connection to {host} ({reason})", f"check {name}")


def _untrusted(error: Exception, causes: tuple[BaseException, ...], host: str, proxy: str) -> Failure:
    """A connection that is not safe: whose fault that is."""
    through = f" through the proxy of {proxy}" if proxy else ""
    code = next((c.verify_code for c in causes if isinstance(c, ssl.SSLCertVerificationError)), 0)
    what = f"the certificate of {host}{through} cannot be trusted ({_brief(error)})"
    if code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        now = time.strftime("%Y-%m-%d %H:%M")
        return Failure("tls", f"{what}; this machine's clock says {now}", "set the clock if that is wrong")
    if code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        return Failure("tls", what, f"check your network{_endpoint_too(host)}; a hotel's may want a login first")
    if not code and "CERTIFICATE" not in str(error):
        what = f"{host}{through} does not speak TLS as it should ({_brief(error)})"
        return Failure("tls", what, f"check your network and the proxy settings{_endpoint_too(host)}")
    given = [f"{name} holds {shown(os.environ[name])}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")
             if os.environ.get(name)][:1]  # fmt: skip
    others = [f"{name} is not read here: put {shown(os.environ[name])} into SSL_CERT_FILE" for name in BUNDLES
              if os.environ.get(name) and not given][:1]  # fmt: skip
    usual = "check this machine's clock and certificates; behind a company's proxy set SSL_CERT_FILE to its own"
    return Failure("tls", what, "; ".join([*given, *others, usual]))


def _endpoint_too(host: str) -> str:
    """ " and HF_ENDPOINT ('https://mirror')" where that is what names a host."""
    for name in ("HF_ENDPOINT", OPENAI_ENDPOINT):
        if host_of(os.environ.get(name, "")) == host:
            return f" and {name} ({shown(os.environ[name])})"
    return ""


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
    try:
        if value.isdecimal():
            return float(value)
        moment = parsedate_tz(value)
        return max(0.0, mktime_tz(moment) - time.time()) if moment else None
    except (ValueError, OverflowError):
        return None


def _endpoint() -> str:
    from huggingface_hub import constants

    return re.sub("//.*@", "//", constants.ENDPOINT)


def _host(source: str) -> str:
    """Who was asked: of a URL its host, of a repository the hub."""
    return host_of(source if "://" in source else _endpoint()) or source
