"""Converting a checkpoint: which one, what is in it, in which number format and where to; then its stages and proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from speedtest_tui.core.format import one_line
from speedtest_tui.core.locations import short
from speedtest_tui.ui.screens.confirm import Once, complain
from speedtest_tui.ui.screens.model_control import ModelControl
from speedtest_tui.ui.widgets import convert_text
from speedtest_tui.ui.widgets.convert_text import FormsPane
from speedtest_tui.ui.widgets.job_pane import JobPane
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.line_text import wrap
from speedtest_tui.ui.widgets.pick_list import MOVES, PickList, key_hint
from speedtest_tui.ui.workers.messages import CheckpointRead, JobChanged, TargetRead, TaskFailed

if TYPE_CHECKING:
    from speedtest_tui.core.convert.convert import Converted, Target
    from speedtest_tui.core.convert.preview import Form, Preview
    from speedtest_tui.core.jobs.job import JobView
    from speedtest_tui.ui.workers.worker import Worker


SUFFIXES = frozenset({"nemo"})


@dataclass(frozen=True)
class Chosen:
    """A converted model that is to be raced: its size, and the backend that reads it."""

    size: str
    backend: str


class ConvertScreen(Once, Screen[Chosen | None]):
    """Returns what a person wants to race, or None.

    path: the checkpoint; asked for where it is None
    racing: whether a race is running, whose times a conversion would distort
    """

    CSS_PATH = "convert.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "convert", id="convert-start", priority=True, tooltip="Convert the checkpoint"),
        Binding("s", "use", "use as size", id="convert-use", tooltip="Race this model: choose it as the size"),
        Binding("o", "pick", "open", id="convert-pick", tooltip="Open another checkpoint"),
        Binding("tab", "folder", "edit", id="convert-edit", show=False, priority=True, tooltip="Enter another folder"),
        Binding(
            "escape", "back", "back", id="convert-back", tooltip="Cancel the conversion, or go back to the dashboard"
        ),
        *MOVES,
    ]

    def __init__(self, worker: Worker, racing: Callable[[], bool] = lambda: False, path: Path | None = None) -> None:
        super().__init__()
        self._worker = worker
        self._models = ModelControl(self, worker, racing)
        self._path = path
        self._preview: Preview | None = None
        self._marked: Form | None = None
        self._problem = ""
        self._target: Target | None = None
        self._suggested = ""
        self._typed = False
        self._start_when_read = False
        self._note = ""
        self._view: JobView | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="convert-status")
        yield Static(id="convert-source")
        yield FormsPane()
        with Vertical(id="convert-target"):
            yield Input(compact=True, id="convert-folder", select_on_focus=False)
            yield Static(id="convert-note")
        yield JobPane()
        yield Static(id="convert-parity")
        yield KeyLine(always=("convert-back",))

    def on_mount(self) -> None:
        for name, title in (("source", "Checkpoint"), ("target", "Folder")):
            self.query_one(f"#convert-{name}").border_title = title
        self.query_one("#convert-forms").border_subtitle = key_hint(self, "pick-up")
        self.query_one("#convert-target").border_subtitle = key_hint(self, "convert-edit")
        self.query_one("#convert-parity").border_title = "Parity with the checkpoint in PyTorch"
        self._worker.attach(self.post_message)
        view = self._worker.view
        if view is not None and view.kind == "convert" and not view.over:
            self._show_job(view)
        elif self._path is None:
            self.action_pick()
        else:
            self._read(self._path)
        self._show()

    def on_unmount(self) -> None:
        self._worker.stop_reading()
        self._worker.detach(self.post_message)

    # The checkpoint and the folder, which are read in threads.

    def _read(self, path: Path) -> None:
        self._path, self._preview, self._problem, self._target = path, None, "", None
        self._marked = None
        self._typed, self._view, self._note = False, None, ""
        self._show()
        self._worker.read_checkpoint(path, self.post_message)

    @on(CheckpointRead)
    def _checkpoint_read(self, message: CheckpointRead) -> None:
        if message.path != self._path:
            return
        self._preview, self._problem = message.preview, str(message.advice or "")
        self._show()
        self.query_one(FormsPane).mark_first()

    def _suggest(self) -> None:
        if not self._typed and self._form is not None and self._path is not None:
            self._worker.suggest_folder(self._path, self._form.name, self.post_message)

    @on(Input.Changed)
    def _folder_typed(self, message: Input.Changed) -> None:
        if message.value == self._suggested:
            return
        self._typed, self._target, self._note = True, None, ""
        self._worker.read_folder(message.value, self.post_message)
        self._show_note()

    @on(TargetRead)
    def _target_read(self, message: TargetRead) -> None:
        field = self.query_one(Input)
        if message.text is None and not self._typed:
            self._suggested = field.value = one_line(short(message.target.path))
        elif message.text != field.value:
            return  # typed on since
        self._target = message.target
        self._show()
        if self._start_when_read:
            self.action_start()

    # What the job reports.

    @on(JobChanged)
    def _job_changed(self, message: JobChanged) -> None:
        if message.view.kind == "convert":
            self._show_job(message.view)
        self.refresh_bindings()

    def _show_job(self, view: JobView) -> None:
        failed = view.needs_you
        # After a failure back to what can be changed: the sentence stands where the conversion is started from.
        self._view = None if failed else view
        self._note = view.summary if failed else ""
        if self._preview is None:
            self._problem = self._note  # begun before this screen was opened: there are no choices to go back to
        with self.app.batch_update():
            self.query_one(JobPane).show(view)
            self._show()

    @on(TaskFailed)
    def _task_failed(self, message: TaskFailed) -> None:
        complain(self, message.what)

    # What is shown.

    @property
    def _form(self) -> Form | None:
        return self.query_one(FormsPane).marked

    @property
    def _converting(self) -> bool:
        """Whether a conversion runs, be it one that has not reported yet."""
        view = self._worker.view
        return self._worker.busy and (view is None or view.kind == "convert")

    @property
    def _working(self) -> bool:
        """Whether a conversion runs or has succeeded: then its stages replace the choices."""
        return self._view is not None

    @property
    def _converted(self) -> Converted | None:
        """What a conversion that has succeeded made."""
        return cast("Converted | None", self._view.result) if self._view else None

    def _show(self) -> None:
        done = self._converted
        self.set_class(self._working, "-working")
        self.query_one(JobPane).display = self._working
        proof = self.query_one("#convert-parity", Static)
        proof.display = done is not None
        self.set_class(done is not None, "-proven")
        if done is not None:
            proof.update(convert_text.parity(done.report, self.size.width - 4))
            proof.border_subtitle = convert_text.limited(done.report)
        name = self._path.name if self._path else ""
        if self._working and self._view:
            name = self._view.subject
        free = self._target.free if self._target and not self._target.problem else None
        self.query_one("#convert-status", Static).update(Content(convert_text.status(name, free, self.size.width)))
        self._show_source()
        self._show_forms(free)
        self._show_note()
        self.refresh_bindings()

    def _show_source(self) -> None:
        source = self.query_one("#convert-source", Static)
        width = self.size.width - 4
        if self._preview is not None:
            lines = convert_text.source_lines(self._preview, width)
        elif self._problem:
            lines = wrap(f"✗ {one_line(self._problem)}", width)
        elif self._path is not None:
            lines = [f"reading {one_line(self._path.name)} …"]
        else:
            lines = ["Press o to open a checkpoint: a file that ends in .nemo."]
        source.update(Content("\n".join(lines)))
        source.set_class(bool(self._problem), "-problem")
        source.set_class(self._working and self._preview is None, "-unknown")

    @on(PickList.WidthChanged)
    def _width_changed(self) -> None:
        self._show()

    def _show_forms(self, free: int | None) -> None:
        forms = self._preview.forms if self._preview else ()
        self.query_one(FormsPane).show(forms, free)
        for name in ("#convert-forms", "#convert-target"):
            self.query_one(name).display = bool(forms) and not self._working

    def _show_note(self) -> None:
        note = self.query_one("#convert-note", Static)
        form = self._form
        problem = self._note or (self._target.problem if self._target else "")
        if not problem and form is not None and self._target is not None:
            problem = convert_text.too_large(form, self._target.free)
        note.update(Content("\n".join(wrap(f"✗ {one_line(problem)}", max(1, self.size.width - 6))) if problem else ""))
        note.display = bool(problem)

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only where it does something."""
        if not self.is_mounted:
            return True
        if action in ("start", "folder", "move"):
            return self._preview is not None and not self._working
        if action == "use":
            return self._converted is not None
        if action == "pick":
            return not self._converting
        return True

    def action_move(self, how: str) -> None:
        """Choose another number format."""
        self.query_one(FormsPane).move(how)

    @on(OptionList.OptionHighlighted)
    def _form_marked(self) -> None:
        if self._form is self._marked:
            return  # the list was only filled again
        self._marked, self._note = self._form, ""
        self._suggest()
        self._show_note()

    def action_folder(self) -> None:
        """Type another folder, or go back to the formats."""
        field = self.query_one(Input)
        self.set_focus(None if field.has_focus else field)

    def action_pick(self) -> None:
        """Choose a checkpoint; without any there is nothing to do here."""
        from speedtest_tui.ui.screens.open_file import OpenFileScreen

        def picked(path: Path | None) -> None:
            if path is not None:
                self._read(path)
            elif self._path is None:
                self.dismiss(None)

        start = self._path.parent if self._path else Path.cwd()
        screen = OpenFileScreen((), start, title="Checkpoint", suffixes=SUFFIXES, kind=".nemo file")
        self.app.push_screen(screen, picked)

    def action_start(self) -> None:
        """Convert, once everything that must be known is."""
        from speedtest_tui.core.jobs.convert import Convert

        self._start_when_read = False
        form, target = self._form, self._target
        if form is None or self._path is None or form.problem or self._models.refused("cancel it on the dashboard"):
            return
        if target is None:
            self._start_when_read = True  # typed faster than the folder could be read
            return
        if target.problem or convert_text.too_large(form, target.free):
            self._show_note()
            return
        self.set_focus(None)
        self._worker.run(Convert(self._path, target.path, form.dtype, form.bits))
        self.refresh_bindings()

    def action_use(self) -> None:
        """Choose the new model as the size to race."""
        from speedtest_tui.core.models.own import name_of_folder

        done = self._converted
        if done is not None:
            self.dismiss(Chosen(name_of_folder(done.folder), done.report.reader))

    def action_back(self) -> None:
        """Cancel the conversion, leave the field, or go back."""
        if self._converting:
            self._worker.cancel_job()
        elif self.query_one(Input).has_focus:
            self.set_focus(None)
        else:
            self.dismiss(None)
