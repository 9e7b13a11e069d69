"""Bringing one file's bytes into its partial file, however often the connection breaks, and saying how far it is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from speedtest_tui.core.download.failures import (
    MOST_WAIT_S,
    TRY_LATER,
    Failure,
    explain,
    from_status,
    portal,
    wrong_content,
)
from speedtest_tui.core.download.incoming import Content, receive
from speedtest_tui.core.download.network import require_packing, timeouts
from speedtest_tui.core.download.request import Figures, Finished, Note, Patience, RowState, Step
from speedtest_tui.core.models.hashes import Algorithm, HashJob, hash_files
from speedtest_tui.core.models.layout import digest_of
from speedtest_tui.core.process.lines import Message

if TYPE_CHECKING:
    import httpx2


Answer = TypeVar("Answer")

RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
TAIL = re.compile(r"bytes \*/(\d+)")


INTERVAL_S = 0.1


class Progress:
    """Counts bytes and passes them on."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._due = 0.0
        self._total: int | None = None
        self.bytes = self.received_bytes = 0
        self._file = ""

    def begin(self, present: int, total: int | None) -> None:
        """Say what there is to do, in bytes."""
        self.bytes, self._total = present, total
        self._report()

    def grow(self, more: int) -> None:
        """The whole turned out to be larger, or smaller, than was said."""
        self._total = None if self._total is None else self._total + more

    def file(self, name: str) -> None:
        """Another file has its turn."""
        self._file = name

    def state(self, state: RowState) -> None:
        """Another step begins."""
        self._send(Step(state, self._file))

    def note(self, text: str) -> None:
        """Something that people should see."""
        self._send(Note(text))

    def received(self, count: int) -> None:
        """Bytes came over the network and are in the file."""
        self.bytes += count
        self.received_bytes += count
        self.tick()

    def counted(self, count: int) -> None:
        """Bytes that need not come after all, or, below zero, that are lost."""
        self.bytes += count
        self.tick()

    def tick(self) -> None:
        """Report if it is time to."""
        if time.monotonic() >= self._due:
            self._report()

    def end(self, path: Path, revision: str = "") -> None:
        """The last figures, then the end."""
        self._report()
        self._send(Finished(path, revision))

    def _report(self) -> None:
        self._due = time.monotonic() + INTERVAL_S
        self._send(Figures(self.bytes, self._total, self.received_bytes, self._file))


