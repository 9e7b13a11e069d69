"""What can be asked for, and how a download looks from outside while it runs. Imports nothing heavy.

A download's row in a few words, the same on every screen and in the command line's progress.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core import locations
from speedtest_tui.core.format import amount
from speedtest_tui.core.models.status import CacheName

RowState = Literal["waiting", "resolving", "checking", "fetching", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Patience:
    """How long a download keeps trying. Seconds throughout.

    stall_s: without a single byte, after which a connection counts as cut
    attempts: in a row that brought no byte; every byte that arrives begins a new count
    first_wait_s, longest_wait_s: between attempts, doubled each time; a server's own Retry-After goes before
    lock_s: how long another program may hold a file's lock while its download does not grow
    """

    stall_s: float = 60.0
    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    lock_s: float = 300.0


@dataclass(frozen=True)
class Request:
    """One model to be fetched into one cache.

    kind: "hub" or "openai", as of the ModelSpec
    root: the cache's folder: what `models--org--name` lies in, or the folder of the .pt files
    again: names that are to be fetched although they are there, because they are damaged
    trash: a folder on the cache's file system that gets what `again` replaces; without one it is gone
    fallback: fetched instead where the hub does not have this one; `reason` then says so in the second row
    """

    kind: Literal["hub", "openai"]
    source: str
    revision: str
    files: tuple[RequiredFile, ...]
    cache: CacheName
    root: Path
    again: tuple[str, ...] = ()
    trash: Path | None = None
    patience: Patience = Patience()
    fallback: Request | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        """ "org/name" or "large-v3.pt"."""
        return self.source if self.kind == "hub" else self.source.rpartition("/")[2]


@dataclass(frozen=True)
class Problem:
    """Why a download failed: a word for programs, what happened, and what to do."""

    kind: str
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.what}: {self.todo}"


@dataclass(frozen=True)
class DownloadRow:
    """One download at one moment.

    bytes, total: of all files that the model needs, those that were already there included; total None until known
    fetched: bytes that came over the network since this download began
    speed: bytes a second over the last few seconds, None where nothing has come yet; eta_s: seconds left at that speed
    file: the one in hand
    note: the last remarkable thing, for people: a retry, a start from zero, whom it waits for
    path, revision: where it lies once it is done
    """

    request: Request
    state: RowState = "waiting"
    bytes: int = 0
    total: int | None = None
    fetched: int = 0
    speed: float | None = None
    eta_s: float | None = None
    file: str = ""
    note: str = ""
    problem: Problem | None = None
    path: Path | None = None
    revision: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


def request_for(spec: ModelSpec, to: Literal["hf", "local"] = "hf") -> Request | None:
    """What fetches a model, or None for models that come from no server.

    A .pt file goes where OpenAI's own code looks for it, unless it is to be local.
    """
    if spec.kind not in ("hub", "openai") or spec.missing_reason:
        return None
    cache: CacheName = "local" if to == "local" else "whisper" if spec.kind == "openai" else "hf"
    roots = {"hf": locations.hf_cache, "local": locations.local_cache, "whisper": locations.whisper_cache}
    fallback = request_for(spec.fallback, to) if spec.fallback else None
    if fallback:
        fallback = replace(fallback, reason=f"{spec.source} is not on the hub")
    return Request(
        "hub" if spec.kind == "hub" else "openai",
        spec.source,
        spec.revision,
        spec.files,
        cache,
        roots[cache](),
        fallback=fallback,
    )


def to_json(request: Request) -> dict[str, Any]:
    """The fields as JSON takes them; a fallback is the parent's business and never sent."""
    fields = asdict(replace(request, fallback=None))
    return {**fields, "root": str(request.root), "trash": str(request.trash) if request.trash else None}


def from_json(fields: Mapping[str, Any]) -> Request:
    """What `to_json` wrote."""
    return Request(
        **{
            **fields,
            "files": tuple(RequiredFile(tuple(file["names"]), file["sha256"]) for file in fields["files"]),
            "root": Path(fields["root"]),
            "again": tuple(fields["again"]),
            "trash": Path(fields["trash"]) if fields["trash"] else None,
            "patience": Patience(**fields["patience"]),
        }
    )


MARKS = {
    "waiting": ("·", ""),
    "resolving": ("▶", "cyan"),
    "checking": ("▶", "cyan"),
    "fetching": ("▶", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
}
"""Glyph and terminal colour of each state; a word always stands beside them."""


def headline(row: DownloadRow) -> str:
    """What a row is doing or how it ended: "fetching weights.npz", "failed: ...", "done, 483 MB"."""
    if row.state == "failed" and row.problem:
        # Where another is fetched in its place, there is nothing for anybody to do.
        return f"{row.problem.what}; {row.note}" if has_stand_in(row) else f"failed: {row.problem}"
    if row.state == "done":
        return f"done, {amount(row.bytes)}" + ("" if row.fetched else ", all of it was there")
    if row.state == "cancelled":
        return "cancelled; what was fetched is kept" if row.fetched else "cancelled"
    if row.state == "resolving":
        return "asking what there is"
    return f"{row.state} {row.file}".rstrip()


def has_stand_in(row: DownloadRow) -> bool:
    """Whether a failed download has another one in its place."""
    return row.state == "failed" and row.request.fallback is not None and bool(row.note)


def titled(row: DownloadRow) -> str:
    """The headline with the model's name before it, which some sentences have already."""
    words = headline(row)
    return words if words.startswith(row.request.name) else f"{row.request.name}: {words}"
