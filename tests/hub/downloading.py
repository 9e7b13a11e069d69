"""Running downloads in tests: in this process, where every event can be seen, or in children, that can be killed."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from caches import MLX_CONFIG
from contents import Content
from server import HubServer

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.download.failures import Failure, check_environment, explain
from speedtest_tui.core.download.request import Figures, Note, Patience, Request
from speedtest_tui.core.download.transfer import Progress
from speedtest_tui.core.process.lines import Message

REPOSITORY = "org/model"
FILES = (RequiredFile(("config.json",)), RequiredFile(("weights.safetensors", "weights.npz")))
CONFIG = MLX_CONFIG
HURRIED = Patience(stall_s=0.5, attempts=4, first_wait_s=0.0, longest_wait_s=0.0, lock_s=1.0)
WEIGHTS = 3_000_000


def weights(size: int = WEIGHTS, seed: int = 1) -> bytes:
    """Bytes that no two places of a file have in common."""
    return random.Random(seed).randbytes(size)


def add_model(hub: HubServer, data: bytes | Path, name: str = REPOSITORY, **more: bytes) -> str:
    """Serve a model: a small configuration, large weights, and what else is given. Returns the commit."""
    files = {"config.json": CONFIG, "weights.safetensors": data, **more}
    return hub.add_repo(name, files, lfs={"weights.safetensors"})


def request(root: Path, source: str = REPOSITORY, revision: str = "", **fields: Any) -> Request:
    """A request for it that loses patience soon."""
    spec = ModelSpec("hub", source, FILES, revision)
    return replace(Request(spec, "hf", root, patience=HURRIED), **fields)


@dataclass
class Log:
    """What a download in this process told, and how it ended."""

    path: Path | None = None
    failure: Failure | None = None
    messages: list[Message] = field(default_factory=list)

    @property
    def notes(self) -> str:
        """All remarks."""
        return "\n".join(message.text for message in self.messages if isinstance(message, Note))

    @property
    def last(self) -> Figures:
        """The last figures."""
        return next(message for message in reversed(self.messages) if isinstance(message, Figures))

    @property
    def kind(self) -> str:
        """Of the failure."""
        return self.failure.kind if self.failure else ""


def fetch(wanted: Request, send: Callable[[Message], None] | None = None) -> Log:
    """Download in this process, as the child does."""
    from speedtest_tui.core.download.hub import download_repository
    from speedtest_tui.core.download.openai import download_checkpoint

    log = Log()
    progress = Progress(send or log.messages.append)
    try:
        check_environment()
        placed = (download_repository if wanted.is_hub else download_checkpoint)(wanted, progress)
        log.path = placed.path
        progress.end(placed.path)
    except Exception as error:
        log.failure = explain(error, wanted.source)
    return log


def gets(hub: HubServer, name: str = "weights.safetensors") -> list[tuple[int, int]]:
    """(first byte asked for, status) of every GET for a file that was answered with bytes or refused by the CDN."""
    return [
        (request.start, request.status)
        for request in hub.requests
        if request.method == "GET" and request.path.endswith(name) and request.status not in (302, 0)
    ]


def folder(root: Path, source: str = REPOSITORY) -> Path:
    """Where a repository lies."""
    return root / f"models--{source.replace('/', '--')}"


def partial(root: Path, data: bytes, source: str = REPOSITORY) -> Path:
    """The unfinished download of a large file."""
    return folder(root, source) / "blobs" / f"{hashlib.sha256(data).hexdigest()}.incomplete"


def left_over(root: Path) -> Iterator[Path]:
    """Everything in a cache that is neither a blob, a link, a list nor a ref: nothing should be after a success."""
    for path in root.rglob("*"):
        if path.is_file() and (
            path.suffix in (".incomplete", ".new", ".partial", ".tmp")
            or (path.name[0] == "." and path.name != ".gitattributes")
        ):
            yield path


def assert_complete(root: Path, data: bytes, commit: str, source: str = REPOSITORY) -> None:
    """The layout that huggingface_hub makes, with these contents."""
    place = folder(root, source)
    snapshot = place / "snapshots" / commit
    assert (snapshot / "weights.safetensors").read_bytes() == data
    assert (snapshot / "config.json").read_bytes() == CONFIG
    assert (snapshot / "weights.safetensors").readlink().as_posix() == f"../../blobs/{Content(data, True).etag}"
    assert (snapshot / "config.json").readlink().as_posix() == f"../../blobs/{Content(CONFIG).etag}"
    assert (place / "refs" / "main").read_text() == commit
    assert not list(left_over(root))


def point_to(endpoint: str, patch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does before huggingface_hub is imported."""
    from huggingface_hub import constants

    patch.setattr(constants, "ENDPOINT", endpoint)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def here(online: dict[str, str], hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let huggingface_hub in this process use the hub, whenever it was imported."""
    from huggingface_hub.utils import close_session

    point_to(hub.url, monkeypatch)
    yield
    close_session()


def served(hub: HubServer) -> bool:
    """Whether a part of the large file is being sent."""
    return any(entry.path.startswith("/lfs/") for entry in hub.requests)


def large_bytes(hub: HubServer) -> int:
    """Bytes of large files that the hub has sent, without the words of redirects."""
    return sum(entry.sent for entry in hub.requests if entry.path.startswith("/lfs/"))


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that a file system does not tell."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)
