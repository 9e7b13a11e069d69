"""Fetching one file's bytes into its partial file, however often the connection breaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from speedtest_tui.core.download.child import Attempts, Progress
from speedtest_tui.core.download.failures import TRY_LATER, Failure, explain, from_status, portal, wrong_content
from speedtest_tui.core.download.incoming import Algorithm, Content, receive
from speedtest_tui.core.download.request import Patience
from speedtest_tui.core.models.layout import digest_of

if TYPE_CHECKING:
    import httpx2


Answer = TypeVar("Answer")

CONNECT_S = 20.0
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
TAIL = re.compile(r"bytes \*/(\d+)")


@dataclass(frozen=True)
class Wanted:
    """One file to be fetched.

    name: for people; `source` is what failures are about: the repository, or the file's own URL
    size: None where nobody says
    etag: what the blob is named after; where a server names another hash, the file has changed. "" if it has no name
    """

    name: str
    url: str
    source: str
    size: int | None
    algorithm: Algorithm
    digest: str
    etag: str = ""
    headers: Mapping[str, str] | None = None


class EtagChanged(Exception):
    """The server has another file under this name now."""

    def __init__(self, etag: str, size: int | None) -> None:
        super().__init__(etag)
        self.etag, self.size = etag, size


def fetch(
    wanted: Wanted, partial: Path, client: httpx2.Client, patience: Patience, progress: Progress, *, credit: int
) -> None:
    """Return when `partial` holds the whole file, verified and on disk.

    credit: bytes of this file that `progress` has counted already
    Raises Failure (what has come is kept, unless it is wrong), EtagChanged (kept too, but counted no more), OSError.
    """
    with Content(partial, wanted.algorithm, wanted.size) as content:
        if partial.stat().st_size:
            progress.state("checking")
        content.take_up(progress.tick)
        progress.counted(content.length - credit)
        progress.state("fetching")
        restarted = False
        while True:
            _fetch_all(wanted, content, client, patience, progress)
            if content.digest() == wanted.digest and wanted.size in (None, content.length):
                content.sync()
                return
            again = content.continued and not restarted
            _start_over(content, progress)
            if not again:
                partial.unlink(missing_ok=True)
                raise wrong_content(wanted.name)
            restarted = True
            progress.note(f"what there was of {wanted.name} is not right: starting again from its first byte")


def timeouts(patience: Patience) -> httpx2.Timeout:
    """A connection is given up when it brings nothing for `stall_s`, however long the whole takes."""
    import httpx2

    return httpx2.Timeout(patience.stall_s, connect=min(CONNECT_S, patience.stall_s))


def retrying(action: Callable[[], Answer], source: str, patience: Patience, progress: Progress) -> Answer:
    """Ask a server for something short. Raises Failure."""
    attempts = Attempts(patience, progress)
    while True:
        try:
            return action()
        except Exception as error:
            attempts.failed(explain(error, source))


def _fetch_all(wanted: Wanted, content: Content, client: httpx2.Client, patience: Patience, progress: Progress) -> None:
    attempts = Attempts(patience, progress)
    furthest = content.length
    while wanted.size is None or content.length < wanted.size:
        try:
            if _attempt(wanted, content, client, patience, progress):
                return
            raise Failure("cut", f"{wanted.name} ends too early", TRY_LATER, transient=True)
        except EtagChanged:
            progress.counted(-content.length)
            raise
        except Exception as error:
            # A server that can only begin at the first byte and always breaks off would go on for ever.
            if content.length > furthest:
                furthest = content.length
                attempts.progressed()
            attempts.failed(explain(error, wanted.source))


def _attempt(wanted: Wanted, content: Content, client: httpx2.Client, patience: Patience, progress: Progress) -> bool:
    """Fetch what is missing in one go. Returns whether that is all there is, as far as the server says."""
    headers = {**(wanted.headers or {}), "Accept-Encoding": "identity"}
    if content.length:
        headers["Range"] = f"bytes={content.length}-"
    limits = timeouts(patience)
    with client.stream("GET", wanted.url, headers=headers, follow_redirects=True, timeout=limits) as reply:
        if reply.status_code == 416 and content.length:
            return _beyond_the_end(reply, wanted, content, progress)
        _accept(reply, wanted)
        encoded = "Content-Encoding" in reply.headers
        end = _place(reply, wanted, content, encoded, progress)
        try:
            for count in receive(reply, patience.stall_s, content):
                progress.received(count)
                if end is not None and content.length > end:
                    break
        finally:
            content.settle()
    return end is None or content.length >= end


def _accept(reply: httpx2.Response, wanted: Wanted) -> None:
    """Raises Failure for a refusal or a stranger's answer, EtagChanged where it is another file now."""
    hops = (*reply.history, reply)
    if reply.status_code >= 400:
        reply.read()
        if reply.status_code in (401, 403) and reply.url.netloc != hops[0].url.netloc:
            # The address of a large file is only good for a while; the next attempt gets a new one.
            raise Failure("server", f"{reply.url.host} refuses {wanted.name}", TRY_LATER, transient=True)
        if wanted.etag:
            from huggingface_hub import hf_raise_for_status

            hf_raise_for_status(reply)
        raise from_status(reply.status_code, reply.headers, wanted.source)
    ours = not wanted.etag or any("X-Repo-Commit" in hop.headers for hop in hops)
    if reply.status_code not in (200, 206) or (
        reply.headers.get("Content-Type", "").startswith("text/html") and not (wanted.etag and ours)
    ):
        raise portal(wanted.source)
    etag, size = _identity(hops)
    if wanted.etag and digest_of(etag) and etag != wanted.etag:
        raise EtagChanged(etag, size)


