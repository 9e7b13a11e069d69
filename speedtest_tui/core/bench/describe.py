"""A row in a few words, the same on every screen and in the command line's progress."""

from __future__ import annotations

from speedtest_tui.core import figures
from speedtest_tui.core.bench.row import Row

MARKS = {
    "ok": ("✓", "green"),
    "active": ("▶", "cyan"),
    "waiting": ("·", ""),
    "cancelled": ("–", "yellow"),
    "failed": ("✗", "red"),
    "timeout": ("✗", "red"),
    "invalid": ("✗", "red"),
    "unavailable": ("○", "yellow"),
    "missing-model": ("○", "yellow"),
}
"""Glyph and terminal colour for a status, or for being at work or not; a word always stands beside them."""

WORDS = {
    "waiting": "waiting",
    "preparing": "looking for its model",
    "starting": "starting",
    "importing": "importing its library",
    "loading": "loading its model",
    "loaded": "loaded, waiting for its turn",
    "warming": "warming up",
    "resting": "waiting for its turn",
    "ended": "finished",
}


def headline(row: Row, runs: int) -> str:
    """What a row is doing or how it ended: "run 3 of 5", "0.145 s ±0.003", "failed: ..."."""
    if row.status and row.status != "ok":
        return f"{row.status}: {reason(row)}"
    if row.status == "ok" or (row.phase == "ended" and row.runs_s):
        spread = f" {figures.half_width(row.median.low, row.median.high)}" if row.median else ""
        return figures.seconds(row.median_s) + spread
    if row.phase == "running":
        return f"run {len(row.runs_s) + 1} of {runs}"
    if row.phase == "resting" and row.runs_s:
        return f"run {len(row.runs_s)} of {runs} took {figures.seconds(row.runs_s[-1])}"
    return WORDS[row.phase]


def reason(row: Row) -> str:
    """Why a row has no result and what to do about it, as one sentence."""
    if row.error is None:
        return ""
    return f"{row.error.message}: {row.error.hint}" if row.error.hint else row.error.message
