"""How the state of a model is written, the same in every table: a glyph, a word, and what is worth a glance."""

from __future__ import annotations

from typing import Literal

from speedtest_tui.core import format as figures
from speedtest_tui.core.models.status import CacheState, ModelReport, StateName

Mood = Literal["good", "now", "needs-you", "bad", "quiet"]
"""What a state asks of its reader; a screen has one colour for each, and none of them says anything alone."""

MARKS: dict[StateName, tuple[str, str, Mood]] = {
    "complete": ("✓", "complete", "good"),
    "partial": ("◐", "partial", "needs-you"),
    "damaged": ("✗", "damaged", "bad"),
    "broken-link": ("⚯", "broken link", "bad"),
    "wrong-layout": ("⚯", "wrong layout", "needs-you"),
    "missing": ("–", "missing", "quiet"),
    "not-applicable": ("", "n/a", "quiet"),
}

SHORT: dict[StateName, str] = {"broken-link": "link", "wrong-layout": "layout"}
"""Words for narrow columns."""


def share(state: CacheState) -> float | None:
    """How much of a model is there, from 0 to 1, where that is known."""
    return min(1.0, state.bytes / state.expected_bytes) if state.expected_bytes else None


def short(state: CacheState) -> tuple[str, Mood]:
    """A state in at most nine cells: "✓ 139 MB", "◐ 37 %", "✗ damaged", "–", "n/a"."""
    glyph, word, mood = MARKS[state.state]
    if state.state == "complete":
        return f"{glyph} {figures.megabytes(state.bytes / 1e6)}", mood
    if state.state == "partial":
        return f"{glyph} {figures.percent(share(state)) if state.expected_bytes else word}", mood
    if state.state == "missing":
        return glyph, mood
    return f"{glyph} {SHORT.get(state.state, word)}".strip(), mood


def long(state: CacheState) -> tuple[str, Mood]:
    """Glyph and word, with the share of a partial one: "✓ complete", "◐ partial 37 %"."""
    glyph, word, mood = MARKS[state.state]
    known = share(state)
    figure = f" {figures.percent(known)}" if state.state == "partial" and known is not None else ""
    return f"{glyph} {word}{figure}".strip(), mood


def loads(report: ModelReport) -> tuple[str, Mood]:
    """What came of loading it: "✓ 0.4 s", "✗ no", "? stale", "? stuck"; "·" where nobody has tried."""
    verified = report.verified
    if verified is None:
        return "·", "quiet"
    if verified.stale:
        return "? stale", "needs-you"
    if verified.ok:
        return f"✓ {verified.seconds:.1f} s", "good"
    # Given up for want of progress: that says little of the model.
    return ("? stuck", "needs-you") if verified.outcome == "gave-up" else ("✗ no", "bad")


def model_name(report: ModelReport) -> str:
    """The model in as few letters as identify it: the repository without its owner, the .pt file's name."""
    if report.spec is None:
        return f"no {report.size} model"
    source = report.spec.source
    return source.partition("/")[0] if report.spec.kind == "embedded" else source.rpartition("/")[2]


def nearest(report: ModelReport) -> CacheState:
    """The state worth showing where only one can be: the best one of all caches."""
    return best(*(state for _, state in report.states), CacheState("not-applicable"))


def best(*states: CacheState) -> CacheState:
    """The one that is nearest to complete; of equals the first."""
    order = tuple(MARKS)
    return min(states, key=lambda state: order.index(state.state))