def _identity(hops: Sequence[httpx2.Response]) -> tuple[str, int | None]:
    """The hub's own name for the file, and its size; what the CDN behind it calls the file is no hash."""
    for hop in hops:
        etag = hop.headers.get("X-Linked-Etag") or (hop.headers.get("ETag") if "X-Repo-Commit" in hop.headers else "")
        if etag:
            size = hop.headers.get("X-Linked-Size", "")
            return etag.removeprefix("W/").strip('"'), int(size) if size.isdigit() else _length(hop)
    return "", None


def _place(reply: httpx2.Response, wanted: Wanted, content: Content, encoded: bool, progress: Progress) -> int | None:
    """Get ready for the bytes of an answer; returns how many the whole file has. Raises Failure."""
    if content.length and (reply.status_code == 200 or encoded):
        _start_over(content, progress)
        progress.note(f"the server cannot continue {wanted.name}: starting again from its first byte")
        if reply.status_code == 206:
            raise Failure("cut", "the server has compressed a part of the file", TRY_LATER, transient=True)
    length = None if encoded else _length(reply)
    if reply.status_code == 206:
        found = RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != content.length:
            _start_over(content, progress)
            what = f"the server sent another part of {wanted.name} than it was asked for"
            raise Failure("cut", what, TRY_LATER, transient=True)
        content.continued = content.length > 0
    if length is not None and wanted.size is not None and length != wanted.size:
        what = f"{wanted.name} should have {wanted.size:,} bytes and is offered with {length:,}"
        raise Failure("wrong-content", what, TRY_LATER, transient=True)
    return wanted.size if wanted.size is not None else length


def _beyond_the_end(reply: httpx2.Response, wanted: Wanted, content: Content, progress: Progress) -> bool:
    """The server has nothing from where we are: the file is complete, or there is more of it than there should be."""
    found = TAIL.fullmatch(reply.headers.get("Content-Range", ""))
    if found and int(found[1]) == content.length and wanted.size is None:
        return True
    _start_over(content, progress)
    progress.note(f"what there was of {wanted.name} is too long: starting again from its first byte")
    return False


def _length(reply: httpx2.Response) -> int | None:
    """How many bytes the whole file has, of which this may be a part."""
    if reply.status_code == 206:
        found = RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        return int(found[3]) if found and found[3] != "*" else None
    length = reply.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _start_over(content: Content, progress: Progress) -> None:
    progress.counted(-content.length)
    content.restart()
