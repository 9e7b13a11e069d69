"""What a child's event changes in its row. Pure: a row and an event in, a row out."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

from backends.base import Loaded, Segment, Transcription
from speedtest_tui.core.process.lines import Event
from speedtest_tui.core.race.row import Phase, Row

PHASE_OF: dict[str, Phase] = {
    "ready": "starting",
    "importing": "importing",
    "imported": "importing",
    "loading": "loading",
    "loaded": "loaded",
    "warming": "warming",
    "run_started": "running",
    "run_finished": "resting",
    "finished": "ended",
}


def apply(row: Row, event: Event) -> Row:
    """Take an event into a row.

    Raises KeyError, TypeError, ValueError or OverflowError where its fields are not as agreed.
    """
    row = replace(row, phase=PHASE_OF[event.name], since=event.at)
    fields = event.fields
    if event.name == "imported":
        return replace(row, import_s=_seconds(fields))
    if event.name == "loaded":
        loaded = _loaded(fields["facts"])
        row = replace(row, load_s=_seconds(fields), loaded=loaded, warnings=(*row.warnings, *loaded.warnings))
        return _memory(row, fields)
    if event.name == "run_finished":
        return _memory(_run_finished(row, fields), fields)
    return row


def _run_finished(row: Row, fields: dict[str, Any]) -> Row:
    seconds = _seconds(fields)
    transcription = _transcription(fields["transcription"])
    before = row.transcription
    new = [w for w in transcription.warnings if w not in row.warnings]
    if before and before.text != transcription.text:
        changed = "its text differed between runs"
        new += [changed] if changed not in row.warnings else []
    if before and before.invalid:
        # One invalid output is enough to discredit the row, whichever run it came from.
        transcription = replace(transcription, invalid=before.invalid)
    row = replace(row, transcription=transcription, warnings=(*row.warnings, *new))
    if fields["kind"] == "run":
        return replace(row, runs_s=(*row.runs_s, seconds), run_figures=(*row.run_figures, transcription.figures))
    first_s = seconds if row.first_s is None else row.first_s
    return replace(row, first_s=first_s, warmups_done=row.warmups_done + 1)


def _memory(row: Row, fields: dict[str, Any]) -> Row:
    device = fields["device_memory"]["peak"]
    return replace(
        row,
        peak_rss=max(row.peak_rss, int(fields["peak_rss"])),
        device_peak=row.device_peak if device is None else max(row.device_peak or 0, int(device)),
    )


def _seconds(fields: dict[str, Any]) -> float:
    seconds = float(fields["seconds"])
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} seconds")
    return seconds


def _loaded(facts: dict[str, Any]) -> Loaded:
    bits, parameters = facts["bits"], facts["parameters"]
    return Loaded(
        # Libraries give numbers of types of their own, which arrive as text.
        bits=None if bits is None else float(bits),
        parameters=None if parameters is None else int(parameters),
        **{key: str(facts[key]) for key in ("device", "dtype", "source", "revision")},
        files=tuple(map(str, facts["files"])),
        options=tuple((str(key), str(value)) for key, value in facts["options"]),
        warnings=tuple(facts["warnings"]),
    )


def _transcription(fields: dict[str, Any]) -> Transcription:
    if not isinstance(fields["text"], str):
        raise TypeError(f"the text is {fields['text']!r:.60}")
    read = {
        "segments": _segments(fields["segments"]),
        "words": _segments(fields["words"]),
        "warnings": tuple(fields["warnings"]),
        "figures": tuple((str(name), float(value)) for name, value in fields["figures"] if isfinite(value)),
    }
    return Transcription(**{**fields, **read})


def _segments(found: list[dict[str, Any]]) -> tuple[Segment, ...]:
    segments = (Segment(**segment) for segment in found)
    # A time that is no number has no place in JSON, nor on a time line.
    return tuple(segment for segment in segments if isfinite(segment.start) and isfinite(segment.end))
