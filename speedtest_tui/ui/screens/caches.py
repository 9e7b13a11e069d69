"""The caches: problems with downloaded models and their repair, everything on disk, and the job that is running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widgets import DataTable, Static

from speedtest_tui.core.format import amount, one_line
from speedtest_tui.core.jobs.job import JobRow, JobView
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.locations import short
from speedtest_tui.core.repair.step import Step, bytes_to_download
from speedtest_tui.ui.screens.confirm import Once, ask, complain
from speedtest_tui.ui.screens.model_control import ModelControl
from speedtest_tui.ui.widgets.cache_table import (
    CacheTable,
    ProblemLine,
    StoredLine,
    key_of,
    problem_lines,
    stored_lines,
    summary,
    use_lines,
)
from speedtest_tui.ui.widgets.job_pane import JobPane
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.line_text import column, fit, fit_path
from speedtest_tui.ui.workers.messages import CachesInspected, JobChanged, TaskFailed

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.ui.workers.worker import Worker


NOTHING = "No problems found. Press l to list everything on disk, d to download models."


class CachesScreen(Once, Screen[None]):
    """Disk use above, the list in the middle, the job below."""

    CSS_PATH = "caches.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "#caches-problems"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space",
            "select",
            "select",
            id="cache-toggle",
            priority=True,
            tooltip="Select this step (again to leave it out)",
        ),
        Binding(
            "enter", "plan", "plan", id="cache-plan", priority=True, tooltip="Show what the selected steps would do"
        ),
        Binding("a", "apply", "apply", id="cache-apply", tooltip="Repair: apply the selected steps"),
        Binding("u", "undo", "undo", id="cache-undo", tooltip="Undo the last repair"),
        Binding("d", "download", "download", id="cache-download", tooltip="Download models"),
        Binding(
            "v", "verify", "verify", id="cache-verify", tooltip="Verify: load each model and transcribe a test tone"
        ),
        Binding("x", "checksum", "checksum", id="cache-checksum", tooltip="Compare every file with its known checksum"),
        Binding("l", "list", "list all", id="cache-list", tooltip="List everything on disk (again for the problems)"),
        Binding("t", "trash", "trash", id="cache-trash", tooltip="Empty the trash, which holds what repairs replaced"),
        Binding("r", "refresh_caches", "refresh", id="cache-refresh", tooltip="Read the caches again"),
        Binding("escape", "back", "back", id="cache-back", tooltip="Cancel the job, or go back to the dashboard"),
    ]

    def __init__(
        self, worker: Worker, entries: tuple[BackendEntry, ...], racing: Callable[[], bool] = lambda: False
    ) -> None:
        """racing: whether a race is running, whose times work on models would distort"""
        super().__init__()
        self.worker = worker
        self.models = ModelControl(self, worker, racing)
        self._entries = entries
        self._overview = CacheOverview()
        self._lines: tuple[ProblemLine, ...] = ()
        self._things: tuple[StoredLine, ...] = ()
        self._chosen: dict[str, bool] = {}
        self._trash_bytes = 0

    def compose(self) -> ComposeResult:
        yield Static(id="caches-status")
        yield Static(id="caches-use")
        with Horizontal(id="caches-tables"):
            yield CacheTable("caches-problems", "Problems", coloured=1)
            yield CacheTable("caches-stored", "On disk", coloured=0)
        yield Static(id="caches-detail")
        yield JobPane()
        yield KeyLine(always=("cache-back",))

    def on_mount(self) -> None:
        self.query_one("#caches-use").border_title = "Caches"
        self.worker.attach(self.post_message)
        view = self.worker.view
        if view is not None and (view.needs_you or not view.over):
            self.query_one(JobPane).show(view)  # a job that runs, or what went wrong last
        self.action_refresh_caches()

    def on_unmount(self) -> None:
        self.worker.detach(self.post_message)

    @property
    def complete(self) -> bool:
        """Whether everything in the caches is on the screen."""
        return self._overview.done

    # What the background reports.

    @on(CachesInspected)
    def _caches_inspected(self, message: CachesInspected) -> None:
        overview = message.overview
        if not overview.done and self._overview.done:
            return  # read again: what is shown stays until all is known
        self._overview, self._trash_bytes = overview, message.trash_bytes
        self._lines, self._things = problem_lines(overview), stored_lines(overview)
        for line in self._lines:
            if line.step is not None:
                self._chosen.setdefault(line.key, not line.step.optional)
        self._show()

    @on(JobChanged)
    def _job_changed(self, message: JobChanged) -> None:
        with self.app.batch_update():
            self.query_one(JobPane).show(message.view)
            if message.view.over:
                self.action_refresh_caches()
            self.refresh_bindings()

    @on(TaskFailed)
    def _task_failed(self, message: TaskFailed) -> None:
        complain(self, message.what)

    # What is shown.

    def _show(self) -> None:
        with self.app.batch_update():
            self._show_tables()
            self._show_use()
            self._show_detail()
        self.refresh_bindings()

    @property
    def _problems(self) -> CacheTable:
        return self.query_one("#caches-problems", CacheTable)

    @property
    def _stored(self) -> CacheTable:
        return self.query_one("#caches-stored", CacheTable)

    @property
    def _listing(self) -> bool:
        """Whether the list of everything has the focus."""
        return self.has_class("-listing")

    @on(CacheTable.WidthChanged)
    def _show_tables(self) -> None:
        # A table without a width is not on the screen, and is filled when it gets one.
        if self._problems.scrollable_content_region.width:
            self._problems.show_problems(self._lines, self._chosen)
        if self._stored.scrollable_content_region.width:
            self._stored.show_stored(self._things)

    def _show_use(self) -> None:
        lines = use_lines(self._overview.uses, self._trash_bytes)
        width = self.size.width
        shown = [
            f"{column(name, 8)} {column(size, 9, right=True)}  {column(free, 13)} {one_line(place)}"
            if width >= 60
            else f"{column(name, 8)} {column(size, 9, right=True)}"
            for name, size, free, place in lines
        ]
        self.query_one("#caches-use", Static).update(Content("\n".join(shown) or "reading the caches"))
        text = Content.assemble((" Caches", "bold"), "   ", summary(self._overview, self._lines))
        self.query_one("#caches-status", Static).update(text)

    @on(DataTable.RowHighlighted)
    def _show_detail(self) -> None:
        text, detail = self._detail(), self.query_one("#caches-detail", Static)
        detail.update(Content(text))
        detail.display = bool(text)

    def _detail(self) -> str:
        if self._listing:
            here = self._stored.here
            line = next((line for line in self._things if line.key == here), None)
            return self._fitted((short(Path(line.key)), *line.faults[:4])) if line else ""
        if not self._lines:
            return NOTHING if self._overview.done else ""
        problem = self._here
        return self._fitted(problem.details) if problem else ""

    def _fitted(self, lines: Iterable[str]) -> str:
        width = max(1, self.size.width - 6)
        return "\n".join((fit_path if line[:1] in "/~" else fit)(one_line(line), width) for line in lines)

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only where it does something."""
        if not self.is_mounted:
            return True
        if action == "select":
            return not self._listing and self._here is not None and self._here.step is not None
        if action in ("plan", "apply"):
            return bool(self._steps)
        return True

    @property
    def _here(self) -> ProblemLine | None:
        here = self._problems.here
        return next((line for line in self._lines if line.key == here), None)

    @property
    def _steps(self) -> tuple[Step, ...]:
        """The selected steps, in the order of the plan."""
        steps = self._overview.plan.steps
        return tuple(step for step in steps if self._chosen.get(key_of(step), False))

    def action_select(self) -> None:
        """Select the highlighted step, or leave it out."""
        here = self._here
        if here is not None and here.step is not None:
            self._chosen[here.key] = not self._chosen.get(here.key, False)
            self._show_tables()
            self.refresh_bindings()

    def action_plan(self) -> None:
        """Show what the selected steps would do."""
        steps = self._steps
        if self.models.busy() or not steps:
            return
        missing, known = bytes_to_download(steps)
        parts = [f"{len(steps)} step{'' if len(steps) == 1 else 's'}"]
        parts += [f"{'' if known else 'at least '}{amount(missing)} to download"] if missing or not known else []
        title = f"Plan · {', '.join(parts)}, nothing deleted · a applies"
        rows = tuple(JobRow(step.titled, step.titled) for step in steps)
        self.query_one(JobPane).show(JobView("repair", title, rows, state="done"))

    def action_apply(self) -> None:
        """Apply the selected steps."""
        if not self.models.refused() and self._steps:
            from speedtest_tui.core.jobs.repair import Repair

            declined = [step for step in self._overview.plan.steps if step not in self._steps]
            self.worker.run(Repair(self._steps, self._overview.reports, self._entries, declined=declined))

    def action_undo(self) -> None:
        """Undo the last repair."""
        if not self.models.refused():
            from speedtest_tui.core.jobs.repair import Undo

            self.worker.run(Undo())

    def action_checksum(self) -> None:
        """Compare everything whose checksum is known."""
        if not self.models.refused():
            from speedtest_tui.core.jobs.checksum import Checksum

            self.worker.run(Checksum(self._overview.reports))

    def action_trash(self) -> None:
        """Say how much is in the trash, and offer to empty it."""
        if self.models.refused():
            return
        if not self._trash_bytes:
            self.notify("The trash is empty.")
            return

        def empty() -> None:
            from speedtest_tui.core.jobs.repair import EmptyTrash

            self.worker.run(EmptyTrash())

        question = f"Delete the {amount(self._trash_bytes)} in the trash? Repairs can then no longer be undone."
        ask(self, question, "Delete it", "Keep it", empty)

    def action_verify(self) -> None:
        self.models.verify(self._overview.reports, self._entries)

    def action_download(self) -> None:
        self.models.download(self._overview.reports)

    def action_list(self) -> None:
        """Show everything on disk, or the problems."""
        self.set_class(not self._listing, "-listing")
        self.set_focus(self._stored if self._listing else self._problems)
        self._show()

    @on(DescendantFocus)
    def _focused_elsewhere(self) -> None:
        """Where both lists are on the screen, tab and the mouse move between them too."""
        listing = self.focused is self._stored
        if isinstance(self.focused, CacheTable) and listing != self._listing:
            self.set_class(listing, "-listing")
            self._show_detail()
            self.refresh_bindings()

    def action_refresh_caches(self) -> None:
        """Read the caches again."""
        self.worker.inspect(self._entries)

    def action_back(self) -> None:
        """Cancel the job, or go back."""
        if self.worker.busy:
            self.worker.cancel_job()
        elif self._listing:
            self.action_list()
        else:
            self.dismiss(None)
