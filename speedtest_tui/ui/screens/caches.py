"""The caches: what is wrong with them and how to mend it, what lies in them, and what is being done about it."""

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
from textual.widgets import DataTable, Static

from speedtest_tui.core.format import amount
from speedtest_tui.core.jobs.job import JobRow, JobView
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.locations import short
from speedtest_tui.core.repair.step import Step, bytes_to_download
from speedtest_tui.ui.screens.confirm import ConfirmScreen, Once
from speedtest_tui.ui.screens.model_actions import ModelActions
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
from speedtest_tui.ui.widgets.line_text import column, fit, fit_path, printable
from speedtest_tui.ui.workers.messages import CachesInspected, JobChanged, TaskFailed

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.models.status import ModelReport
    from speedtest_tui.ui.workers.worker import Worker


NOTHING = "Nothing needs mending. l lists what lies in the caches, d fetches models."


class CachesScreen(Once, ModelActions):
    """Disk use above, the list in the middle, the job below."""

    CSS_PATH = "caches.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "#caches-problems"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "select", "select", id="cache-toggle", priority=True, tooltip="Take this step, or leave it"),
        Binding("enter", "plan", "plan", id="cache-plan", priority=True, tooltip="What the selected steps would do"),
        Binding("a", "apply", "apply", id="cache-apply", tooltip="Do the selected steps"),
        Binding("u", "undo", "undo", id="cache-undo", tooltip="Put back what the last repair replaced"),
        Binding("d", "download", "download", id="cache-download", tooltip="Fetch models that are not here"),
        Binding("v", "verify", "verify", id="cache-verify", tooltip="Load models and transcribe a tone with them"),
        Binding("x", "checksum", "checksum", id="cache-checksum", tooltip="Hash every file that has a known hash"),
        Binding("l", "list", "list all", id="cache-list", tooltip="Everything that lies there, or the problems"),
        Binding("t", "trash", "trash", id="cache-trash", tooltip="What repairs replaced; emptying it frees the disk"),
        Binding("r", "look", "look again", id="cache-look", tooltip="Look at the caches again"),
        Binding("escape", "back", "back", id="cache-back", tooltip="Cancel what is under way, else to the dashboard"),
    ]

    def __init__(
        self, worker: Worker, entries: tuple[BackendEntry, ...], racing: Callable[[], bool] = lambda: False
    ) -> None:
        """racing: whether a race is being run, which work on models would disturb"""
        super().__init__()
        self.entries = entries
        self.models: tuple[ModelReport, ...] = ()
        self.worker = worker
        self._racing = racing
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
            self.query_one(JobPane).show(view)  # what is under way, or what went wrong last
        self.action_look()

    def on_unmount(self) -> None:
        self.worker.detach(self.post_message)

    @property
    def looked(self) -> bool:
        """Whether a whole look at the caches is on the screen."""
        return self._overview.done

    @property
    def under_way(self) -> bool:
        return self._racing()

    # What the background reports.

    @on(CachesInspected)
    def _caches_inspected(self, message: CachesInspected) -> None:
        overview = message.overview
        if not overview.done and self._overview.done:
            return  # looked at again: what is shown stays until the new look is whole
        self._overview, self._trash_bytes = overview, message.trash_bytes
        self.models = overview.reports
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
                self.action_look()
            self.refresh_bindings()

    @on(TaskFailed)
    def _task_failed(self, message: TaskFailed) -> None:
        self.notify(message.what, title="Something went wrong", severity="error", timeout=15, markup=False)

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
        """Whether the list of everything is what a person looks at."""
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
            f"{column(name, 8)} {column(size, 9, right=True)}  {column(free, 13)} {printable(place)}"
            if width >= 60
            else f"{column(name, 8)} {column(size, 9, right=True)}"
            for name, size, free, place in lines
        ]
        self.query_one("#caches-use", Static).update(Content("\n".join(shown) or "looking at the caches"))
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
        return "\n".join((fit_path if line[:1] in "/~" else fit)(printable(line), width) for line in lines)

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
        """Take the highlighted step, or leave it."""
        here = self._here
        if here is not None and here.step is not None:
            self._chosen[here.key] = not self._chosen.get(here.key, False)
            self._show_tables()
            self.refresh_bindings()

    def action_plan(self) -> None:
        """Show what the selected steps would do."""
        steps = self._steps
        if self._busy() or not steps:
            return
        fetch, known = bytes_to_download(steps)
        parts = [f"{len(steps)} step{'' if len(steps) == 1 else 's'}"]
        parts += [f"{'' if known else 'at least '}{amount(fetch)} to download"] if fetch or not known else []
        title = f"Plan · {', '.join(parts)}, nothing deleted (replaced files go to the trash) · a applies"
        rows = tuple(JobRow(step.titled, step.titled) for step in steps)
        self.query_one(JobPane).show(JobView("repair", title, rows, state="done"))

    def action_apply(self) -> None:
        """Do the selected steps."""
        if not self._refused() and self._steps:
            from speedtest_tui.core.jobs.repair import Repair

            declined = [step for step in self._overview.plan.steps if step not in self._steps]
            self.worker.run(Repair(self._steps, self._overview.reports, self.entries, declined=declined))

    def action_undo(self) -> None:
        """Put back what the last repair replaced."""
        if not self._refused():
            from speedtest_tui.core.jobs.repair import Undo

            self.worker.run(Undo())

    def action_checksum(self) -> None:
        """Hash everything whose hash is known."""
        if not self._refused():
            from speedtest_tui.core.jobs.checksum import Checksum

            self.worker.run(Checksum(self._overview.reports))

    def action_trash(self) -> None:
        """Say what is in the trash, and offer to empty it."""
        if self._refused():
            return
        if not self._trash_bytes:
            self.notify("The trash is empty: no repair has replaced anything.")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                from speedtest_tui.core.jobs.repair import EmptyTrash

                self.worker.run(EmptyTrash())

        question = f"The trash holds {amount(self._trash_bytes)} that repairs replaced. Once it is empty, undo is over."
        self.app.push_screen(ConfirmScreen(question, "Empty it", "Keep it"), answered)

    def action_list(self) -> None:
        """Everything that lies in the caches, or the problems."""
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

    def action_look(self) -> None:
        """Look at the caches again."""
        self.worker.inspect(self.entries)

    def action_back(self) -> None:
        """Cancel what is under way, else go back."""
        if self.worker.busy:
            self.worker.cancel_job()
        elif self._listing:
            self.action_list()
        else:
            self.dismiss(None)

    def _busy(self) -> bool:
        if self.worker.busy:
            self.notify("One thing at a time: press esc to cancel what is under way.", severity="warning")
        return self.worker.busy

    def _refused(self) -> bool:
        """Whether work cannot begin now; says why."""
        if self.under_way:
            self.notify("A race is under way, which this would disturb: press esc to cancel it.", severity="warning")
            return True
        return self._busy()
