"""Session documents for tests of saving and exporting, built by the program's own code from rows made by hand."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backends.base import Advice, BackendEntry, Loaded, Location, ModelSpec, Segment, Transcription
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.codec import encode, typed
from speedtest_tui.core.host import Host
from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot, Row, RowError
from speedtest_tui.core.race.verdict import decide, judge
from speedtest_tui.core.sessions import document
from speedtest_tui.core.sessions.document import Document

STARTED = datetime.datetime(2026, 11, 20, 12, 30, 15, tzinfo=datetime.UTC)
HOST = Host("Test chip", 2, 8 << 30, "Test system", "3.11", 0.5)


def clip(name: str = "clip.wav", **facts: Any) -> Clip:
    samples = (np.sin(np.arange(16_000) / 10) / 2).astype(np.float32)
    return Clip(samples, name, reference="hello there", **facts)


def good_row(name: str, runs: tuple[float, ...], text: str = "hello there") -> Row:
    spec = ModelSpec("hub", f"org/{name}", variant="4-bit")
    return replace(
        Row(name, "tiny", "ended"),
        spec=spec,
        location=Location(None, "abc", "hf"),
        loaded=Loaded("cpu", "float16", 4.5, 1000, spec.source, "abc", ("/f",), (("chunk", "20 s"),)),
        import_s=1.0,
        load_s=0.5,
        first_s=0.4,
        runs_s=runs,
        peak_rss=100_000_000,
        device_peak=50_000_000,
        transcription=Transcription(text, (Segment(0.0, 1.0, text),), "en"),
    )


def failed_row(name: str, message: str = "it broke", hint: str = "mend it") -> Row:
    return replace(Row(name, "tiny", "ended"), status="failed", error=RowError("crash", Advice(message, hint)))


def build(*rows: Row, of: Clip | None = None, started: datetime.datetime = STARTED, state: Any = "done") -> Document:
    """The document of a race that ended with these rows."""
    rows = rows or (good_row("a", (0.2, 0.25, 0.3)), good_row("b", (0.1, 0.1, 0.12)), failed_row("c"))
    return document.build(ended(*rows, of=of, state=state), plan_of(*rows), of or clip(), HOST, started)


def plan_of(*rows: Row) -> Plan:
    """The plan of a race of these rows."""
    return Plan(
        candidates([BackendEntry(row.backend, f"m:{row.backend}") for row in rows], "tiny"), runs=3, pulse=False
    )


def ended(*rows: Row, of: Clip | None = None, state: Any = "done") -> RaceSnapshot:
    """The last snapshot of a race that ended with these rows."""
    ranked, found = decide([judge(row, of or clip(), None) for row in rows])
    return RaceSnapshot(ranked, state, verdict=found, notes=("ran on a test",))


def as_json(found: Document) -> dict[str, Any]:
    """The document as a parser of JSON returns it."""
    return dict(json.loads(encode(found)))


def edited(found: Document, edit: Callable[[dict[str, Any]], object]) -> Document:
    """The document after an edit of its JSON."""
    facts = as_json(found)
    edit(facts)
    return typed(Document, facts)
