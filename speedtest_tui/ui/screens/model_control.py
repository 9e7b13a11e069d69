"""Verifying and downloading, for each screen that lists models; and why no work on models can begin now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.jobs.job import JobKind
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.ui.screens.choice import Choice
    from speedtest_tui.ui.workers.worker import Worker


RUNNING: dict[JobKind, str] = {
    "verify": "Models are being verified",
    "checksum": "Checksums are being compared",
    "download": "A download is running",
    "repair": "A repair is running",
    "undo": "A repair is being undone",
    "trash": "The trash is being emptied",
    "convert": "A conversion is running",
}


class ModelControl:
    """One job at a time, and none beside a race.

    screen: where questions and notices appear
    racing: whether a race is running, whose times other work would distort
    """

    def __init__(self, screen: Screen[Any], worker: Worker, racing: Callable[[], bool]) -> None:
        self._screen = screen
        self._worker = worker
        self._racing = racing

    def verify(self, reports: Sequence[ModelReport], entries: Sequence[BackendEntry]) -> None:
        """Ask which models, load each and transcribe a test tone with it."""
        from speedtest_tui.ui.screens import choices

        def start(chosen: list[ModelReport]) -> None:
            from speedtest_tui.core.jobs.verify import Verify

            self._worker.run(Verify(chosen, entries))

        nothing = "No model of this list is on this machine yet: press d to download one."
        self._choose("Verify", reports, choices.to_verify(reports), nothing, start)

    def download(self, reports: Sequence[ModelReport]) -> None:
        """Ask which models, and download them; a download that was stopped is resumed."""
        from speedtest_tui.ui.screens import choices

        def start(chosen: list[ModelReport]) -> None:
            from speedtest_tui.core.jobs.download import Download

            self._worker.run(Download(chosen))

        nothing = "Nothing to download: these models are complete or built in."
        self._choose("Download", reports, choices.to_download(reports), nothing, start)

    def _choose(
        self,
        title: str,
        reports: Sequence[ModelReport],
        offered: tuple[Choice, ...],
        nothing: str,
        then: Callable[[list[ModelReport]], None],
    ) -> None:
        from speedtest_tui.ui.screens.choice import ChoiceScreen
        from speedtest_tui.ui.screens.choices import key_of

        if self.refused():
            return
        possible = tuple(choice.key for choice in offered if not choice.disabled)
        if not possible:
            self._screen.notify(next((choice.detail for choice in offered), nothing))
            return
        by_key = {key_of(report): report for report in reports}

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys and not self._worker.busy:
                then([by_key[key] for key in keys if key in by_key])
                self._screen.refresh_bindings()

        self._screen.app.push_screen(ChoiceScreen(title, offered, possible, multiple=True), chosen)

    def refused(self, cancel: str = "press esc to cancel it") -> bool:
        """Whether work on models cannot begin now; says why, and in `cancel` how to change that."""
        if self._racing():
            self._screen.notify(f"A race is running: {cancel} first.", severity="warning")
            return True
        return self.busy(cancel)

    def busy(self, cancel: str = "press esc to cancel it") -> bool:
        """Whether a job is running; says so."""
        if self._worker.busy:
            self._screen.notify(f"{self.running}: wait, or {cancel}.", severity="warning")
        return self._worker.busy

    @property
    def running(self) -> str:
        """What is being done to models, as the beginning of a sentence."""
        view = self._worker.view
        return RUNNING[view.kind] if view is not None else "Work on models is running"
