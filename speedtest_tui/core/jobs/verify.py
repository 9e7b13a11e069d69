"""Verifying models: each is loaded for real, in its engine's own child process, and transcribes one second of a tone.

    job = Verify(reports, entries)           # those of `reports` that a race could load
    job.start(); job.join()
    for one in job.result: one.report, one.verification, one.advice

The child is the one that races use: offline, in a process group of its own, watched by its progress and not by a clock.
What comes of it is a sentence that is remembered; nothing that a library does can harm this process.
"""

from __future__ import annotations

import datetime
import math
import queue
import sys
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.base import SAMPLE_RATE, Advice, BackendEntry, Location, ModelSpec
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.job import Job, JobRow, counted
from speedtest_tui.core.models.inspect import find, location_of
from speedtest_tui.core.models.remembered import fingerprint, libraries, remember
from speedtest_tui.core.models.status import ModelReport, Outcome, Verification
from speedtest_tui.core.models.wording import model_name
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import Child, Ended
from speedtest_tui.core.race.events import CHILD, MESSAGES, Assignment, ModelLoaded, Transcribe, Transcribed
from speedtest_tui.core.race.plan import DEFAULT_STALL_S
from speedtest_tui.core.race.prepare import assign, shared_samples
from speedtest_tui.core.race.row import WORDS, Failure, Row
from speedtest_tui.core.race.watch import StallWatch, received

TONE_HZ, TONE_AMPLITUDE = 440.0, 0.1
TICK_S = 0.1
"""How often vital signs are read, progress is published and a wish to cancel is noticed."""

DOING = {**WORDS, "running": "transcribing a test tone"}

MESSAGE_MAX = 500
"""Characters of a reason: libraries have been seen to name every tensor of a file in one line."""

OnChange = Callable[[str, float], None]
"""Told the phase (those of `core.race.row`) and the seconds it has lasted: at each change, and TICK_S apart."""


class Refuted(Exception):
    """The model does not load or not transcribe; the text says why."""


class GaveUp(Exception):
    """Nothing moved any more, which says little of the model; the text says for how long."""


