"""What keys do on the dashboard: asking, changing the plan, copying. What is shown afterwards is the dashboard's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from backends.registry import default_backends
from speedtest_tui.core.settings import MAX_RUNS
from speedtest_tui.ui.screens.model_actions import ModelActions
from speedtest_tui.ui.widgets.transcript_pane import TranscriptPane
from speedtest_tui.ui.workers.web import in_browser

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.audio.recording import Recording
    from speedtest_tui.core.audio.view import ClipView
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.sizes import ConvertedModel
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.core.race.row import RaceSnapshot
    from speedtest_tui.ui.workers.settings import Request, SettingsStore
    from speedtest_tui.ui.workers.worker import Worker


class DashboardActions(ModelActions):
    """The actions behind the dashboard's bindings. Screens that ask are imported when they are first needed."""

    request: Request
    worker: Worker
    memory: SettingsStore
    plan: Plan
    entries: tuple[BackendEntry, ...]
    models: tuple[ModelReport, ...]
    converted: tuple[ConvertedModel, ...] = ()
    all_backends: bool
    """Whether nobody chose among the backends."""
    clip: ClipView | None
    snapshot: RaceSnapshot | None
    kept: Kept | None
    kept_recording: Recording | None = None
    race_when_ready = False

    def show_plan(self) -> None:
        """Draw the plan anew; the dashboard knows how."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget clip and results; the dashboard knows how."""
        raise NotImplementedError

    def forget_recording(self, then: Callable[[], None]) -> None:
        """Go on once a recording that is in no session yet may be let go; `DashboardSound` knows how."""
        raise NotImplementedError

    def complain(self, sentence: str, title: str) -> None:
        """Say what went wrong, as it is: no markup."""
        self.notify(sentence, title=title, severity="error", timeout=15, markup=False)

    @property
    def under_way(self) -> bool:
        """Whether a race is being run."""
        return self.worker.racing or (self.snapshot is not None and not self.snapshot.ended)

    # The race.

    def action_race(self) -> None:
        """Start a race on the clip; asks first where work on models would slow it."""
        if self.under_way or self.worker.microphone.recording:
            return
        if not self.worker.busy:
            self._race()
            return
        from speedtest_tui.ui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes and not self.under_way:
                self._race()

        question = "Work on models is under way. It takes time from the race, and the figures would show it."
        self.app.push_screen(ConfirmScreen(question, "Race all the same", "Wait"), answered)

    def _race(self) -> None:
        if self.clip is None:
            self.race_when_ready = True
            self.worker.load(None)
        else:
            self.worker.microphone.rest()
            self.worker.start(self.plan, self.clip.clip)
            self.refresh_bindings()

    def action_cancel(self) -> None:
        """Cancel the race, or give a maximised pane back its place."""
        if self.under_way:
            self.worker.cancel()
        elif self.worker.busy:
            self.worker.cancel_job()
        elif self.maximized:
            self.minimize()

    # The plan.

    def change_plan(self, **changes: Any) -> None:
        """Change the plan for the next race; one that runs keeps its own."""
        self.plan = replace(self.plan, **changes)
        self.show_plan()

    def change_models(self, *, entries: Sequence[BackendEntry] = (), size: str = "") -> None:
        """Other backends, or another size, for the next race."""
        self.plan = self.request.with_models(self.plan, entries=entries, size=size)
        self.show_plan()

    def action_runs(self, step: int) -> None:
        """More or fewer runs."""
        runs = max(1, min(MAX_RUNS, self.plan.runs + step))
        self.change_plan(runs=runs)
        self.memory.remember(runs=runs)

    def action_size(self) -> None:
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.choice import ChoiceScreen

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                self.memory.remember(size=keys[0])
                self.change_models(size=keys[0])

        offered = choices.sizes(self.converted, self.plan.size)
        self.app.push_screen(ChoiceScreen("Model size", offered, (self.plan.size,)), chosen)

    def action_language(self) -> None:
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.choice import ChoiceScreen

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                language = None if keys[0] == choices.AUTO else keys[0]
                self.memory.remember(language=language or "")
                self.change_plan(language=language)

        now = (self.plan.language or choices.AUTO,)
        self.app.push_screen(ChoiceScreen("Language of the clip", choices.languages(), now), chosen)

    def action_backends(self) -> None:
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.choice import ChoiceScreen

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                entries = tuple(entry for entry in self.entries if entry.name in keys)
                without = {report.backend for report in self.models if report.without_model}
                self.all_backends = {entry.name for entry in default_backends(self.entries)} - without == set(keys)
                self.memory.remember(backends=() if self.all_backends else keys)
                self.change_models(entries=entries)

        now = tuple(entry.name for entry in self.plan.backends)
        offered = choices.backends(self.entries, self.models)
        self.app.push_screen(ChoiceScreen("Backends to race", offered, now, multiple=True), chosen)

    # The clip.

    def action_open(self) -> None:
        from speedtest_tui.ui.screens.open_file import OpenFileScreen

        recent = tuple(map(Path, self.memory.settings.recent))
        start = recent[0].parent if recent and recent[0].parent.is_dir() else Path.cwd()
        self.app.push_screen(OpenFileScreen(recent, start), self.open_clip)

    def open_clip(self, path: Path | None) -> None:
        """Load a file as the clip; None changes nothing."""
        if path is None:
            return

        def load() -> None:
            self.memory.remember(recent=self.memory.settings.with_recent(path).recent)
            self.worker.load(path)

        self.forget_recording(load)

    def action_reference(self) -> None:
        from speedtest_tui.core.accuracy.reference import from_text
        from speedtest_tui.ui.screens.reference import ReferenceScreen

        def written(text: str | None) -> None:
            if text is not None and self.clip is not None:
                clip = replace(self.clip.clip, reference=from_text(text) or None)
                self.clip = replace(self.clip, clip=clip)
                self.show_plan()

        if self.clip is None:
            self.notify("There is no clip yet that a reference text could belong to.", severity="warning")
        else:
            self.app.push_screen(ReferenceScreen(self.clip.clip.reference or ""), written)

    def action_new(self) -> None:
        """Begin anew."""
        if self.under_way:
            self.notify("A race is under way: press esc to cancel it first.", severity="warning")
        else:
            self.forget_recording(self.clear)

    # The models.

    def action_caches(self) -> None:
        """What is wrong with the caches, and what lies in them."""
        from speedtest_tui.ui.screens.caches import CachesScreen

        self.app.push_screen(CachesScreen(self.worker, self.entries, lambda: self.under_way))

    def action_convert(self) -> None:
        """Make an MLX model of a NeMo checkpoint, which can then be raced."""
        from speedtest_tui.ui.screens.convert import Chosen, ConvertScreen

        def chosen(model: Chosen | None) -> None:
            if model is None:
                return
            self.memory.remember(size=model.size)
            names = {entry.name for entry in self.plan.backends} | {model.backend}
            self.change_models(size=model.size, entries=[entry for entry in self.entries if entry.name in names])

        self.app.push_screen(ConvertScreen(self.worker, lambda: self.under_way), chosen)

    # What was measured.

    def action_copy(self) -> None:
        """Copy the results as Markdown."""
        from speedtest_tui.core.sessions.export import to_markdown

        if self.kept is None:
            self.notify("There are no results to copy yet.", severity="warning")
            return
        self.app.copy_to_clipboard(to_markdown(self.kept.document))
        if in_browser(self.app):
            self.notify("The results were copied as Markdown, if the browser allows it.")

    def action_sessions(self) -> None:
        from speedtest_tui.ui.screens.sessions import SessionsScreen

        self.app.push_screen(SessionsScreen())

    def action_changes(self) -> None:
        """Compare the newest session with the one before it on the same clip or plan."""
        from speedtest_tui.ui.screens.sessions import SessionsScreen

        self.app.push_screen(SessionsScreen(compare=True))

    def action_arrange(self) -> None:
        """Show transcripts one below the other, side by side, or one alone."""
        self.query_one(TranscriptPane).next_view()

    def action_maximise(self) -> None:
        """Give the focused pane the whole screen, or take it back."""
        if self.maximized:
            self.minimize()
            return
        pane: Widget | None = self.focused
        while pane is not None and not pane.border_title and isinstance(pane.parent, Widget):
            pane = pane.parent
        if pane is not None and pane is not self:
            self.maximize(pane, container=False)

    async def action_leave(self) -> None:
        """Quit; asks first only where something is under way."""
        from speedtest_tui.ui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.exit()

        if self.worker.microphone.recording:
            question = "A recording is under way. What came so far stays on disk and is offered at the next start."
            self.app.push_screen(ConfirmScreen(question, "Quit", "Go on recording"), answered)
        elif self.worker.busy:
            question = "Work on models is under way. Quitting cancels it; what was fetched so far stays."
            self.app.push_screen(ConfirmScreen(question, "Quit", "Go on"), answered)
        elif self.under_way:
            question = "A race is under way. Quitting cancels it; what was measured so far is kept."
            self.app.push_screen(ConfirmScreen(question, "Quit", "Go on racing"), answered)
        else:
            self.app.exit()
