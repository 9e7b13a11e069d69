"""Applying a plan: one step after the other, each of which may fail without stopping the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backends.base import Advice
from speedtest_tui.core import disk
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import DownloadRow
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.repair.act import NotNeeded, act, prepare_download, repair_shared, shared_payloads
from speedtest_tui.core.repair.changes import Changes
from speedtest_tui.core.repair.copying import Cancelled, Tell
from speedtest_tui.core.repair.step import DOWNLOADS, Step

StepState = Literal["waiting", "running", "done", "failed", "cancelled", "skipped"]
ApplicationState = Literal["running", "done", "failed", "cancelled"]

ROUNDS = 3
"""How often a new plan is made of what a plan has left: a download may bring weights that still need a link."""


@dataclass(frozen=True)
class StepRow:
    """One step at one moment.

    bytes, total: done and to do, total None until known; speed: bytes per second; eta_s: seconds left
    note: what is being done, or why the step was skipped
    advice: why it failed, and what to do
    """

    step: Step
    state: StepState = "waiting"
    bytes: int = 0
    total: int | None = None
    speed: float | None = None
    eta_s: float | None = None
    note: str = ""
    advice: Advice | None = None

    @property
    def message(self) -> str:
        """What there is to say of it in one line, or empty."""
        return str(self.advice) if self.advice else self.note


@dataclass(frozen=True)
class Progress:
    """An application at one moment.

    entry: its id in the trash, "" while nothing has been changed
    message: why the application itself failed
    """

    rows: tuple[StepRow, ...]
    state: ApplicationState = "running"
    entry: str = ""
    message: str = ""

    @property
    def failed(self) -> tuple[StepRow, ...]:
        """The steps that were to be taken and were not."""
        return tuple(row for row in self.rows if row.state in ("failed", "cancelled"))


class Application:
    """One application of a plan; `snapshot` is always the newest state.

    listener: called after each change with a frozen snapshot
    replan: makes a new plan after the steps; what it chooses and has not been tried yet is done as well
    cancelled: set by whoever wants it to stop: the step in hand is ended cleanly, those after it are not begun
    """

    def __init__(
        self,
        steps: Sequence[Step],
        listener: Callable[[Progress], None] = lambda _: None,
        replan: Callable[[], Sequence[Step]] | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._cancelled = cancelled or threading.Event()
        self._rows = [StepRow(step) for step in steps]
        self._listener = listener
        self._replan = replan
        models = list(dict.fromkeys(step.model for step in steps if step.model))
        self._changes = Changes(f"repair of {', '.join(models[:3])}{' and more' if len(models) > 3 else ''}")
        self.snapshot = Progress(tuple(self._rows))

    def run(self) -> Progress:
        """Take all steps; blocks. Raises nothing."""
        try:
            self._run()
        except Exception as error:
            # Nothing here may fail silently, least of all half-way.
            self._publish(state="failed", message=f"the repair itself failed: {type(error).__name__}: {error}")
        return self.snapshot

    def _run(self) -> None:
        self._publish()
        self._take_all()
        for _ in range(ROUNDS - 1):
            new = self._steps_left()
            if not new:
                break
            self._rows += [StepRow(step) for step in new]
            self._take_all()
        failed = any(row.state == "failed" for row in self._rows)
        cancelled = self._cancelled.is_set() or any(row.state == "cancelled" for row in self._rows)
        self._publish(state="cancelled" if cancelled else "failed" if failed else "done")

    def _steps_left(self) -> list[Step]:
        if self._replan is None or self._cancelled.is_set():
            return []
        tried = {(row.step.kind, row.step.path) for row in self._rows}
        return [step for step in self._replan() if (step.kind, step.path) not in tried]

    def _take_all(self) -> None:
        for index, row in enumerate(self._rows):
            if row.state != "waiting":
                continue
            if self._cancelled.is_set():
                self._change(index, state="cancelled")
                continue
            self._change(index, state="running")
            self._take(index, row.step)

    def _take(self, index: int, step: Step) -> None:
        """Take one step; whatever it raises is its own row's."""
        try:
            if step.kind in DOWNLOADS:
                self._download(index, step)
            else:
                act(step, self._changes, self._tells(index), self._cancelled)
                self._change(index, state="done")
        except NotNeeded as reason:
            self._change(index, state="skipped", note=f"not needed: {reason}")
        except Cancelled:
            self._change(index, state="cancelled")
        except UserError as error:
            self._change(index, state="failed", advice=error.advice)
        except OSError as error:
            self._change(index, state="failed", advice=disk.advice(error, step.path))
        except Exception as error:
            self._change(index, state="failed", advice=Advice(f"{type(error).__name__}: {error}"))

    def _download(self, index: int, step: Step) -> None:
        shared = shared_payloads(step)
        request = prepare_download(step, self._changes, self._tells(index), self._cancelled)

        def listen(rows: tuple[DownloadRow, ...]) -> None:
            row = rows[-1]
            moving = {"bytes": row.bytes, "total": row.total, "speed": row.speed, "eta_s": row.eta_s}
            self._change(index, **moving, note=row.note or row.doing)
            if self._cancelled.is_set():
                downloads.cancel_all()

        downloads = Downloads(listen)
        downloads.add(request)
        while not downloads.join(0.1):
            if self._cancelled.is_set():
                downloads.cancel_all()
        last = downloads.rows[-1]
        if last.state == "done":
            repair_shared(step, shared, self._changes)
        self._changes.forget_unchanged()  # a failed download has replaced nothing
        advice = last.advice if last.state == "failed" else None
        state: StepState = "done" if last.state == "done" else "cancelled" if last.state == "cancelled" else "failed"
        ended = {"speed": None, "eta_s": None, "note": "", "advice": advice}
        self._change(index, state=state, bytes=last.bytes, total=last.total, **ended)

    def _tells(self, index: int) -> Tell:
        return lambda done, total: self._change(index, bytes=done, total=total)

    def _change(self, index: int, **fields: object) -> None:
        self._rows[index] = replace(self._rows[index], **fields)  # type: ignore[arg-type]
        self._publish()

    def _publish(self, **fields: object) -> None:
        entry = self._changes.id if self._changes.made else ""
        self.snapshot = replace(self.snapshot, rows=tuple(self._rows), entry=entry, **fields)  # type: ignore[arg-type]
        self._listener(self.snapshot)
