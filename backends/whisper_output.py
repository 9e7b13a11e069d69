"""Reading what the two MLX ports of OpenAI's Whisper return: both keep its dictionary of text and segments."""

from __future__ import annotations

from typing import Any

from backends.base import Segment, Transcription
from backends.text_checks import not_a_number, repetition_loop


def transcription(result: dict[str, Any]) -> Transcription:
    """Turn Whisper's result dictionary into a Transcription, marked invalid where its numbers or text say so.

    A NaN log-probability comes with text such as "!!!!" and no exception: NaN compares false with every threshold, so
    the library's own fallback never starts.
    """
    segments = result.get("segments") or []
    text = str(result.get("text", "")).strip()
    return Transcription(
        text=text,
        segments=tuple(Segment(float(s["start"]), float(s["end"]), str(s["text"]).strip()) for s in segments),
        language=str(result.get("language") or ""),
        invalid=not_a_number(s["avg_logprob"] for s in segments) or repetition_loop(text),
    )
