"""The words for what is known of a model on disk, shared by scanning, checking, downloading and repairing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.base import Location, ModelSpec
from speedtest_tui.core.models.sizes import Unavailable

CacheName = Literal["hf", "local", "whisper"]
CACHES: tuple[CacheName, ...] = ("hf", "local", "whisper")
"""The columns of every table, in the order in which a model is looked for."""

CACHE_NAMES: dict[CacheName, str] = {"hf": "HF", "local": "local", "whisper": "whisper"}
"""What people read; sentences say "the HF cache"."""

StateName = Literal[
    "complete", "evicted", "partial", "damaged", "broken-link", "wrong-layout", "missing", "not-applicable",
]  # fmt: skip

FaultKind = Literal[
    "missing-file",
    "truncated",  # shorter, or longer, than its own header, its directory or the manifest says
    "corrupt",  # right size, wrong content: its hash is not the one it should have
    "empty",
    "lfs-pointer",
    "broken-link",
    "wrong-layout",  # the weights are there under a name that the backend does not read
    "unreadable",  # permissions, a folder where a file belongs, an I/O error
    "bad-ref",  # refs/main is missing, half-written or names no snapshot
    "evicted",  # in iCloud, and not on this machine
    "escape",  # a name or link that points outside its cache
    "foreign",  # does not belong in this cache
    "orphaned-partial",  # a partial download that nothing will continue
    "stale-lock",
]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file, link or folder.

    path: absolute, of the thing itself (of a snapshot's link, not of the blob behind it)
    detail: a sentence without a full stop that names the file
    name: the file's name inside its repository, where it is one of a model's files
    bytes: its size on disk now
    todo: what a person can do, where neither a repair nor a download can help; else ""
    """

    kind: FaultKind
    path: Path
    detail: str
    name: str = ""
    bytes: int = 0
    todo: str = ""


@dataclass(frozen=True)
class FileState:
    """One file that a model needs, as it is in one cache.

    name: inside the repository; of several accepted names the one that is there, or that the manifest has
    bytes: on disk now, 0 where missing; a partial download counts with what it has
    expected_bytes, sha256, git_sha1: what the manifest, the blob's name or the catalogue say; None or "" where unknown
    """

    name: str
    path: Path
    bytes: int = 0
    expected_bytes: int | None = None
    sha256: str = ""
    git_sha1: str = ""
    fault: Fault | None = None


@dataclass(frozen=True)
class CacheState:
    """One model in one cache.

    bytes: on disk of the files that the model needs, partial downloads included
    expected_bytes: of the same files when complete; None where nothing on disk says
    path: the snapshot folder, plain folder or .pt file, absolute; None where there is nothing
    repository: the folder that holds it in the hub's layout (`models--org--name`), None for other layouts
    revision: commit of a snapshot, first 12 hex of a .pt file's sha256, or ""
    detail: one line for people: "2 of 4 files, 37 of 483 MB", or which file is wrong and why
    """

    state: StateName
    bytes: int = 0
    expected_bytes: int | None = None
    path: Path | None = None
    repository: Path | None = None
    revision: str = ""
    detail: str = ""
    files: tuple[FileState, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def obstacle(self) -> Fault | None:
        """What only a person can put out of the way: a disk that is not there, a folder that may not be read."""
        return next((fault for fault in self.faults if fault.todo), None)


Outcome = Literal["ok", "failed", "gave-up"]


@dataclass(frozen=True)
class Verification:
    """The outcome of loading a model from one place and transcribing a second of tone.

    outcome: "gave-up" where nothing moved any more, which says little of the model
    fingerprint: of the files and of the library versions at that time
    seconds: of the load; 0.0 where it failed
    checked_at: UTC, ISO 8601
    stale: files or libraries have changed since
    """

    outcome: Outcome
    message: str
    path: str
    seconds: float
    fingerprint: str
    checked_at: str
    stale: bool = False

    @property
    def ok(self) -> bool:
        """Whether it loads and transcribes."""
        return self.outcome == "ok"


@dataclass(frozen=True)
class ModelReport:
    """One backend and size: its model and how it stands in each cache.

    size: the first size that means this model; `sizes` has all of them
    location: what a race would load now, or None; of the fallback where only that is usable
    unavailable: why the backend cannot run at all
    options: what the backend is set to, as names and values
    """

    backend: str
    size: str
    spec: ModelSpec | None
    states: tuple[tuple[CacheName, CacheState], ...] = ()
    sizes: tuple[str, ...] = ()
    location: Location | None = None
    verified: Verification | None = None
    fallback: ModelReport | None = None
    unavailable: Unavailable | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def without_model(self) -> bool:
        """Whether the backend could run, but has no model of that size."""
        return self.unavailable is not None and self.unavailable.kind == "no-model"

    @property
    def usable(self) -> bool:
        """Whether a race can load it, be it through the fallback."""
        return self.location is not None

    def state(self, cache: CacheName) -> CacheState:
        """How it stands in one cache."""
        return dict(self.states).get(cache, CacheState("not-applicable"))