class Attempts:
    """How often something has failed in a row, and how long to wait before the next time."""

    def __init__(self, patience: Patience, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patience, self._progress, self._sleep = patience, progress, sleep
        self._failed = 0

    def progressed(self) -> None:
        """A byte came: the server is there."""
        self._failed = 0

    def failed(self, failure: Failure) -> None:
        """Wait for the next attempt. Raises the failure where there is to be none."""
        self._failed += 1
        if not failure.transient or self._failed >= self._patience.attempts or (failure.wait_s or 0) > MOST_WAIT_S:
            raise failure
        wait = min(self._patience.first_wait_s * 2 ** (self._failed - 1), self._patience.longest_wait_s)
        if failure.wait_s is not None:
            wait = failure.wait_s
        self._progress.note(f"{failure.advice.what}{f': trying again in {wait:.0f} s' if wait >= 1 else ''}")
        self._sleep(wait)


@dataclass(frozen=True)
class RemoteFile:
    """One file to be downloaded.

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


@dataclass(frozen=True)
class Placed:
    """Where a model lies now; `revision` as in CacheState."""

    path: Path
    revision: str


class EtagChanged(Exception):
    """The server has another file under this name now."""

    def __init__(self, etag: str, size: int | None) -> None:
        super().__init__(etag)
        self.etag, self.size = etag, size


def download(
    file: RemoteFile, partial: Path, client: httpx2.Client, patience: Patience, progress: Progress, *, credit: int
) -> None:
    """Return when `partial` holds the whole file, verified and on disk.

    credit: bytes of this file that `progress` has counted already
    Raises Failure (what has come is kept, unless it is wrong), EtagChanged (kept too, but counted no more), OSError.
    """
    with Content(partial, file.algorithm, file.size) as content:
        if partial.stat().st_size:
            progress.state("checking")
        content.take_up(progress.tick)
        progress.counted(content.length - credit)
        progress.state("downloading")
        restarted = False
        while True:
            _download_all(file, content, client, patience, progress)
            if content.digest() == file.digest and file.size in (None, content.length):
                content.sync()
                return
            again = content.continued and not restarted
            _start_over(content, progress)
            if not again:
                partial.unlink(missing_ok=True)
                raise wrong_content(file.name)
            restarted = True
            progress.note(f"the partial {file.name} is damaged: starting again")


def has_digest(path: Path, algorithm: Algorithm, digest: str, progress: Progress) -> bool:
    """Whether a file's content has this hash."""
    progress.state("checking")
    found = hash_files((HashJob(path, algorithm),), lambda _done, _total: progress.tick(), threading.Event())
    return found[path] == digest


def retrying(action: Callable[[], Answer], source: str, patience: Patience, progress: Progress) -> Answer:
    """Ask a server for something short. Raises Failure."""
    attempts = Attempts(patience, progress)
    while True:
        try:
            return action()
        except Exception as error:
            attempts.failed(explain(error, source))


def _download_all(
    file: RemoteFile, content: Content, client: httpx2.Client, patience: Patience, progress: Progress
) -> None:
    attempts = Attempts(patience, progress)
    furthest = content.length
    while file.size is None or content.length < file.size:
        try:
            if _attempt(file, content, client, patience, progress):
                return
            raise Failure("cut", f"{file.name} ended too early", TRY_LATER, transient=True)
        except EtagChanged:
            progress.counted(-content.length)
            raise
        except Exception as error:
            # A server that can only begin at the first byte and always breaks off would do so for ever.
            if content.length > furthest:
                furthest = content.length
                attempts.progressed()
            attempts.failed(explain(error, file.source))


def _attempt(file: RemoteFile, content: Content, client: httpx2.Client, patience: Patience, progress: Progress) -> bool:
    """Ask for what is missing in one go. Returns whether that is all there is, as far as the server says."""
    headers = {**(file.headers or {}), "Accept-Encoding": "identity"}
    if content.length:
        headers["Range"] = f"bytes={content.length}-"
    limits = timeouts(patience)
    with client.stream("GET", file.url, headers=headers, follow_redirects=True, timeout=limits) as reply:
        if reply.status_code == 416 and content.length:
            return _beyond_the_end(reply, file, content, progress)
        _accept(reply, file)
        require_packing(reply, file.source)
        encoded = "Content-Encoding" in reply.headers
        end = _place(reply, file, content, encoded, progress)
        try:
            for count in receive(reply, patience.stall_s, content):
                progress.received(count)
                if end is not None and content.length > end:
                    break
        finally:
            content.settle()
    return end is None or content.length >= end


def _accept(reply: httpx2.Response, file: RemoteFile) -> None:
    """Raises Failure for a refusal or a stranger's answer, EtagChanged where it is another file now."""
    hops = (*reply.history, reply)
    if reply.status_code >= 400:
        reply.read()
        if reply.status_code in (401, 403) and reply.url.netloc != hops[0].url.netloc:
            # The address of a large file is only good for a while; the next attempt gets a new one.
            raise Failure("server", f"{reply.url.host} refuses {file.name}", TRY_LATER, transient=True)
        if file.etag:
            from huggingface_hub import hf_raise_for_status

            hf_raise_for_status(reply)
        raise from_status(reply.status_code, reply.headers, file.source)
    ours = not file.etag or any("X-Repo-Commit" in hop.headers for hop in hops)
    if reply.status_code not in (200, 206) or (
        reply.headers.get("Content-Type", "").startswith("text/html") and not (file.etag and ours)
    ):
        raise portal(file.source)
    etag, size = _identity(hops)
    if file.etag and digest_of(etag) and etag != file.etag:
        raise EtagChanged(etag, size)


def _identity(hops: Sequence[httpx2.Response]) -> tuple[str, int | None]:
    """The hub's own name for the file, and its size; what the CDN behind it calls the file is no hash."""
    for hop in hops:
        etag = hop.headers.get("X-Linked-Etag") or (hop.headers.get("ETag") if "X-Repo-Commit" in hop.headers else "")
        if etag:
            size = hop.headers.get("X-Linked-Size", "")
            return etag.removeprefix("W/").strip('"'), int(size) if size.isdigit() else _length(hop)
    return "", None


def _place(reply: httpx2.Response, file: RemoteFile, content: Content, encoded: bool, progress: Progress) -> int | None:
    """Get ready for the bytes of an answer; returns how many the whole file has. Raises Failure."""
    if content.length and (reply.status_code == 200 or encoded):
        _start_over(content, progress)
        progress.note(f"the server cannot resume {file.name}: starting again")
        if reply.status_code == 206:
            raise Failure("cut", "the server compressed a part of the file", TRY_LATER, transient=True)
    length = None if encoded else _length(reply)
    if reply.status_code == 206:
        found = RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != content.length:
            _start_over(content, progress)
            what = f"the server sent the wrong part of {file.name}"
            raise Failure("cut", what, TRY_LATER, transient=True)
        content.continued = content.length > 0
    if length is not None and file.size is not None and length != file.size:
        what = f"{file.name} should have {file.size:,} bytes, but the server has {length:,}"
        raise Failure("wrong-content", what, TRY_LATER, transient=True)
    return file.size if file.size is not None else length


def _beyond_the_end(reply: httpx2.Response, file: RemoteFile, content: Content, progress: Progress) -> bool:
    """The server has nothing from where we are: the file is complete, or there is more of it than there should be."""
    found = TAIL.fullmatch(reply.headers.get("Content-Range", ""))
    if found and int(found[1]) == content.length and file.size is None:
        return True
    _start_over(content, progress)
    progress.note(f"the partial {file.name} is too long: starting again")
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
