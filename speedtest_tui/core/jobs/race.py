"""Turning an ended race into a document and keeping it, at once and in the thread that ended it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import host
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.core.sessions import store
from speedtest_tui.core.sessions.document import Document, build


@dataclass(frozen=True)
class Kept:
    """What became of a race: its document, and the folder it is in or, in words, why it is in none."""

    document: Document
    folder: Path | None = None
    problem: str = ""


class Keeper:
    """Made when a race starts; describes the machine as it was then. Call it with the last snapshot."""

    def __init__(self, plan: Plan, clip: Clip, *, save: bool = True) -> None:
        self._plan = plan
        self._clip = clip
        self._save = save
        self._host = host.describe()
        self._started = datetime.datetime.now(datetime.UTC)

    def __call__(self, snapshot: RaceSnapshot) -> Kept:
        """Build the document and save it. Never raises for a disk that refuses: the result must still be shown."""
        document = build(snapshot, self._plan, self._clip, self._host, self._started)
        if not self._save:
            return Kept(document)
        try:
            return Kept(document, store.save(document, self._clip))
        except OSError as error:
            return Kept(document, problem=f"the session could not be saved ({error.strerror or error})")
