"""The first line of the screen: the machine on the left, the plan and the state of the race on the right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widget import Widget

from speedtest_tui.core import format as figures
from speedtest_tui.core.format import one_line
from speedtest_tui.core.race.plan import Plan, progress
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_NEEDS_YOU, STYLE_NOW, Span
from speedtest_tui.ui.widgets.line_text import fit_path

if TYPE_CHECKING:
    from speedtest_tui.core.jobs.job import JobView

TITLE = "speedtest-tui"

SIZE_MAX = 28
"""Cells for the size, which may be the path of a folder."""


def state_of(snapshot: RaceSnapshot | None, plan: Plan, clip_s: float, now: float, room: int) -> Span:
    """The race in a few words, with its colour; how far it is in a field whose width stays, `room` cells at most."""
    if snapshot is None:
        return "· ready", ""
    if snapshot.state == "done":
        return "✓ done", STYLE_BEST
    if snapshot.state == "cancelled":
        return "– cancelled", STYLE_NEEDS_YOU
    found = progress(snapshot, plan, clip_s, now)
    whole = replace(found, step="", run=found.runs, done=found.total, left_s=3600.0)
    text, longest = (found.words, whole.words) if len(whole.words) + 2 <= room else (found.short, whole.short)
    return f"► {text}".ljust(len(longest) + 2), STYLE_NOW


VERBS = {
    "verify": "verifying",
    "checksum": "comparing checksums",
    "download": "downloading",
    "repair": "repairing",
    "undo": "undoing",
    "trash": "emptying the trash",
    "convert": "converting",
}


def job_state(view: JobView) -> Span:
    """Work on models in two or three words: "► downloading 61 %"."""
    at_work = [row.share for row in view.rows if row.state == "running"]
    share = f" {figures.percent(at_work[0])}" if at_work and at_work[0] is not None else ""
    return f"► {VERBS[view.kind]}{share}", STYLE_NOW


class StatusLine(Widget):
    """Gives up the machine's details before the plan, and the plan before the state, where width is short."""

    DEFAULT_CSS = "StatusLine { height: 1; }"

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._raced, self._clip_s, self._now = plan, 1.0, 0.0
        self._machine = ""
        self._snapshot: RaceSnapshot | None = None
        self._job: JobView | None = None

    def show_machine(self, sentence: str) -> None:
        self._machine = sentence
        self.refresh()

    def show_race(self, snapshot: RaceSnapshot | None, plan: Plan, raced: Plan, clip_s: float, now: float) -> None:
        """Show the plan of the next race, and how the one that is shown stands, which had its own."""
        before = (self._plan, self._state())
        self._snapshot, self._plan, self._raced, self._clip_s, self._now = snapshot, plan, raced, clip_s, now
        if before != (self._plan, self._state()):
            self.refresh()

    def tick(self, now: float) -> None:
        """The race has gone on."""
        self.show_race(self._snapshot, self._plan, self._raced, self._clip_s, now)

    def show_job(self, view: JobView) -> None:
        """A job stands where the race's state does, unless there is a race."""
        self._job = None if view.over else view
        self.refresh()

    def _state(self) -> Span:
        racing = self._snapshot is not None and not self._snapshot.ended
        if self._job and not racing:
            return job_state(self._job)
        room = self.size.width - len(TITLE) - 24
        return state_of(self._snapshot, self._raced, self._clip_s, self._now, room)

    def render(self) -> Content:
        width = self.size.width - 2
        state, style = self._state()
        size = fit_path(one_line(self._plan.models), SIZE_MAX)
        title = f"size {size}" if len(self._plan.sizes) < 2 else self._plan.title
        plan = f"{title}   runs {self._plan.runs}   language {self._plan.language or 'auto'}   "
        if cell_len(TITLE + plan + state) + 8 > width:
            plan = f"{size} · {self._plan.runs} runs   "
        room = width - cell_len(TITLE + plan + state) - 6
        machine = self._machine if cell_len(self._machine) <= room else _shorter(self._machine, room)
        gap = width - cell_len(TITLE + machine + plan + state) - 3
        return Content.assemble(" ", (TITLE, "bold"), "   ", machine, " " * max(1, gap), plan, (state, style))


def _shorter(sentence: str, room: int) -> str:
    """Drop parts from the end until the rest fits; cut the first part if need be."""
    parts = sentence.split(" · ")
    while len(parts) > 1 and cell_len(" · ".join(parts)) > room:
        parts.pop()
    text = " · ".join(parts)
    return text if cell_len(text) <= room else set_cell_size(text, max(0, room - 1)).rstrip() + "…" if room > 8 else ""
