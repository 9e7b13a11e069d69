"""Sessions on disk made by hand: finished, cancelled and damaged ones, at known times."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import states
from documents import as_json

from speedtest_tui.core import codec

NEWEST = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


def folder_name(hours_ago: int) -> str:
    return f"{NEWEST - datetime.timedelta(hours=hours_ago):%Y%m%dT%H%M%S}"


def write_session(root: Path, hours_ago: int, *, cancelled: bool = False, clip: bool = True, **facts: Any) -> Path:
    """Keep a session below `root`. `facts` replace parts of its document."""
    document = as_json(states.document_of(states.cancelled() if cancelled else states.finished()))
    started = NEWEST - datetime.timedelta(hours=hours_ago)
    document |= {"started": started.isoformat(timespec="seconds"), **facts}
    folder = root / "sessions" / folder_name(hours_ago)
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(codec.document(document), encoding="utf-8")
    if clip:
        (folder / "clip.flac").write_bytes(b"fLaC")
    return folder


def write_damaged(root: Path, hours_ago: int, text: str = "{") -> Path:
    folder = root / "sessions" / folder_name(hours_ago)
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(text, encoding="utf-8")
    return folder
