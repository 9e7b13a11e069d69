"""A race as the JSON object that `run --json` prints and a session keeps: the one form that exports and lists read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backends.base import Transcription
from speedtest_tui import __version__
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.host import Host
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot, Row

SCHEMA = 1

WORDS_KEPT = 1000
"""Words whose times are kept, some six minutes of speech. An hour's would be a megabyte for each backend."""

Document = Mapping[str, Any]
"""A parsed session: what `build` returned, perhaps read back from a file."""


def build(snapshot: RaceSnapshot, plan: Plan, clip: Clip, host: Host, started: datetime.datetime) -> dict[str, Any]:
    """Describe an ended race. Seconds are floats, memory is in megabytes (10^6 bytes), `wer` is a share of 1."""
    return {
        "schema": SCHEMA,
        "program": f"speedtest-tui {__version__}",
        "started": started.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        "state": snapshot.state,
        "clip": {
            "name": clip.name,
            "seconds": round(clip.seconds, 4),
            "sha256": clip.sha256(),
            "reference": clip.reference,
            "warnings": list(clip.warnings),
        },
        "host": asdict(host),
        "plan": {
            "size": plan.size,
            "backends": [entry.name for entry in plan.backends],
            "runs": plan.runs,
            "warmup": plan.warmup,
            "order": snapshot.order,
            "language": plan.language,
            "timeout_s": plan.stall_s,
            "options": [f"{backend}.{name}={value}" for backend, name, value in plan.options],
        },
        "notes": list(snapshot.notes),
        "results": [_result(row) for row in snapshot.rows],
        "verdict": asdict(snapshot.verdict),
    }


def _result(row: Row) -> dict[str, Any]:
    transcription = row.transcription
    return {
        "backend": row.backend,
        "size": row.size,
        "status": row.status,
        "error": asdict(row.error) if row.error else None,
        "version": row.version or None,
        "model": _model(row),
        "device": row.loaded.device if row.loaded else None,
        "options": dict(row.loaded.options) if row.loaded else {},
        "import_s": row.import_s,
        "load_s": row.load_s,
        "first_s": row.first_s,
        "runs_s": list(row.runs_s),
        "median_s": row.median_s,
        "ci95_s": [row.median.low, row.median.high] if row.median else None,
        "rtfx": row.rtfx,
        "rank": row.rank,
        "slower": asdict(row.slower) if row.slower else None,
        "peak_rss_mb": _megabytes(row.peak_rss or None),
        "peak_device_mb": _megabytes(row.device_peak),
        "text": transcription.text if transcription else None,
        "segments": [asdict(segment) for segment in transcription.segments] if transcription else [],
        "words": _words(transcription) if transcription else [],
        "figures": row.figures,
        "language": transcription.language if transcription else None,
        "wer": row.wer,
        "warnings": list(row.warnings),
    }


def _words(transcription: Transcription) -> list[dict[str, Any]]:
    """The words with their times; none at all where there are too many to keep."""
    return [asdict(word) for word in transcription.words] if len(transcription.words) <= WORDS_KEPT else []


def _model(row: Row) -> dict[str, Any] | None:
    """What was to run, as far as it is known; dtype, bits and parameters only where they were observed."""
    if row.spec is None:
        return None
    loaded, location = row.loaded, row.location
    return {
        "source": row.spec.source,
        "revision": (loaded.revision if loaded else location.revision if location else "") or None,
        "path": str(location.path) if location and location.path else None,
        "cache": location.cache if location else None,
        "files": list(loaded.files) if loaded else [],
        "variant": row.spec.variant or None,
        "dtype": loaded.dtype if loaded else None,
        "bits": round(loaded.bits, 2) if loaded and loaded.bits else None,
        "parameters": loaded.parameters if loaded else None,
    }


def _megabytes(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 1)
