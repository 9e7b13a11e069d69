"""The dashboard's race: its plan, its start and end, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from backends.catalogue import SIZES
from backends.registry import default_backends
from speedtest_tui.core.models.sizes import cross
from speedtest_tui.core.race.row import Row, rows_of
from speedtest_tui.core.race.verdict import nano
from speedtest_tui.core.settings import MAX_RUNS
from speedtest_tui.ui.workers.web import in_browser

if TYPE_CHECKING:
    from backends.base import BackendEntry, Samples
    from speedtest_tui.core.jobs.job import JobView
    from speedtest_tui.core.jobs.offers import Offer, Offers
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.own import ConvertedModel
    from speedtest_tui.core.models.sizes import Candidate
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.core.race.row import RaceSnapshot
    from speedtest_tui.ui.screens.clip_control import ClipControl
    from speedtest_tui.ui.screens.model_control import ModelControl
    from speedtest_tui.ui.workers.messages import ModelsKnown
    from speedtest_tui.ui.workers.settings import Request, SettingsStore
    from speedtest_tui.ui.workers.worker import Worker


class RaceControl:
    """Owns the plan and the results. Screens that ask are imported when they are first needed.

    plan: of the next race; one that runs keeps its own
    entries: all backends that are known
    reports, converted: how the backends' models of the plan's size stand, and models that are chosen by their folder
    all_backends: whether nobody chose among the backends
    here: real models that are on this machine, None before that is known
    snapshot: the race that is shown, None before one; kept: what was measured last
    changed: called when the plan is another one
    """

    def __init__(
        self,
        screen: Screen[Any],
        worker: Worker,
        store: SettingsStore,
        request: Request,
        *,
        clips: ClipControl,
        models: ModelControl,
        changed: Callable[[], None],
    ) -> None:
        self.plan = request.plan
        self.entries: tuple[BackendEntry, ...] = request.plan.backends
        self.reports: tuple[ModelReport, ...] = ()
        self.converted: tuple[ConvertedModel, ...] = ()
        self.here: tuple[Offer, ...] | None = None
        self.all_backends = request.open_backends
        self.snapshot: RaceSnapshot | None = None
        self.kept: Kept | None = None
        self.raced_plan, self.raced_s = request.plan, 1.0
        """Plan and seconds of the clip of the race that is shown."""
        self._screen = screen
        self._worker = worker
        self._store = store
        self._request = request
        self._clips = clips
        self._models = models
        self._changed = changed
        self._accepted: Samples | None = None
        self._raced = self._planned()
        self._reference: str | None = None
        self._waiting_for = {"clip", "backends"}
        self._when_ready = self._when_known = self._known = False
        self._racing_next: set[str] | None = None
        self._failed: tuple[str, ...] = ()  # why not all came that a race waited for
        self._looked_up: list[Candidate] = []

    @property
    def running(self) -> bool:
        """Whether a race runs or is about to."""
        return self._worker.racing or (self.snapshot is not None and not self.snapshot.ended)

    def waiting_rows(self) -> list[Row]:
        """What will take part in the next race."""
        return list(rows_of(self.plan.candidates))

    # Start and end.

    def start(self) -> None:
        """Start a race on the clip, the built-in one where there is none; asks first where a job would distort it."""
        if self.running or self._clips.recording:
            return
        if not self._worker.busy:
            self._start_knowing()
            return
        from speedtest_tui.ui.screens.confirm import ask

        question = f"{self._models.running}; racing now would distort the times."
        ask(self._screen, question, "Race anyway", "Wait", lambda: None if self.running else self._start_knowing())

    def _start_knowing(self) -> None:
        """Start; asks once for each clip where demo models would race on one that they cannot know."""
        view = self._clips.clip
        if view is None or view.clip.demo or view.clip.samples is self._accepted or not nano(self.waiting_rows()):
            self._start_whole()
            return
        from speedtest_tui.ui.screens.confirm import ask

        def anyway() -> None:
            self._accepted = view.clip.samples
            if not self.running:
                self._start_whole()

        question = "nano models know about 70 words: this compares overhead only."
        other, otherwise = "Choose a size", self.choose_size
        if self.here:
            from speedtest_tui.core.jobs.offers import one_each

            chosen = one_each(self.here)
            question += f" Real ones are here: {', '.join(offer.label for offer in chosen)}."
            other, otherwise = "Race what is here", lambda: self._race_here([offer.candidate for offer in chosen])
        ask(self._screen, question, "Race anyway", "Back", anyway, other=other, otherwise=otherwise)

    def _race_here(self, chosen: Sequence[Candidate]) -> None:
        if not self.running:
            self.change_candidates(chosen)
            self.start()

    def _start_whole(self) -> None:
        """Start; where models are not on this machine, asks whether to download them first."""
        if all(one.size == SIZES[0] for one in self.plan.candidates):
            self._start()  # built in
            return
        if not self._known:
            self._when_known = True  # in a moment: the caches are being read
            return
        missing, here = self._parted()
        why, self._failed = "; ".join(self._failed[:2]), ()
        if not missing:
            self._start()
            return
        if why and not here:
            return  # the rows say why
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.confirm import ask

        def race_these() -> None:
            if not self.running:
                self._start(here)

        total = len(self.plan.candidates)
        question = choices.not_here(missing, total, waited=False)
        if why:
            question = f"{len(missing)} of {total} could not be downloaded ({why}): race the {len(here)} that are here?"
        yes, other = "Try again" if why else "Download and race", f"Race the {len(here)} here" if here else ""
        ask(self._screen, question, yes, "Cancel", lambda: self._download(missing), other=other, otherwise=race_these)

    def _parted(self) -> tuple[list[ModelReport], list[Candidate]]:
        """Models of the plan that would have to be downloaded, and the candidates that need no download."""
        from speedtest_tui.core.jobs.offers import absent

        missing, here = [], []
        for one in self.plan.candidates:
            own = (report for report in self.reports if report.backend == one.backend)
            report = next((report for report in own if one.size in (report.size, *report.sizes)), None)
            if report is not None and absent(report):
                missing.append(report)
            else:
                here.append(one)
        return missing, here

    def _download(self, missing: Sequence[ModelReport]) -> None:
        """Download models, and race when they are there unless something else was wanted meanwhile."""
        from speedtest_tui.core.jobs.download import Download

        if self.running or self._models.busy():
            return
        self._racing_next = self._planned()[1]
        self._store.remember(download=True)
        self._worker.run(Download(missing))
        self._screen.refresh_bindings()

    def job_ended(self, view: JobView) -> None:
        """Race where that was to follow a download, once it is known that the models are there."""
        wanted, self._racing_next = self._racing_next, None
        if view.kind != "download" or wanted is None:
            return
        self._store.remember(download=False)
        failed = [row for row in view.rows if row.state == "failed"]
        ended = view.state == "done" or (view.state == "failed" and bool(failed))
        if ended and wanted == self._planned()[1] and not self.running and not self._clips.recording:
            self._when_known, self._known = True, False
            self._failed = tuple(dict.fromkeys(row.advice.what if row.advice else "it failed" for row in failed))

    def _offer_rest(self) -> None:
        """A download that a race waited for was not finished when the program ended: offer to finish it."""
        if not self._store.settings.download or self._request.autostart or self.running or self._worker.busy:
            return
        self._store.remember(download=False)
        missing, _ = self._parted()
        if not missing:
            return
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.confirm import ask

        question = choices.not_here(missing, len(self.plan.candidates), waited=True)
        ask(self._screen, question, "Download and race", "Later", lambda: self._download(missing))

    def _start(self, only: Sequence[Candidate] = ()) -> None:
        """only: leave out all others, this time"""
        self._failed = ()
        clip = self._clips.clip
        if clip is None:
            self._when_ready = True
            self._worker.load(None)
        else:
            self._worker.microphone.rest()
            self._worker.stop_offering()
            self._worker.start(replace(self.plan, candidates=tuple(only)) if only else self.plan, clip.clip)
            self._screen.refresh_bindings()

    def clip_ready(self) -> None:
        """Start where only the clip was missing."""
        self._waiting_for.discard("clip")
        if self._when_ready:
            self._when_ready = False
            self.start()
        self._start_if_asked()

    def clip_refused(self) -> None:
        """There is no clip to start on."""
        self._when_ready = False

    def _start_if_asked(self) -> None:
        """Start by itself once everything is there, where that was asked for."""
        if self._request.autostart and not self._waiting_for and self.snapshot is None:
            self.start()

    def show(self, snapshot: RaceSnapshot) -> bool:
        """Take over how a race stands; returns whether it has just begun or ended."""
        before, self.snapshot = self.snapshot, snapshot
        if before is None or before.ended:
            self.raced_plan, self._raced = self.plan, self._planned()
            if view := self._clips.clip:
                self.raced_s, self._reference = view.clip.seconds, view.clip.reference
        return before is None or before.ended != snapshot.ended

    def end(self, kept: Kept) -> None:
        """Take over what was measured."""
        self.kept = kept
        if kept.folder is not None:
            self._clips.in_session()

    def judge_again(self) -> None:
        """Where the correct text of the clip that was raced has changed, its results are judged by the new one."""
        view, kept, shown = self._clips.clip, self.kept, self.snapshot
        if view is None or kept is None or shown is None or self.running or view.clip.samples is not self._raced[0]:
            return
        if view.clip.reference != self._reference:
            self._reference = view.clip.reference
            self._worker.judge(kept, shown, view.clip)

    def forget(self) -> None:
        """Clear the results."""
        self.snapshot = self.kept = None

    # Who takes part.

    def backends_known(self, entries: tuple[BackendEntry, ...]) -> None:
        """Backends of installed packages join where all were asked for, and not during a race."""
        self.entries = entries
        plan = self._request.with_entries(default_backends(entries))
        if self.snapshot is None and plan.backends != self.plan.backends:
            self.plan = self._request.with_models(self.plan, entries=plan.backends)
        self._changed()
        self._waiting_for.discard("backends")
        self._start_if_asked()

    def models_known(self, message: ModelsKnown) -> bool:
        """Take over how models stand; returns whether they are of the plan's size."""
        self.converted = message.converted
        if message.size != self.plan.size:
            return False
        self.reports, self._known = message.reports, True
        if self.all_backends and not self.running:
            # Where nobody chose backends, those without a model of the size need no row that says so.
            chosen = tuple(entry for entry in default_backends(self.entries) if entry.name not in self._without_model())
            if chosen and chosen != self.plan.backends:
                self.change_models(entries=chosen)
        if self._when_known:
            self._when_known = False
            self.start()
        else:
            self._offer_rest()
        return True

    def _without_model(self) -> set[str]:
        without: dict[str, bool] = {}
        for report in self.reports:
            without[report.backend] = report.without_model and without.get(report.backend, True)
        return {backend for backend, none in without.items() if none}

    def look_here(self, *, again: bool = False) -> None:
        """Find out which real models are here, where somebody is going to be told and nothing is being timed."""
        view = self._clips.clip
        told = self._clips.empty or (view is not None and not view.clip.demo and nano(self.waiting_rows()))
        alone = self._screen.app.screen is self._screen  # a screen above may look itself
        if told and alone and not self.running and not self._request.autostart and (again or self.here is None):
            self._worker.offer(self.entries, (), None, self._screen.post_message)

    def offers_known(self, offers: Offers) -> None:
        """Take over what could race. That nothing is here is only known at the end."""
        here = tuple(offer for offer in offers.offers if offer.here)
        if here or offers.done:
            self.here = here

    def look_up(self, again: bool = False) -> None:
        """Find out how the models stand, where size or backends are others than last time or `again`."""
        wanted: list[Candidate] = []
        for entry in dict.fromkeys((*default_backends(self.entries), *self.plan.backends)):
            own = [one for one in self.plan.candidates if one.entry == entry]
            wanted += own or cross((entry,), [size for size in self.plan.sizes if size in SIZES] or self.plan.sizes)
        if again or wanted != self._looked_up:
            self._looked_up, self._known = wanted, False
            self._worker.look_up(self.plan.size, wanted)

    # The plan.

    def change_plan(self, **changes: Any) -> None:
        """Change the plan for the next race; results stay until it starts."""
        self.plan = replace(self.plan, **changes)
        self._changed()

    def change_models(self, *, entries: Sequence[BackendEntry] = (), size: str = "") -> None:
        """The same with other backends, or of another size."""
        self.plan = self._request.with_models(self.plan, entries=entries, size=size)
        self._changed()

    def change_candidates(self, chosen: Sequence[Candidate]) -> None:
        """Race these next, and after a restart: as a size and backends where they are no more than that."""
        self.plan = replace(self.plan, candidates=tuple(chosen))
        plain = self._request.with_models(self.plan, size=self.plan.sizes[0])
        names = [entry.name for entry in self.plan.backends]
        usual = {one.name for one in default_backends(self.entries)}
        if {one.name for one in plain.candidates} == {one.name for one in self.plan.candidates}:
            self.all_backends = usual - self._without_model() == set(names)
            backends = () if self.all_backends else tuple(names)
            self._store.remember(size=self.plan.size, backends=backends, candidates=())
        else:
            self.all_backends = False
            self._store.remember(candidates=tuple(one.name for one in self.plan.candidates))
        self._changed()

    @property
    def outdated(self) -> bool:
        """Whether the results that are shown are of another clip, size or choice of backends than the next race's."""
        shown, (clip, rows) = self.snapshot, self._planned()
        if shown is None or not shown.ended or self._worker.racing:
            return False
        return rows != self._raced[1] or (clip is not None and clip is not self._raced[0])

    def _planned(self) -> tuple[Samples | None, set[str]]:
        """The clip and the rows of the next race."""
        view = self._clips.clip
        return view.clip.samples if view else None, {one.name for one in self.plan.candidates}

    def change_runs(self, step: int) -> None:
        """More or fewer runs."""
        runs = max(1, min(MAX_RUNS, self.plan.runs + step))
        self.change_plan(runs=runs)
        self._store.remember(runs=runs)

    def choose_size(self) -> None:
        """Ask for the model size."""
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.choice import ChoiceScreen

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                self._store.remember(size=keys[0], candidates=())
                self.change_models(size=keys[0])

        offered = choices.sizes(self.converted, self.plan.sizes[0])
        self._screen.app.push_screen(ChoiceScreen("Model size", offered, self.plan.sizes[:1]), chosen)

    def choose_language(self) -> None:
        """Ask for the language of the clip."""
        from speedtest_tui.ui.screens import choices
        from speedtest_tui.ui.screens.choice import ChoiceScreen

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                language = None if keys[0] == choices.AUTO else keys[0]
                self._store.remember(language=language or "")
                self.change_plan(language=language)

        now = (self.plan.language or choices.AUTO,)
        self._screen.app.push_screen(ChoiceScreen("Language of the clip", choices.languages(), now), chosen)

    def choose_candidates(self) -> None:
        """Ask which backends race with which models."""
        from speedtest_tui.ui.screens.picker import PickerScreen

        def chosen(candidates: tuple[Candidate, ...] | None) -> None:
            if candidates:
                self.change_candidates(candidates)
            self.look_here()

        view = self._clips.clip
        seconds = view.clip.seconds if view is not None else None
        self._screen.app.push_screen(PickerScreen(self._worker, self._store, self.entries, self.plan, seconds), chosen)

    def convert(self) -> None:
        """Make an MLX model of a NeMo checkpoint, and plan to race it where that is wanted."""
        from speedtest_tui.ui.screens.convert import Chosen, ConvertScreen

        def chosen(model: Chosen | None) -> None:
            if model is None:
                return
            self._store.remember(size=model.size, candidates=())
            names = {entry.name for entry in self.plan.backends} | {model.backend}
            self.change_models(size=model.size, entries=[entry for entry in self.entries if entry.name in names])

        self._screen.app.push_screen(ConvertScreen(self._worker, lambda: self.running), chosen)

    # What was measured.

    def copy(self) -> None:
        """Copy the results as Markdown."""
        from speedtest_tui.core.sessions.export import to_markdown

        if self.kept is None:
            self._screen.notify("There are no results to copy yet.", severity="warning")
            return
        app = self._screen.app
        app.copy_to_clipboard(to_markdown(self.kept.document))
        if in_browser(app):
            self._screen.notify("Copied as Markdown, if the browser allows it.")

    def compare(self) -> None:
        """Compare the newest session with the one before it on the same clip or plan."""
        from speedtest_tui.ui.screens.sessions import SessionsScreen

        self._screen.app.push_screen(SessionsScreen(compare=True))
