"""A download's row in a few words, the same on every screen and in the command line's progress."""

from __future__ import annotations

from typing import Protocol

from speedtest_tui.core.caches.amounts import amount, of
from speedtest_tui.core.caches.download.request import DownloadRow

MARKS = {
    "waiting": ("·", ""),
    "resolving": ("▶", "cyan"),
    "checking": ("▶", "cyan"),
    "fetching": ("▶", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
}
"""Glyph and terminal colour of each state; a word always stands beside them."""


def headline(row: DownloadRow) -> str:
    """What a row is doing or how it ended: "fetching weights.npz", "failed: ...", "done, 483 MB"."""
    if row.state == "failed" and row.problem:
        # Where another is fetched in its place, there is nothing for anybody to do.
        return f"{row.problem.what}; {row.note}" if has_stand_in(row) else f"failed: {row.problem}"
    if row.state == "done":
        return f"done, {amount(row.bytes)}" + ("" if row.fetched else ", all of it was there")
    if row.state == "cancelled":
        return "cancelled; what was fetched is kept" if row.fetched else "cancelled"
    if row.state == "resolving":
        return "asking what there is"
    return f"{row.state} {row.file}".rstrip()


def has_stand_in(row: DownloadRow) -> bool:
    """Whether a failed download has another one in its place."""
    return row.state == "failed" and row.request.fallback is not None and bool(row.note)


def titled(row: DownloadRow) -> str:
    """The headline with the model's name before it, which some sentences have already."""
    words = headline(row)
    return words if words.startswith(row.request.name) else f"{row.request.name}: {words}"


class Moving(Protocol):
    """Anything that brings bytes: a download, or a step of a repair. Its speed is None once it has ended."""

    @property
    def bytes(self) -> int: ...
    @property
    def total(self) -> int | None: ...
    @property
    def speed(self) -> float | None: ...
    @property
    def eta_s(self) -> float | None: ...


def progress(row: Moving) -> str:
    """ "37 of 483 MB, 12 MB/s, 37 s left": as much of it as is known."""
    return ", ".join(filter(None, (size(row), speed(row))))


def share(row: Moving) -> float | None:
    """From 0 to 1; None while the whole is unknown."""
    return min(1.0, row.bytes / row.total) if row.total else None


def size(row: Moving) -> str:
    """ "37 of 483 MB"."""
    return of(row.bytes, row.total) if row.total or row.bytes else ""


def speed(row: Moving) -> str:
    """ "12 MB/s, 37 s left"; empty where nothing comes."""
    if row.speed is None:
        return ""
    if row.speed < 1:
        return "nothing comes at the moment"
    left = f", {_left(row.eta_s)} left" if row.eta_s is not None and row.eta_s >= 1 else ""
    return f"{amount(round(row.speed))}/s{left}"


def _left(seconds: float) -> str:
    """Whole seconds: an estimate has no decimals."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
