"""The dashboard: clip, models, race, transcripts. It touches widgets; the worker does everything else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from backends.registry import default_backends
from speedtest_tui.core.race.row import RaceSnapshot, Row
from speedtest_tui.ui.screens.dashboard_sound import DashboardSound
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.widgets.details_pane import DetailsPane
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.models_pane import ModelsPane
from speedtest_tui.ui.widgets.race_pane import RacePane
from speedtest_tui.ui.widgets.status_line import StatusLine
from speedtest_tui.ui.widgets.transcript_pane import TranscriptPane
from speedtest_tui.ui.workers.messages import (
    BackendsKnown,
    ClipReady,
    ClipRefused,
    Copied,
    JobChanged,
    MachineKnown,
    ModelsKnown,
    RaceChanged,
    RaceEnded,
    TaskFailed,
)
from speedtest_tui.ui.workers.settings import Request, SettingsStore
from speedtest_tui.ui.workers.worker import Worker

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.accuracy.words import Word
    from speedtest_tui.core.audio.view import ClipView
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.status import ModelReport


NO_MARKS: Mapping[str, tuple[Word, ...]] = {}

TICK_S = 1 / 8
"""Bars move this often; faster only makes terminals flicker."""


def _key(key: str, action: str, word: str, name: str, tooltip: str, *, show: bool = True, display: str = "") -> Binding:
    return Binding(key, action, word, show, display or None, id=name, tooltip=tooltip)


class DashboardScreen(DashboardSound):
    """Where people live. The order of the bindings is that of their importance on the last line."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "TranscriptPane"

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("r,space", "record", "record", "record", "Record, or stop and take what was recorded"),
        _key("escape", "cancel", "cancel", "cancel", "End the race; what was measured is kept"),
        _key("enter", "race", "run", "race", "Race the chosen backends on the clip"),
        _key("o", "open", "open", "open", "Open an audio or video file"),
        _key("s", "size", "size", "size", "Choose the model size"),
        _key("c", "caches", "caches", "caches", "Models on this machine: what is wrong, and mending it"),
        _key("y", "copy", "copy", "copy", "Copy the results as Markdown"),
        _key("S", "sessions", "sessions", "sessions", "Finished races, and how they compare", display="S"),
        _key("b", "backends", "backends", "backends", "Choose which backends race"),
        _key("d", "download", "download", "download", "Fetch models of this size, or go on fetching"),
        _key("v", "verify", "verify", "verify", "Load models of this size and let them hear a tone"),
        _key("p", "play", "play", "play", "Play the clip, or stop playing"),
        _key("plus,equals_sign", "runs(1)", "more runs", "more-runs", "One run more", show=False, display="+"),
        _key("minus", "runs(-1)", "fewer runs", "fewer-runs", "One run less", show=False, display="-"),
        _key("t", "reference", "reference", "reference", "Type or paste what is really said"),
        _key("l", "language", "language", "language", "Choose the language of the clip"),
        _key("n", "new", "new", "new", "Begin anew: no clip, no results"),
        _key("a", "arrange", "arrange", "arrange", "Transcripts below one another, side by side, or one alone"),
        _key("w", "changes", "what changed", "changes", "The newest session against the one before it"),
        _key("x", "trim", "trim", "trim", "Take silence off the clip, or put it back"),
        _key("k", "convert", "convert", "convert", "Convert a NeMo checkpoint to MLX"),
        _key("i", "devices", "input", "devices", "Choose the microphone"),
        _key("m", "maximise", "maximise", "maximise", "Give the focused pane the whole screen, or take it back"),
        _key("question_mark", "app.help", "help", "help", "Keys, and what the figures mean", display="?"),
        _key("q", "leave", "quit", "quit", "Leave; asks only while something is under way"),
    ]

    def __init__(
        self,
        request: Request,
        make_worker: Callable[[Callable[..., object]], Worker] = Worker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.request = request
        self.plan = request.plan
        self.entries: tuple[BackendEntry, ...] = request.plan.backends
        self.worker = make_worker(self.post_message)
        self.worker.options = request.options
        self.memory = SettingsStore(request.reading, lambda what: self.post_message(TaskFailed(what)))
        self.models: tuple[ModelReport, ...] = ()
        self.all_backends = request.open_backends
        self.clip: ClipView | None = None
        self.snapshot: RaceSnapshot | None = None
        self.kept: Kept | None = None
        self._clock = clock
        self._timer: Timer | None = None
        self._waiting_for = {"clip", "backends"}
        self._raced_runs = request.plan.runs
        self._looked_up: tuple[tuple[BackendEntry, ...], str] | None = None

    def compose(self) -> ComposeResult:
        yield StatusLine(self.plan)
        with Horizontal(id="body"):
            with Vertical(id="panes"):
                with Horizontal(id="sources"):
                    yield ClipPane()
                    yield ModelsPane()
                yield RacePane(self._waiting_rows(), self.plan.runs)
                yield TranscriptPane()
            yield DetailsPane()
        yield KeyLine()

    def on_mount(self) -> None:
        self._timer = self.set_interval(TICK_S, self._tick, pause=True)
        # Panes paint first; what fills them is imported in threads afterwards.
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        gc.freeze()
        gc.enable()
        if self.request.audio is not None or self.request.demo:
            self.worker.load(self.request.audio)
        else:
            self.wait_for_clip()
        self.worker.look_around()
        self.worker.microphone.look_for_leftovers()
        for problem in self.memory.problems:
            self.complain(problem, "Settings")

    def _waiting_rows(self) -> list[Row]:
        return [Row(one.backend, one.size) for one in self.plan.candidates]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only while it does something."""
        recording = self.worker.microphone.recording
        if action == "race":
            return not self.under_way and not recording
        if action == "record":
            return recording or not self.under_way
        if action in ("play", "reference"):
            return self.clip is not None
        if action == "trim":
            return self.clip is not None and self.clip.trim is not None
        if action == "cancel":
            return self.under_way or self.maximized is not None or self.worker.busy
        if action in ("copy", "changes"):
            return self.kept is not None
        return True

    # What the background reports.

    @on(MachineKnown)
    def _machine_known(self, message: MachineKnown) -> None:
        self.query_one(StatusLine).show_machine(message.sentence)
        self.query_one(DetailsPane).show_machine(message.sentence)

    @on(BackendsKnown)
    def _backends_known(self, message: BackendsKnown) -> None:
        self.entries = message.entries
        plan = self.request.with_entries(default_backends(message.entries))
        if self.snapshot is None and plan.backends != self.plan.backends:
            self.plan = self.request.with_models(self.plan, entries=plan.backends)
        self.show_plan()
        self._waiting_for.discard("backends")
        self._start_if_asked()

    @on(ModelsKnown)
    def _models_known(self, message: ModelsKnown) -> None:
        self.converted = message.converted
        if message.size == self.plan.size:
            self.models = message.reports
            self.query_one(ModelsPane).show(message.reports)
            self._leave_out()

    def _leave_out(self) -> None:
        """Where nobody chose backends, those without a model of the size need no row that says so."""
        if not self.all_backends or self.under_way:
            return
        without = {report.backend for report in self.models if report.without_model}
        chosen = tuple(entry for entry in default_backends(self.entries) if entry.name not in without)
        if chosen and chosen != self.plan.backends:
            self.change_models(entries=chosen)

    @on(JobChanged)
    def _job_changed(self, message: JobChanged) -> None:
        self.query_one(ModelsPane).show_job(message.view)
        self.query_one(StatusLine).show_job(message.view)
        if message.view.over:
            self.worker.look_up(self.entries, self.plan.size)
            if self.app.screen is self:
                view = message.view
                self.notify(
                    f"{view.summary} (c shows more)" if view.needs_you else view.summary,
                    title=view.title,
                    severity="warning" if view.needs_you else "information",
                    markup=False,
                )
        self.refresh_bindings()

    @on(ClipReady)
    def _clip_ready(self, message: ClipReady) -> None:
        self.clip = message.view
        self.worker.microphone.rest()
        self.show_plan()
        self._waiting_for.discard("clip")
        if self.race_when_ready:
            self.race_when_ready = False
            self.action_race()
        self._start_if_asked()

    def _start_if_asked(self) -> None:
        """Start by itself once everything is there, where that was asked for."""
        if self.request.autostart and not self._waiting_for and self.snapshot is None:
            self.action_race()

    @on(ClipRefused)
    def _clip_refused(self, message: ClipRefused) -> None:
        self.race_when_ready = False
        if self.clip is None:
            self.query_one(ClipPane).refuse(message.reason)
        self.complain(message.reason, "The clip cannot be used")

    @on(RaceChanged)
    def _race_changed(self, message: RaceChanged) -> None:
        self._show(message.snapshot)

    @on(RaceEnded)
    def _race_ended(self, message: RaceEnded) -> None:
        self.kept = message.kept
        self.session_kept()
        self._show(message.snapshot, message.since, message.marks)
        if message.kept.advice:
            self.complain(str(message.kept.advice), "Not kept")

    @on(Copied)
    def _copied(self, message: Copied) -> None:
        way = f"with {message.program}" if message.program else "through the terminal, if it allows that (OSC 52)"
        self.notify(f"The results were copied as Markdown {way}.")

    @on(TaskFailed)
    def _task_failed(self, message: TaskFailed) -> None:
        self.complain(message.what, "Something went wrong")

    # What is drawn.

    def show_plan(self) -> None:
        """Show clip and plan; before a race the rows are those that will take part."""
        self.query_one(StatusLine).show_race(self.snapshot, self.plan)
        if self.clip is not None:
            self.query_one(ClipPane).show(self.clip)
        if self.snapshot is None or (self.snapshot.ended and self._rows_differ(self.snapshot)):
            self.snapshot = None
            self.query_one(RacePane).wait(self._waiting_rows(), self.plan.runs)
            self.query_one(TranscriptPane).show((), NO_MARKS)
            self.query_one(StatusLine).show_race(None, self.plan)
        wanted = (self.entries, self.plan.size)
        if wanted != self._looked_up:
            self._looked_up = wanted
            self.worker.look_up(*wanted)
        self.refresh_bindings()

    def _rows_differ(self, snapshot: RaceSnapshot) -> bool:
        planned = {(one.backend, one.size) for one in self.plan.candidates}
        return {(row.backend, row.size) for row in snapshot.rows} != planned

    def clear(self) -> None:
        """Forget clip and results."""
        self.clip, self.snapshot, self.kept = None, None, None
        self.wait_for_clip()
        self.show_plan()

    def _show(self, snapshot: RaceSnapshot, since: str = "", marks: Mapping[str, tuple[Word, ...]] = NO_MARKS) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if before is None or before.ended:
            self._raced_runs = self.plan.runs
        rows = snapshot.ordered()
        with self.app.batch_update():
            self.query_one(RacePane).show(snapshot, self._raced_runs, self._clock(), since)
            self.query_one(TranscriptPane).show(rows, marks)
            self.query_one(DetailsPane).show(rows)
            self.query_one(StatusLine).show_race(snapshot, self.plan)
        if self._timer:
            (self._timer.pause if snapshot.ended else self._timer.resume)()
        if before is None or before.ended != snapshot.ended:
            self.refresh_bindings()

    def _tick(self) -> None:
        if self.snapshot is not None and not self.snapshot.ended:
            self.query_one(RacePane).tick(self._clock())
