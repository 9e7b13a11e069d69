"""What `v` and `d` do wherever models are listed: choose some, and have them loaded or fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.ui.screens.choice import Choice
    from speedtest_tui.ui.workers.worker import Worker


class ModelActions(Screen[Any]):
    """For screens that list models. `models` are those that the keys offer, `worker` does the work."""

    entries: tuple[BackendEntry, ...]
    models: tuple[ModelReport, ...]
    worker: Worker

    @property
    def under_way(self) -> bool:
        """Whether a race is being run, whose figures any other work would falsify."""
        raise NotImplementedError

    def action_verify(self) -> None:
        """Load models and transcribe a tone with them."""
        from speedtest_tui.ui.screens import choices

        def start(chosen: list[ModelReport]) -> None:
            from speedtest_tui.core.jobs.verify import Verify

            self.worker.run(Verify(chosen, self.entries))

        offered = choices.to_verify(self.models)
        self._choose("Verify by loading", offered, "There is no model on this machine to load.", start)

    def action_download(self) -> None:
        """Fetch models."""
        from speedtest_tui.ui.screens import choices

        def start(chosen: list[ModelReport]) -> None:
            from speedtest_tui.core.jobs.download import Download

            self.worker.run(Download(chosen))

        offered = choices.to_download(self.models)
        nothing = "These models need no download: they are on this machine, or built in."
        self._choose("Download", offered, nothing, start)

    def _choose(
        self, title: str, offered: tuple[Choice, ...], nothing: str, then: Callable[[list[ModelReport]], None]
    ) -> None:
        from speedtest_tui.ui.screens.choice import ChoiceScreen
        from speedtest_tui.ui.screens.choices import key_of

        if self.under_way:
            self.notify("A race is under way, which this would disturb: press esc to cancel it.", severity="warning")
            return
        if self.worker.busy:
            self.notify("One thing at a time: press esc to cancel what is under way.", severity="warning")
            return
        possible = tuple(choice.key for choice in offered if not choice.disabled)
        if not possible:
            self.notify(nothing)
            return
        by_key = {key_of(report): report for report in self.models}

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys and not self.worker.busy:
                then([by_key[key] for key in keys if key in by_key])
                self.refresh_bindings()

        self.app.push_screen(ChoiceScreen(title, offered, possible, multiple=True), chosen)
