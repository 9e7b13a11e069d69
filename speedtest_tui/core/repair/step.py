"""What a repair consists of: steps that can be read before they are taken, and what no step can mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core.models.status import CacheName

if TYPE_CHECKING:
    from speedtest_tui.core.download.request import Request


StepKind = Literal[
    "write-ref",  # refs/main is written for the one snapshot that is whole
    "relink",  # a link is made again, to a payload that is on this machine
    "adopt",  # the weights get the name that the backend reads
    "resume",  # what is missing is fetched, continuing partial files
    "fetch",  # a damaged file is fetched again and replaced
    "unpack",  # a built-in model is unpacked again
    "clear-lock",
    "clear-partial",
    "merge",  # of two equal files one becomes a second name of the other
    "copy",
    "move",
    "trash",
]
DOWNLOADS: tuple[StepKind, ...] = ("resume", "fetch")


@dataclass(frozen=True)
class Step:
    """One thing to do.

    what: a sentence without a full stop
    path: what is changed: a file, link or folder, absolute
    root: the cache that `path` must stay in
    target: where a link will lead, or what a copy is to become
    text: the content of a ref
    replaces: files whose present content is to be kept in the trash
    fetch_bytes: to download, 0 where nothing is, None where nothing here says how much
    free_bytes: gained once the trash is emptied
    model: as in ModelSpec.source, or the row's name in a scan
    lock: the hub's lock that is held meanwhile
    optional: offered, and done only when asked for
    """

    kind: StepKind
    what: str
    path: Path
    root: Path
    cache: CacheName
    model: str = ""
    target: Path | None = None
    text: str = ""
    replaces: tuple[Path, ...] = ()
    fetch_bytes: int | None = 0
    free_bytes: int = 0
    lock: Path | None = None
    request: Request | None = field(default=None, compare=False)
    optional: bool = False


@dataclass(frozen=True)
class Note:
    """What no step mends: the sentence, and what a person can do."""

    model: str
    cache: CacheName | None
    sentence: str
    todo: str


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are to be done, and what they leave."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def chosen(self) -> tuple[Step, ...]:
        """The steps that are done without being asked for one by one."""
        return tuple(step for step in self.steps if not step.optional)

    @property
    def offered(self) -> tuple[Step, ...]:
        """The others."""
        return tuple(step for step in self.steps if step.optional)


def bytes_to_fetch(steps: Sequence[Step]) -> tuple[int, bool]:
    """Bytes to download as far as known, and whether that is all."""
    return sum(step.fetch_bytes or 0 for step in steps), all(step.fetch_bytes is not None for step in steps)
