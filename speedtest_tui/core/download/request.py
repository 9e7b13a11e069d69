"""What can be downloaded, and how a download looks from outside while it runs. Imports nothing heavy."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from backends.base import Advice, ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models.status import CacheName
from speedtest_tui.core.process.lines import Message

RowState = Literal["waiting", "contacting", "listing", "checking", "downloading", "done", "failed", "cancelled"]
ENDED: tuple[RowState, ...] = ("done", "failed", "cancelled")

UNREACHABLE = ("network", "proxy", "tls", "settings")
"""Kinds of failures that whatever is asked of the same host next would meet, too."""

OPENAI_ENDPOINT = "SPEEDTEST_OPENAI_ENDPOINT"


def host_of(address: str) -> str:
    """Whom a URL names, with the port and without credentials; "" where it names nobody."""
    try:
        return urlsplit(address).netloc.rpartition("@")[2]
    except ValueError:
        return ""


@dataclass(frozen=True)
class Patience:
    """How long a download keeps trying. Seconds throughout.

    stall_s: without a single byte, after which a connection counts as cut
    attempts: in a row that brought no byte; every byte that arrives begins a new count
    first_wait_s, longest_wait_s: between attempts, doubled each time; a server's own Retry-After goes before
    listing_s: for all answers to what a repository holds; a server that goes on answering is given up then
    lock_s: how long another program may hold a file's lock while its download does not grow
    """

    stall_s: float = 60.0
    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    listing_s: float = 120.0
    lock_s: float = 300.0


@dataclass(frozen=True)
class Request:
    """One model to be downloaded into one cache.

    spec: of kind "hub" or "openai"; its revision may be a commit, a branch, or "" for main
    root: the cache's folder: what `models--org--name` lies in, or the folder of the .pt files
    again: names that are to be downloaded although they are there, because they are damaged
    trash: a folder on the cache's file system that gets what `again` replaces; without one it is gone
    fallback: downloaded instead where the hub does not have this one; `reason` then says so in the second row
    """

    spec: ModelSpec
    cache: CacheName
    root: Path
    again: tuple[str, ...] = ()
    trash: Path | None = None
    patience: Patience = Patience()
    fallback: Request | None = None
    reason: str = ""

    @property
    def source(self) -> str:
        """As in ModelSpec.source."""
        return self.spec.source

    @property
    def is_hub(self) -> bool:
        """Whether it comes from the hub; else from OpenAI's server."""
        return self.spec.kind == "hub"

    @property
    def name(self) -> str:
        """ "org/name" or "large-v3.pt"."""
        return self.source if self.is_hub else self.source.rpartition("/")[2]

    @property
    def host(self) -> str:
        """Who is asked, as people know it."""
        endpoint = os.environ.get("HF_ENDPOINT" if self.is_hub else OPENAI_ENDPOINT, "")
        return host_of(endpoint) or host_of(self.source) or "huggingface.co"


@dataclass(frozen=True)
class DownloadRow:
    """One download at one moment.

    bytes, total: of all files that the model needs, those that were already there included; total None until known
    received: bytes that came over the network since this download began
    speed: bytes a second over the last few seconds, None where nothing has come yet; eta_s: seconds left at that speed
    file: the current one
    note: the last remarkable thing, for people: a retry, a start from zero, whom it waits for
    failure, advice: why it failed: a word for programs (as in `failures`), and a sentence for people
    path, revision: where it lies once it is done
    """

    request: Request
    state: RowState = "waiting"
    bytes: int = 0
    total: int | None = None
    received: int = 0
    speed: float | None = None
    eta_s: float | None = None
    file: str = ""
    note: str = ""
    failure: str = ""
    advice: Advice | None = None
    path: Path | None = None
    revision: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def doing(self) -> str:
        """What its figures do not say by themselves: "contacting huggingface.co", "checking weights.npz"."""
        if self.state == "contacting":
            return f"contacting {self.request.host}"
        if self.state == "listing":
            return f"listing… {self.file}".rstrip()
        return f"checking {self.file}" if self.state == "checking" else ""

    @property
    def has_fallback(self) -> bool:
        """Whether it failed and another one is downloaded in its place."""
        return self.state == "failed" and self.request.fallback is not None and bool(self.note)


@dataclass(frozen=True)
class Step(Message):
    """What a downloading child does now, and with which file; how many are listed so far."""

    state: RowState
    file: str


@dataclass(frozen=True)
class Note(Message):
    """Something that people should see."""

    text: str


@dataclass(frozen=True)
class Figures(Message):
    """As the fields of a DownloadRow."""

    bytes: int
    total: int | None
    received: int
    file: str


@dataclass(frozen=True)
class Finished(Message):
    """Where the model lies."""

    path: Path
    revision: str = ""


MESSAGES = (Step, Note, Figures, Finished)
"""What a downloading child says while it works."""


def request_for(spec: ModelSpec, to: Literal["hf", "local"] = "hf") -> Request | None:
    """What downloads a model, or None for models that come from no server.

    A .pt file goes where OpenAI's own code looks for it, unless it is to be local.
    """
    if spec.kind not in ("hub", "openai") or spec.missing_reason:
        return None
    cache: CacheName = "local" if to == "local" else "whisper" if spec.kind == "openai" else "hf"
    roots = {"hf": locations.hf_cache, "local": locations.local_cache, "whisper": locations.whisper_cache}
    fallback = request_for(spec.fallback, to) if spec.fallback else None
    if fallback:
        fallback = replace(fallback, reason=f"{spec.source} is not on the hub")
    return Request(spec, cache, roots[cache](), fallback=fallback)
