"""A Hugging Face hub and OpenAI's CDN on loopback, for tests and measurements: see `HubServer`.

Two ports of one process, as large files lie on another origin than the hub in the world, too: a client that sends its
token there is found out. huggingface_hub 2.4 works against it when HF_ENDPOINT is `HubServer.url`.
"""

from __future__ import annotations

import os
import random
import ssl
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from contents import Content, Repository, Source, is_large
from handling import Listener
from misbehaviour import Misbehaviour, Order, Orders
from record import Record, Request
from routes import CHECKPOINTS, Origin, Shelf

HOST = "127.0.0.1"
if sys.platform == "linux":  # where all of 127.0.0.0/8 is this machine
    HOST = f"127.{random.SystemRandom().randrange(1, 255)}.{os.getpid() >> 8 & 255}.{os.getpid() % 254 + 1}"
"""Of this process alone: what another one's test left behind, and still asks, finds no server of ours on its port."""


class HubServer:
    """A hub that serves what it was given, and goes wrong when told to. A context manager.

    url: what HF_ENDPOINT must be
    cdn_url: the other origin, where large files and OpenAI's checkpoints lie
    """

    def __init__(self, same_origin: bool = False, page_size: int = 1000, tls: ssl.SSLContext | None = None) -> None:
        """same_origin: large files lie on the hub's own port; page_size: entries in one page of a listing.

        tls: speak https, with the certificate that this context holds
        """
        self.shelf = Shelf(page_size=page_size)
        self.orders = Orders()
        self.record = Record()
        self.released = threading.Event()
        self._same_origin, self._tls = same_origin, tls
        self._listeners: dict[Origin, Listener] = {}

    def __enter__(self) -> Self:
        for origin in ("hub", "cdn"):
            self._listeners[origin] = Listener(HOST, origin, self, self._tls)
        self.shelf.cdn = self.url if self._same_origin else self.cdn_url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Refuse new connections and end those that there are; may be called twice."""
        self.released.set()
        for listener in self._listeners.values():
            listener.close()

    @property
    def url(self) -> str:
        """HF_ENDPOINT."""
        return self._listeners["hub"].url

    @property
    def cdn_url(self) -> str:
        """The origin of large files and checkpoints; another one than `url`."""
        return self._listeners["cdn"].url

    def add_repo(
        self,
        name: str,
        files: Mapping[str, Source],
        *,
        lfs: Collection[str] = (),
        gated: bool = False,
        private: bool = False,
        commit: str | None = None,
    ) -> str:
        """Serve files as `main` of a repository; its earlier commits are served, too. Returns the commit.

        lfs: the names of large files
        gated: readable by those to whom it was granted: `routes.TOKEN` is, `routes.OTHER_TOKEN` is not
        commit: 40 hex digits to be its name, else one is made from the contents
        """
        repository = self.shelf.repositories.setdefault(name, Repository(name))
        repository.gated, repository.private = gated, private
        return repository.commit(files, lfs, commit)

    def add_folder(self, name: str, folder: Path) -> str:
        """Serve all files below a folder, those that hold weights as large files. Returns the commit."""
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        return self.add_repo(name, files, lfs=set(filter(is_large, files)))

    def add_checkpoint(self, file_name: str, source: Source, sha256: str | None = None) -> str:
        """Serve a file as OpenAI does. Returns its URL, whose last folder is its sha256, or the one that is given."""
        content = Content(source)
        path = f"{CHECKPOINTS}{sha256 or content.sha256}/{file_name}"
        self.shelf.checkpoints[path] = content
        return f"{self.cdn_url}{quote(path)}"

    def misbehave(self, pattern: str, what: Misbehaviour, times: int | None = None, method: str | None = None) -> None:
        """Let requests go wrong whose path ends like `pattern` (a shell pattern), so many times or until `behave()`.

        Paths: `/org/name/resolve/main/model.safetensors`, `/lfs/org/name/<commit>/<sha256>/model.safetensors`,
        `/api/models/org/name/tree/<commit>`, `/main/whisper/models/<sha256>/tiny.pt`. See misbehaviour.py.
        """
        self.orders.add(Order(pattern, what, times, method))

    def behave(self) -> None:
        """Forget all that was ordered; what stalls, goes on."""
        self.orders.clear()
        self.release()

    def release(self) -> None:
        """Let everything go on that stalls now; what stalls later, does."""
        released, self.released = self.released, threading.Event()
        released.set()

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far in the order of their arrival, those under way included."""
        return self.record.requests

    def bytes_sent(self, name: str = "") -> int:
        """Bytes of bodies sent for GET requests whose path ends with `name`."""
        return sum(request.sent for request in self.requests if request.method == "GET" and request.path.endswith(name))

    @property
    def stalled(self) -> int:
        """How many answers have stalled so far."""
        return self.record.stalled

    def wait(self, condition: Callable[[HubServer], object], seconds: float = 30.0) -> bool:
        """Wait until a condition on this server holds, asked whenever something happens. Returns whether it does."""
        return self.record.wait(lambda: bool(condition(self)), seconds)

    def forget(self) -> None:
        """Begin a new log."""
        self.record.clear()
