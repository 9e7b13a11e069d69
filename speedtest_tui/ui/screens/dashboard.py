"""The dashboard: clip, models, race and transcripts. It draws; its controllers know what the keys mean."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from speedtest_tui.core.race.row import against
from speedtest_tui.ui.screens.clip_control import ClipControl
from speedtest_tui.ui.screens.model_control import ModelControl
from speedtest_tui.ui.screens.race_control import RaceControl
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.models_pane import ModelsPane
from speedtest_tui.ui.widgets.race_pane import RacePane
from speedtest_tui.ui.widgets.result_panes import TranscriptPane
from speedtest_tui.ui.widgets.row_details import DetailsPane
from speedtest_tui.ui.widgets.status_line import StatusLine
from speedtest_tui.ui.workers import messages
from speedtest_tui.ui.workers.settings import Request, SettingsStore
from speedtest_tui.ui.workers.worker import Worker

if TYPE_CHECKING:
    from speedtest_tui.core.accuracy.words import Piece
    from speedtest_tui.core.race.row import RaceSnapshot


NO_MARKS: Mapping[str, tuple[Piece, ...]] = {}

TICK_S = 1 / 8
"""Bars move this often; faster only makes terminals flicker."""


def _key(key: str, action: str, word: str, name: str, tooltip: str, *, show: bool = True, display: str = "") -> Binding:
    return Binding(key, action, word, show, display or None, id=name, tooltip=tooltip)


class DashboardScreen(Screen[None]):
    """Where people live. The order of the bindings is that of their importance on the last line.

    clips, race, models: what the keys do to the clip, the race and the models
    worker: what takes time; store: the settings
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "TranscriptPane"

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("r,space", "record", "record", "record", "Record (again to stop and use it)"),
        _key("u", "recover", "use", "recover", "Use the unsaved recording that is offered"),
        _key("escape", "cancel", "cancel", "cancel", "Cancel (what was measured is kept)"),
        _key("enter", "race", "race", "race", "Race the chosen backends on the clip"),
        _key("o", "open", "open", "open", "Open an audio or video file"),
        _key("s", "size", "size", "size", "Choose the model size"),
        _key("c", "caches", "caches", "caches", "Check and repair downloaded models"),
        _key("y", "copy", "copy", "copy", "Copy the results as Markdown"),
        _key("S", "sessions", "sessions", "sessions", "Earlier sessions, and how they compare", display="S"),
        _key("e", "details", "details", "details", "Everything about the selected candidate"),
        _key("b", "candidates", "choose", "candidates", "Choose what races: backends and models"),
        _key("d", "download", "download", "download", "Download models of this size"),
        _key("v", "verify", "verify", "verify", "Verify: load each model and transcribe a test tone"),
        _key("g", "plot", "plot", "plot", "Plot speed over errors"),
        _key("z", "sort", "sort", "sort", "Sort the candidates by the next column (a click on its title does, too)"),
        _key("p", "play", "play", "play", "Play the clip (again to stop)"),
        _key("plus,equals_sign", "runs(1)", "more runs", "more-runs", "One run more", show=False, display="+"),
        _key("minus", "runs(-1)", "fewer runs", "fewer-runs", "One run fewer", show=False, display="-"),
        _key("t", "reference", "reference", "reference", "Enter the correct text (for WER)"),
        _key("l", "language", "language", "language", "Choose the language of the clip"),
        _key("n", "new", "new", "new", "New: clear clip and results"),
        _key("a", "arrange", "arrange", "arrange", "Transcripts in a list, side by side, or one at a time"),
        _key("w", "changes", "compare", "changes", "Compare with the previous session"),
        _key("x", "trim", "trim", "trim", "Trim silence (again to undo)"),
        _key("k", "convert", "convert", "convert", "Convert a NeMo checkpoint to MLX"),
        _key("backspace,delete", "discard", "discard", "discard", "Discard the unsaved recording", display="del"),
        _key("i", "devices", "microphone", "devices", "Choose the microphone"),
        _key("m", "maximise", "maximise", "maximise", "Maximise pane (again to restore)"),
        _key("question_mark", "app.help", "help", "help", "Keys, and what the figures mean", display="?"),
        _key("q", "leave", "quit", "quit", "Quit (asks only while something is running)"),
    ]

    def __init__(
        self,
        request: Request,
        make_worker: Callable[[Callable[..., object]], Worker] = Worker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.worker = worker = make_worker(self.post_message)
        worker.options = request.options
        self.store = store = SettingsStore(request.reading, lambda what: self.post_message(messages.TaskFailed(what)))
        self.clips = ClipControl(self, worker, store, lambda: self.race.running, self._show_plan)
        self.models = ModelControl(self, worker, lambda: self.race.running)
        self.race = RaceControl(
            self, worker, store, request, clips=self.clips, models=self.models, changed=self._show_plan
        )
        self._request = request
        self._clock = clock
        self._timer: Timer | None = None
        self._marks = NO_MARKS

    def compose(self) -> ComposeResult:
        # Textual sets these classes after the first layout, and everything would be laid out and drawn twice.
        for size, breakpoints in zip(
            self.app.size, (self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS), strict=True
        ):
            self.add_class(next(name for limit, name in reversed(breakpoints) if limit <= size))
        yield StatusLine(self.race.plan)
        with Horizontal(id="body"):
            with Vertical(id="panes"):
                with Horizontal(id="sources"):
                    yield ClipPane()
                    yield ModelsPane()
                yield RacePane(self.race.waiting_rows(), self.race.plan)
                yield TranscriptPane(guided=self._request.audio is None and not self._request.demo)
            yield DetailsPane()
        yield KeyLine()

    def on_mount(self) -> None:
        self._timer = self.set_interval(TICK_S, self._tick, pause=True)
        # Panes paint first; what fills them is imported in threads afterwards.
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        gc.freeze()
        gc.enable()
        self.clips.begin(self._request.audio, self._request.demo)
        self.worker.look_around()
        for problem in self.store.problems:
            self._complain(problem, "Settings")

    def _complain(self, sentence: str, title: str) -> None:
        from speedtest_tui.ui.screens.confirm import complain

        complain(self, sentence, title)

    # What the background reports.

    @on(messages.MachineKnown)
    def _machine_known(self, message: messages.MachineKnown) -> None:
        self.query_one(StatusLine).show_machine(message.sentence)
        self.query_one(DetailsPane).show_machine(message.sentence)

    @on(messages.BackendsKnown)
    def _backends_known(self, message: messages.BackendsKnown) -> None:
        self.race.backends_known(message.entries)
        self.race.look_here()

    @on(messages.OffersKnown)
    def _offers_known(self, message: messages.OffersKnown) -> None:
        self.race.offers_known(message.offers)
        self._show_guide()

    @on(messages.ModelsKnown)
    def _models_known(self, message: messages.ModelsKnown) -> None:
        if self.race.models_known(message):
            self.query_one(ModelsPane).show(message.reports)

    @on(messages.JobChanged)
    def _job_changed(self, message: messages.JobChanged) -> None:
        view = message.view
        self.query_one(ModelsPane).show_job(view)
        self.query_one(StatusLine).show_job(view)
        if view.over:
            self.race.job_ended(view)
            self.race.look_up(again=True)
            self.race.look_here(again=True)
            if self.app.screen is self:
                self.notify(
                    f"{view.summary} (c shows more)" if view.needs_you else view.summary,
                    title=view.title,
                    severity="warning" if view.needs_you else "information",
                    markup=False,
                )
        self.refresh_bindings()

    @on(messages.ClipReady)
    def _clip_ready(self, message: messages.ClipReady) -> None:
        self.clips.ready(message.view)
        self.race.clip_ready()
        self.race.look_here()

    @on(messages.ClipRefused)
    def _clip_refused(self, message: messages.ClipRefused) -> None:
        self.race.clip_refused()
        self.clips.refuse(message.reason)
        self._show_guide()

    @on(messages.RecorderChanged)
    def _recorder_changed(self, message: messages.RecorderChanged) -> None:
        self.clips.recorder_changed(message.state)
        self._show_guide(recording=message.state.phase == "recording")
        self.refresh_bindings()

    @on(messages.RecordingFailed)
    def _recording_failed(self, message: messages.RecordingFailed) -> None:
        self.clips.recording_failed(message.reason)
        self._show_guide()
        self.refresh_bindings()

    @on(messages.PlayerChanged)
    def _player_changed(self, message: messages.PlayerChanged) -> None:
        self.clips.player_changed(message.state)

    @on(messages.DevicesKnown)
    def _devices_known(self, message: messages.DevicesKnown) -> None:
        self.clips.devices_known(message.report)

    @on(messages.LeftoversFound)
    def _leftovers_found(self, message: messages.LeftoversFound) -> None:
        self.clips.leftovers_found(message.recordings)

    @on(messages.RaceChanged)
    def _race_changed(self, message: messages.RaceChanged) -> None:
        self._show_race(message.snapshot)

    @on(messages.RaceEnded)
    def _race_ended(self, message: messages.RaceEnded) -> None:
        self.race.end(message.kept)
        self._show_race(message.snapshot, message.since, message.marks)
        self.race.judge_again()
        if message.kept.advice:
            self._complain(str(message.kept.advice), "Not saved")

    @on(messages.Copied)
    def _copied(self) -> None:
        self.notify("Copied as Markdown.")

    @on(messages.TaskFailed)
    def _task_failed(self, message: messages.TaskFailed) -> None:
        self._complain(message.what, "Something went wrong")

    # What is drawn.

    def _show_plan(self) -> None:
        """Show clip and plan; before a race the rows are those that will take part."""
        race = self.race
        self._show_age()
        self._show_guide()
        if self.clips.clip is not None:
            self.query_one(ClipPane).show(self.clips.clip)
        if race.snapshot is None:
            self.query_one(RacePane).wait(race.waiting_rows(), race.plan)
            self.query_one(TranscriptPane).show((), NO_MARKS)
            self._marks = NO_MARKS
            self._show_selected()
        race.look_up()
        race.judge_again()
        self.refresh_bindings()

    def _show_guide(self, *, recording: bool = False) -> None:
        here = self.race.here
        names = None if here is None else tuple(offer.label for offer in here)
        notice = "" if recording else self.clips.offer()
        self.query_one(ClipPane).offer(notice)
        short = self.has_class("-short")  # no clip pane there
        self.query_one(TranscriptPane).guide(self.clips.empty and not recording, names, notice if short else "")

    def _show_race(
        self, snapshot: RaceSnapshot, since: str = "", marks: Mapping[str, tuple[Piece, ...]] = NO_MARKS
    ) -> None:
        turned = self.race.show(snapshot)
        rows = snapshot.ordered()
        with self.app.batch_update():
            self.query_one(RacePane).show(snapshot, self.race.raced_plan, self.race.raced_s, self._clock(), since)
            self.query_one(TranscriptPane).show(rows, marks)
            self._marks = marks
            self._show_selected()
            self._show_age()
        if self._timer:
            (self._timer.pause if snapshot.ended else self._timer.resume)()
        if turned:
            self.refresh_bindings()

    @on(RacePane.Selected)
    def _show_selected(self) -> None:
        """Show the details of the row that is selected, here and on the screen above that is about it."""
        from speedtest_tui.ui.screens.row import follow

        pane = self.query_one(RacePane)
        row = pane.rows[pane.selected] if pane.rows and self.race.snapshot else None
        self.query_one(DetailsPane).show(row, pane.runs, self._marks, against(pane.rows))
        follow(pane, self._marks)

    def _show_age(self) -> None:
        """Results that the next race will not be like stay, dimmed, until it starts."""
        race, outdated = self.race, self.race.outdated
        self.set_class(outdated, "-outdated")
        self.query_one(RacePane).border_subtitle = "earlier results · ↵ races what is chosen now" if outdated else None
        shown = None if outdated else race.snapshot
        self.query_one(StatusLine).show_race(shown, race.plan, race.raced_plan, race.raced_s, self._clock())

    def _tick(self) -> None:
        if self.race.snapshot is not None and not self.race.snapshot.ended:
            now = self._clock()
            self.query_one(RacePane).tick(now)
            self.query_one(StatusLine).tick(now)

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only while it does something."""
        clips, race, clip = self.clips, self.race, self.clips.clip
        offered, shown, kept = clips.offered is not None, race.snapshot is not None, race.kept is not None
        possible = {
            "race": not race.running and not clips.recording,
            "record": clips.recording or not race.running,
            **dict.fromkeys(("recover", "discard"), offered),
            "play": clip is not None or offered,
            "reference": clip is not None,
            "trim": clip is not None and clip.trim is not None,
            "cancel": race.running or self.maximized is not None or self.worker.busy,
            **dict.fromkeys(("details", "sort"), shown),
            **dict.fromkeys(("copy", "changes", "plot"), kept),
        }
        return possible.get(action, True)

    def action_record(self) -> None:
        self.clips.record()

    def action_recover(self) -> None:
        self.clips.recover()

    def action_discard(self) -> None:
        self.clips.discard()

    def action_open(self) -> None:
        self.clips.open()

    def action_play(self) -> None:
        self.clips.play()

    def action_trim(self) -> None:
        self.clips.trim()

    def action_reference(self) -> None:
        self.clips.reference()

    def action_devices(self) -> None:
        self.clips.devices()

    def action_race(self) -> None:
        self.race.start()

    def action_runs(self, step: int) -> None:
        self.race.change_runs(step)

    def action_size(self) -> None:
        self.race.choose_size()

    def action_language(self) -> None:
        self.race.choose_language()

    def action_candidates(self) -> None:
        self.race.choose_candidates()

    def action_convert(self) -> None:
        self.race.convert()

    def action_copy(self) -> None:
        self.race.copy()

    def action_details(self) -> None:
        from speedtest_tui.ui.screens.row import show_row

        show_row(self.query_one(RacePane), self._marks)

    def action_sort(self) -> None:
        self.query_one(RacePane).next_sort()

    def action_plot(self) -> None:
        """Plot the speed of the race that is shown over its errors."""
        from speedtest_tui.ui.screens.plot import PlotScreen

        if self.race.snapshot is not None:
            self.app.push_screen(PlotScreen(self.race.snapshot.ordered()))

    def action_changes(self) -> None:
        self.race.compare()

    def action_verify(self) -> None:
        self.models.verify(self.race.reports, self.race.entries)

    def action_download(self) -> None:
        self.models.download(self.race.reports)

    def action_cancel(self) -> None:
        """Cancel the race or else the job; where nothing runs, restore a maximised pane."""
        if self.race.running:
            self.worker.cancel()
        elif self.worker.busy:
            self.worker.cancel_job()
        elif self.maximized:
            self.minimize()

    def action_new(self) -> None:
        """Clear clip and results."""
        if self.race.running:
            self.notify("A race is running: press esc to cancel it first.", severity="warning")
        else:
            self.clips.let_go(self._clear)

    def _clear(self) -> None:
        self.race.forget()
        self.clips.wait()
        self._show_plan()

    def action_caches(self) -> None:
        """Show what is wrong with downloaded models, and what the caches hold."""
        from speedtest_tui.ui.screens.caches import CachesScreen

        self.app.push_screen(CachesScreen(self.worker, self.race.entries, lambda: self.race.running))

    def action_sessions(self) -> None:
        from speedtest_tui.ui.screens.sessions import SessionsScreen

        self.app.push_screen(SessionsScreen())

    def action_arrange(self) -> None:
        self.query_one(TranscriptPane).next_view()

    def action_maximise(self) -> None:
        """Give the focused pane the whole screen, or restore it."""
        if self.maximized:
            self.minimize()
            return
        pane: Widget | None = self.focused
        while pane is not None and not pane.border_title and isinstance(pane.parent, Widget):
            pane = pane.parent
        if pane is not None and pane is not self:
            self.maximize(pane, container=False)

    async def action_leave(self) -> None:
        """Quit; asks first only where something is running."""
        from speedtest_tui.ui.screens.confirm import ask

        question, no = "", "Stay"
        if self.clips.recording:
            question = "A recording is running. If you quit, it stays on disk and is offered at the next start."
            no = "Keep recording"
        elif self.worker.busy:
            question = f"{self.models.running}. Quitting cancels it; what was downloaded stays."
        elif self.race.running:
            question, no = "A race is running. Quitting cancels it; what was measured is kept.", "Keep racing"
        if question:
            ask(self, question, "Quit", no, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        self.clips.leave()
        self.app.exit()