def tone() -> bytes:
    """One second of a 440 Hz sine, little-endian float32."""
    step = 2 * math.pi * TONE_HZ / SAMPLE_RATE
    samples = array("f", (TONE_AMPLITUDE * math.sin(step * index) for index in range(SAMPLE_RATE)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def verify(
    entry: BackendEntry,
    spec: ModelSpec,
    location: Location,
    on_change: OnChange,
    cancelled: threading.Event,
    *,
    timeout: float | None = None,
    chosen: Sequence[tuple[str, str]] = (),
) -> tuple[Verification | None, Advice | None]:
    """Load a model from where it lies and transcribe a test tone with it; blocks until that is done or has failed.

    chosen: what the backend is set to, as names and values
    timeout: seconds without any progress after which to give up; None for those of a race
    Returns the outcome, which is kept for later starts, and why it could not be kept. None where it was cancelled:
    such a check says nothing and is not to be remembered.
    """
    # Before the load, so that a file which changes meanwhile makes the result stale.
    files = fingerprint(spec, location, libraries(entry, spec))
    seconds = 0.0
    outcome: Outcome
    try:
        with shared_samples(tone()) as descriptor:
            check = _Check(entry, on_change, cancelled, timeout or DEFAULT_STALL_S)
            if not check.run(assign(entry.reference, spec, location, descriptor, chosen=chosen)):
                return None, None
        seconds, outcome, message = check.row.load_s or 0.0, "ok", "loads and transcribes"
    except Refuted as reason:
        outcome, message = "failed", f"does not load: {_one_line(str(reason))}"
    except GaveUp as reason:
        outcome, message = "gave-up", f"gave up: {reason}"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    verification = Verification(outcome, message, str(location.path or ""), seconds, files, now)
    try:
        remember(entry.name, verification)
    except UserError as error:
        return verification, error.advice
    return verification, None


def spec_that_runs(report: ModelReport) -> ModelSpec | None:
    """The model that a race would load: the one asked for, the fallback, or None."""
    if report.spec is None or report.unavailable or report.location is None:
        return None
    if report.spec.kind == "embedded" or location_of(report.spec, report.states) is not None:
        return report.spec
    return report.fallback.spec if report.fallback else None


@dataclass(frozen=True)
class Verified:
    """One model. `verification` is None where its files have gone meanwhile, or where it was cancelled.

    advice: why there is no verification, or why it could not be kept
    """

    report: ModelReport
    verification: Verification | None = None
    advice: Advice | None = None

    @property
    def ok(self) -> bool:
        """Whether it loads and transcribes."""
        return self.verification is not None and self.verification.ok


class Verify(Job[tuple[Verified, ...]]):
    """Verify models one after the other. Those that no race could load, as they are not on this machine, are left out.

    entries: the backends of the reports
    timeout: seconds without any progress after which to give up on one; None for those of a race
    """

    def __init__(
        self, reports: Sequence[ModelReport], entries: Sequence[BackendEntry], timeout: float | None = None
    ) -> None:
        found = [(report, spec) for report in reports if (spec := spec_that_runs(report)) is not None]
        titles = [f"{report.backend} {model_name(report)}" for report, _ in found]
        rows = [
            JobRow(f"{report.backend} {spec.source}", title, backends=(report.backend,))
            for (report, spec), title in zip(found, titles, strict=True)
        ]
        super().__init__("verify", "Verify", rows)
        self._models = found
        self._entries = {entry.name: entry for entry in entries}
        self._timeout = timeout

    def work(self) -> None:
        verified = []
        for index, (report, spec) in enumerate(self._models):
            if self._cancelled.is_set():
                break
            self.change(index, state="running", note=DOING["preparing"])
            one = self._verify(index, report, spec)
            verified.append(one)
            if one.verification is None and self._cancelled.is_set():
                break
            self.change(index, **ended(one.verification, one.advice))
        failed = any(not one.ok for one in verified)
        self.end(counted(self.view.rows, "verified"), result=tuple(verified), failed=failed)

    def _verify(self, index: int, report: ModelReport, spec: ModelSpec) -> Verified:
        location = find(spec, self._cancelled)
        if isinstance(location, Advice):
            return Verified(report, advice=location)

        def on_change(phase: str, seconds: float) -> None:
            self.change(index, note=DOING[phase], seconds=seconds)

        entry = self._entries[report.backend]
        outcome = verify(
            entry, spec, location, on_change, self._cancelled, timeout=self._timeout, chosen=report.options
        )
        return Verified(report, *outcome)


def ended(verification: Verification | None, advice: Advice | None) -> dict[str, Any]:
    """What a row says of a verification, as fields of a JobRow; `advice` as in Verified."""
    still: dict[str, Any] = {"note": "", "seconds": None}
    if verification is None:
        return {**still, "state": "failed", "advice": advice}
    if not verification.ok:
        return {**still, "state": "failed", "advice": Advice(verification.message)}
    note = f"{verification.message}, loaded in {figures.seconds(verification.seconds)}"
    return {**still, "state": "done", "note": f"{note}; not kept: {advice}" if advice else note}


class _Check:
    """One child from its start to its end."""

    def __init__(self, entry: BackendEntry, on_change: OnChange, cancelled: threading.Event, limit_s: float) -> None:
        self.row = Row(entry.name, "", "starting", time.monotonic())
        self._on_change = on_change
        self._cancelled = cancelled
        self._reports: queue.SimpleQueue[Message | Ended] = queue.SimpleQueue()
        self._watch = StallWatch(limit_s, time.monotonic())

    def run(self, assignment: Assignment) -> bool:
        """Whether it went to its end; False where it was cancelled. Raises Refuted or GaveUp."""
        self._tell()
        if self._cancelled.is_set():
            return False
        child = Child(CHILD, assignment, MESSAGES, self._reports.put, pass_fds=(assignment.clip_descriptor,))
        try:
            if not self._await(child, ModelLoaded):
                return False
            child.send(Transcribe("run", 0))
            if not self._await(child, Transcribed):
                return False
        finally:
            child.end()
        # What a model makes of a tone proves nothing, a loop of words included; non-finite numbers do.
        if self.row.transcription and self.row.transcription.invalid and not self.row.transcription.looping:
            raise Refuted(self.row.transcription.invalid)
        return True

    def _await(self, child: Child, kind: type[Message]) -> bool:
        """Wait for a message, telling of progress; False where it was cancelled first. Raises Refuted or GaveUp."""
        while not self._cancelled.is_set():
            doing = f"while it was {DOING[self.row.phase]}"
            try:
                report = self._reports.get(timeout=TICK_S)
            except queue.Empty:
                if reason := self._watch.stalled(child.vitals()):
                    raise GaveUp(f"{reason} {doing}: give it more with --timeout") from None
            else:
                self._watch.progressed(time.monotonic())
                found = received(self.row, report, doing)
                if isinstance(found, Failure):
                    raise Refuted(str(found.error.advice))
                self.row = found
                if isinstance(report, kind):
                    return True
            self._tell()
        return False

    def _tell(self) -> None:
        self._on_change(self.row.phase, max(0.0, time.monotonic() - self.row.since))


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MESSAGE_MAX else f"{flat[: MESSAGE_MAX - 1]}…"
