"""Cancellable work on models, and the frozen rows in which both front ends show it.

    job = Download(reports)                     # cheap: nothing is read, started or written yet
    job.listener = lambda view: ...             # each change as a frozen JobView, in the job's thread
    job.start(); job.join(); job.cancel()       # as a race; `job.view` is always the newest state
    job.result                                  # typed, once it has ended: a Downloaded, a Converted, ...

A front end draws `job.view.rows`: glyph and colour by `format.LOOKS[row.state]`, the title, `row.share` as a bar, and
`words(row)`. Nothing in a row has to be parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from backends.base import Advice
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.background import Background

JobKind = Literal["verify", "checksum", "download", "repair", "undo", "trash", "convert"]
RowState = Literal["waiting", "running", "done", "failed", "cancelled", "skipped"]
JobState = Literal["running", "done", "failed", "cancelled"]

ENDED: tuple[RowState, ...] = ("done", "failed", "cancelled", "skipped")

WAIT_S = 0.1
"""How soon a wish to cancel is noticed where another thread or process does the work."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class JobRow:
    """One model, file or step of a job.

    key: tells the rows of a job apart; what a row is about, in a program's words
    title: the same in a person's words
    note: what is being done while it runs, what came of it once it is done or why it was skipped; may be empty
    advice: why it failed, and what to do
    bytes, total: done and to do, 0 and None where nobody knows
    speed, eta_s: bytes per second and seconds left while bytes arrive, else None
    seconds: how long `note` has been true, None where that is of no interest
    backends: whose models it concerns; the dashboard shows it in their lines
    """

    key: str
    title: str
    state: RowState = "waiting"
    note: str = ""
    advice: Advice | None = None
    bytes: int = 0
    total: int | None = None
    speed: float | None = None
    eta_s: float | None = None
    seconds: float | None = None
    backends: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """From 0 to 1; None while the whole is unknown."""
        return figures.share(self)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


def words(row: JobRow) -> str:
    """What stands beside a row's title: "183 of 305 MB, 42 MB/s, 3 s left", "loads and transcribes", its state."""
    if row.state == "failed" and row.advice:
        return str(row.advice)
    word = figures.LOOKS[row.state].word
    if row.state != "running":
        return row.note or word
    elapsed = figures.ticking(row.seconds) if row.seconds is not None else ""
    return ", ".join(filter(None, (figures.progress(row), row.note, elapsed))) or word


@dataclass(frozen=True)
class JobView:
    """A whole job at one moment.

    subject: the one thing that it works on, such as a file's name, or empty
    summary: one line that says how it ended, and what to do where it failed; empty before
    result: what the job hands out where it came to its end, of the type that its class names
    """

    kind: JobKind
    title: str
    rows: tuple[JobRow, ...] = ()
    state: JobState = "running"
    summary: str = ""
    result: object = None
    subject: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state != "running"

    @property
    def needs_you(self) -> bool:
        """Whether how it ended deserves attention."""
        return self.state in ("failed", "cancelled")


Publish = Callable[[JobView], None]


class Job(Background, Generic[Result]):
    """One capability at work, in a thread of its own. Subclasses implement `work`, and end with `end`.

    listener: called in the job's thread after each change; must return at once
    view: the newest state
    result: once the job has ended; None where it was cancelled before there was one
    error: what `work` raised. Of a UserError the rows and the summary speak; anything else nobody foresaw
    """

    def __init__(self, kind: JobKind, title: str, rows: Sequence[JobRow] = (), subject: str = "") -> None:
        super().__init__(kind)
        self.listener: Publish = lambda _: None
        self.view = JobView(kind, title, tuple(rows), subject=subject)
        self.result: Result | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Do all of it; blocks. Called by `start`, or directly where the caller wants to wait anyway."""
        try:
            self.listener(self.view)
            super().run()
        except Exception as error:
            self.error = error
            if not self.view.over:
                self._fail(error.advice if isinstance(error, UserError) else Advice(f"{type(error).__name__}: {error}"))

    def _fail(self, advice: Advice) -> None:
        rows = self.view.rows
        self.show([replace(row, state="failed", advice=advice) if row.state == "running" else row for row in rows])
        self.end(str(advice), failed=True)

    def change(self, index: int, **fields: Any) -> None:
        """Give a row other fields, and publish."""
        rows = list(self.view.rows)
        rows[index] = replace(rows[index], **fields)
        self.show(rows)

    def show(self, rows: Sequence[JobRow]) -> None:
        """Replace the rows, and publish where that makes a difference."""
        if tuple(rows) != self.view.rows:
            self.view = replace(self.view, rows=tuple(rows))
            self.listener(self.view)

    def end(self, summary: str, *, result: Result | None = None, failed: bool = False) -> None:
        """Say how it ended. What never began counts as cancelled."""
        self.result = result
        rows = tuple(row if row.ended else replace(row, state="cancelled") for row in self.view.rows)
        state: JobState = "cancelled" if self._cancelled.is_set() else "failed" if failed else "done"
        self.view = replace(self.view, rows=rows, state=state, summary=summary, result=result)
        self.listener(self.view)


def counted(rows: Sequence[JobRow], verb: str) -> str:
    """ "3 downloaded, 1 failed: what to do, 1 cancelled"; the advice only where a single one failed."""
    states = [row.state for row in rows]
    failed = [row for row in rows if row.state == "failed"]
    cancelled = sum(not row.ended or row.state == "cancelled" for row in rows)
    parts = [f"{states.count('done')} {verb}"] if states.count("done") or not (failed or cancelled) else []
    parts += [f"{len(failed)} failed"] if failed else []
    parts += [f"{cancelled} cancelled"] if cancelled else []
    why = f": {failed[0].advice}" if len(failed) == 1 and failed[0].advice else ""
    return ", ".join(parts) + why
