"""Downloading a .pt file from OpenAI's servers: never straight to its final name, and verified before it gets that.

SPEEDTEST_OPENAI_ENDPOINT ("https://mirror.example/path") takes the place of scheme and host, for mirrors and tests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from speedtest_tui.core import disk
from speedtest_tui.core.download import publish
from speedtest_tui.core.download.failures import Failure, from_status, require_room
from speedtest_tui.core.download.network import client, within
from speedtest_tui.core.download.request import OPENAI_ENDPOINT, Request
from speedtest_tui.core.download.transfer import Placed, Progress, RemoteFile, download, has_digest, retrying
from speedtest_tui.core.models.layout import digest_of, is_safe_part, partial_of

if TYPE_CHECKING:
    import httpx2


def address(url: str) -> str:
    """Where a published URL is really asked for."""
    endpoint = os.environ.get(OPENAI_ENDPOINT, "").rstrip("/")
    return endpoint + urlsplit(url).path if endpoint else url


def download_checkpoint(request: Request, progress: Progress) -> Placed:
    """Download a .pt file unless a good one is there. Raises Failure, OSError."""
    name, sha256 = request.name, request.source.split("/")[-2]
    if not is_safe_part(name) or digest_of(sha256) != ("sha256", sha256):
        raise Failure("unsafe", f"{request.source} is not the address of a checkpoint", "please report this")
    target = request.root / name
    partial = partial_of(target)
    progress.file(name)
    request.root.mkdir(parents=True, exist_ok=True)
    lock = request.root / f".{name}.lock"
    with publish.held(lock, lambda: publish.solid_bytes(partial), name, request.patience, progress):
        if target.is_file() and has_digest(target, "sha256", sha256, progress):
            size = target.stat().st_size
            progress.begin(size, size)
            return Placed(target.absolute(), sha256[:12])
        progress.state("contacting")
        url = address(request.source)
        session = client(request.patience)
        size_there = _size(url, session, request, progress)
        # Other programs write straight to the final name: what they left is as good a beginning as ours.
        if request.trash is None and publish.solid_bytes(target) > publish.solid_bytes(partial):
            target.replace(partial)
        have = min(publish.solid_bytes(partial), size_there or 0)
        progress.begin(have, size_there)
        require_room((size_there or 0) - have, request.root)
        file = RemoteFile(name, url, url, size_there, "sha256", sha256)
        download(file, partial, session, request.patience, progress, credit=have)
        publish.discard(target, request.trash)
        partial.replace(target)
        disk.sync_folder(request.root)
    return Placed(target.absolute(), sha256[:12])


def _size(url: str, session: httpx2.Client, request: Request, progress: Progress) -> int | None:
    """Bytes as the server announces them; None where it does not. Raises Failure."""

    def ask() -> int | None:
        reply = within(request.patience.listing_s, lambda: session.head(url, follow_redirects=True), url)
        if reply.status_code >= 400 and reply.status_code not in (405, 501):
            raise from_status(reply.status_code, reply.headers, url)
        length = reply.headers.get("Content-Length", "")
        page = reply.headers.get("Content-Type", "").startswith("text/html")
        return int(length) if length.isdigit() and reply.status_code == 200 and not page else None

    return retrying(ask, url, request.patience, progress)
