"""The dashboard: clip, race, transcripts. Handlers of messages touch widgets; the bridge does everything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer

from speedtest_tui.core.bench.row import RaceSnapshot, Row
from speedtest_tui.ui.bridge import Bridge
from speedtest_tui.ui.messages import (
    BackendsKnown,
    ClipReady,
    ClipRefused,
    ClipView,
    MachineKnown,
    RaceChanged,
    RaceEnded,
    TaskFailed,
)
from speedtest_tui.ui.request import Request
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.widgets.race_pane import RacePane
from speedtest_tui.ui.widgets.status_line import StatusLine
from speedtest_tui.ui.widgets.transcript_pane import TranscriptPane

TICK_S = 1 / 8
"""Bars move this often; faster only makes terminals flicker."""


class DashboardScreen(Screen[None]):
    """Where people live."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "TranscriptPane"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "race", "run", id="race", tooltip="Race all backends on the clip"),
        Binding("escape", "cancel", "cancel", id="cancel", tooltip="End the race; what was measured is kept"),
        Binding("question_mark", "app.help", "help", key_display="?", id="help", tooltip="Keys and what is shown"),
        Binding("q", "app.quit", "quit", id="quit", tooltip="Leave; a race under way is cancelled and kept"),
    ]

    def __init__(
        self,
        request: Request,
        make_bridge: Callable[[Callable[..., object]], Bridge] = Bridge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.request = request
        self.plan = request.plan
        self.bridge = make_bridge(self.post_message)
        self.clip: ClipView | None = None
        self.snapshot: RaceSnapshot | None = None
        self._clock = clock
        self._timer: Timer | None = None
        self._waiting_for = {"clip", "backends"}

    def compose(self) -> ComposeResult:
        yield StatusLine(self.plan)
        with Vertical(id="panes"):
            yield ClipPane()
            yield RacePane(self._waiting_rows(), self.plan.runs)
            yield TranscriptPane(id="transcripts")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._timer = self.set_interval(TICK_S, self._tick, pause=True)
        # Panes paint first; what fills them is imported in threads afterwards.
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.bridge.load(self.request.audio)
        self.bridge.look_around()

    def _waiting_rows(self) -> list[Row]:
        return [Row(entry.name, self.plan.size) for entry in self.plan.backends]

    # What people ask for.

    def action_race(self) -> None:
        """Start a race on the clip."""
        if self.clip is None:
            self.notify("There is no clip to race on yet.", severity="warning")
        elif not self.bridge.racing:
            self.bridge.start(self.plan, self.clip.clip)
            if self._timer:
                self._timer.resume()
            self.refresh_bindings()

    def action_cancel(self) -> None:
        """Cancel the race."""
        self.bridge.cancel()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show a key only while it does something."""
        if action == "race":
            return not self._under_way
        return self._under_way if action == "cancel" else True

    @property
    def _under_way(self) -> bool:
        return self.snapshot is not None and not self.snapshot.ended

    # What the background reports.

    @on(MachineKnown)
    def _machine_known(self, message: MachineKnown) -> None:
        self.query_one(StatusLine).show_machine(message.sentence)

    @on(BackendsKnown)
    def _backends_known(self, message: BackendsKnown) -> None:
        plan = self.request.with_entries(message.entries)
        if self.snapshot is None and plan.backends != self.plan.backends:
            self.plan = replace(self.plan, backends=plan.backends)
            self.query_one(RacePane).replace(self._waiting_rows())
        self._waiting_for.discard("backends")
        self._start_if_asked()

    @on(ClipReady)
    def _clip_ready(self, message: ClipReady) -> None:
        self.clip = message.view
        self.query_one(ClipPane).show(message.view)
        self._waiting_for.discard("clip")
        self._start_if_asked()

    def _start_if_asked(self) -> None:
        """Start by itself once everything is there, where that was asked for."""
        if self.request.autostart and not self._waiting_for and self.snapshot is None:
            self.action_race()

    @on(ClipRefused)
    def _clip_refused(self, message: ClipRefused) -> None:
        self.query_one(ClipPane).refuse(message.reason)
        self.notify(Content(message.reason).markup, title="The clip cannot be used", severity="error", timeout=15)

    @on(RaceChanged)
    def _race_changed(self, message: RaceChanged) -> None:
        self._show(message.snapshot)

    @on(RaceEnded)
    def _race_ended(self, message: RaceEnded) -> None:
        if self._timer:
            self._timer.pause()
        self._show(message.snapshot)
        if message.kept.problem:
            self.notify(Content(message.kept.problem).markup, title="Not kept", severity="error", timeout=15)

    @on(TaskFailed)
    def _task_failed(self, message: TaskFailed) -> None:
        self.notify(Content(message.what).markup, title="Something went wrong", severity="error", timeout=15)

    def _show(self, snapshot: RaceSnapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        with self.app.batch_update():
            self.query_one(RacePane).show(snapshot, self.plan.runs, self._clock())
            self.query_one(TranscriptPane).show(snapshot.ordered())
            self.query_one(StatusLine).show_race(snapshot, self.plan)
        if before is None or before.ended != snapshot.ended:
            self.refresh_bindings()

    def _tick(self) -> None:
        if self._under_way:
            self.query_one(RacePane).tick(self._clock())
