"""What a repair consists of: steps that can be read before they are taken, and what no step can repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backends.base import Advice
from speedtest_tui.core.format import amount
from speedtest_tui.core.models.status import CacheName

if TYPE_CHECKING:
    from speedtest_tui.core.download.request import Request


StepKind = Literal[
    "write-ref",  # refs/main is written for the one snapshot that is whole
    "relink",  # a link is made again, to a payload that is on this machine
    "adopt",  # the weights get the name that the backend reads
    "resume",  # what is missing is downloaded, continuing partial files
    "download",  # a damaged file is downloaded again and replaced
    "unpack",  # a built-in model is unpacked again
    "clear-lock",
    "clear-partial",
    "merge",  # of two equal files one becomes a second name of the other
    "copy",
    "move",
    "trash",
]
DOWNLOADS: tuple[StepKind, ...] = ("resume", "download")
VERBS: dict[StepKind, str] = {
    "write-ref": "point", "relink": "link", "adopt": "link", "clear-lock": "clear", "clear-partial": "clear",
    "trash": "move",
}  # fmt: skip
"""What a step says it does, where that is not its kind."""


@dataclass(frozen=True)
class Step:
    """One thing to do, which is said as verb, part and manner.

    path: what is changed: a file, link or folder, absolute
    root: the cache that `path` must stay in
    model: as in ModelSpec.source, or the row's name in a scan
    part: the part of the model that the step is about; "" for the model itself
    manner: how or why it is done, without the size of a download
    target: where a link will lead, or what a copy is to become
    text: the content of a ref
    replaces: files whose present content is to be kept in the trash
    download_bytes: 0 where nothing is downloaded, None where nothing here says how much
    free_bytes: gained once the trash is emptied
    lock: the hub's lock that is held meanwhile
    optional: offered, and done only when asked for
    """

    kind: StepKind
    path: Path
    root: Path
    cache: CacheName
    model: str = ""
    part: str = ""
    manner: str = ""
    target: Path | None = None
    text: str = ""
    replaces: tuple[Path, ...] = ()
    download_bytes: int | None = 0
    free_bytes: int = 0
    lock: Path | None = None
    request: Request | None = field(default=None, compare=False)
    optional: bool = False

    @property
    def does(self) -> str:
        """What is done, for a line that names the model elsewhere: "download config.json again (3.1 kB)"."""
        return self._said(self.part)

    @property
    def what(self) -> str:
        """The same with the model: "download config.json of org/name again (3.1 kB)"."""
        name = self.model.rpartition("/")[2] if "://" in self.model else self.model
        return self._said(f"{self.part} of {name}" if self.part and name else self.part or name)

    @property
    def titled(self) -> str:
        """The same in fewer letters: "name: download config.json again (3.1 kB)"."""
        return f"{self.short_name}: {self.does}" if self.model else self.does

    @property
    def short_name(self) -> str:
        """The model without its owner, a built-in one without its layout."""
        return self.model.partition("/")[0] if self.kind == "unpack" else self.model.rpartition("/")[2]

    def _said(self, target: str) -> str:
        size = ""
        if self.kind in DOWNLOADS:
            size = "(size unknown)" if self.download_bytes is None else f"({amount(self.download_bytes)})"
        return " ".join(filter(None, (VERBS.get(self.kind, self.kind), target, self.manner, size)))


@dataclass(frozen=True)
class Note:
    """What no step repairs, and what a person can do; `harmless` where nothing has to be done."""

    model: str
    cache: CacheName | None
    advice: Advice
    harmless: bool = False


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
        """The steps that are done only when asked for."""
        return tuple(step for step in self.steps if step.optional)


def bytes_to_download(steps: Sequence[Step]) -> tuple[int, bool]:
    """Bytes as far as known, and whether that is all."""
    return sum(step.download_bytes or 0 for step in steps), all(step.download_bytes is not None for step in steps)
