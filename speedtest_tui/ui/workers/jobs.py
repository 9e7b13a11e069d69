"""Long work on models as a screen shows it: frozen rows that a background thread hands out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from speedtest_tui.core.convert.convert import Converted


JobKind = Literal["verify", "checksum", "download", "repair", "undo", "trash", "convert"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled", "skipped"]

ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled", "skipped")


@dataclass(frozen=True)
class JobRow:
    """One model, file or step of a job.

    backends: whose models it concerns; the dashboard shows it in their lines
    text: what it is about
    share: from 0 to 1, None where unknown
    figures: "183 of 305 MB, 42 MB/s, 3 s left"
    message: how it ended, with what to do where it failed
    """

    text: str
    state: JobState = "waiting"
    share: float | None = None
    figures: str = ""
    message: str = ""
    backends: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobView:
    """A whole job. `sentence` says how it ended, `problem` whether that deserves attention.

    converted: what came of a conversion that succeeded
    """

    kind: JobKind
    title: str
    rows: tuple[JobRow, ...] = ()
    over: bool = False
    sentence: str = ""
    problem: bool = False
    converted: Converted | None = None


Publish = Callable[[JobView], None]
Job = Callable[[Publish, threading.Event], None]
"""Does all of its work, publishing as it goes; returns early where the event gets set."""
