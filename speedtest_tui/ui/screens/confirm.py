"""A question with two answers, of which doing nothing is the one at hand.

Screens that are left once, however fast somebody types.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from speedtest_tui.ui.widgets.pick_list import key_hint


class Once:
    """For a screen that is dismissed: a second dismissal does nothing.

    Keys that were typed before the first one took effect still reach the screen; in Textual 8.2 each of them would take
    another screen off the stack and call the callback again.
    """

    _dismissed = False

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Leave the screen and hand over its result, the first time."""
        if self._dismissed:
            return AwaitComplete()
        self._dismissed = True
        left: AwaitComplete = super().dismiss(result)  # type: ignore[misc]
        return left


class ConfirmScreen(Once, ModalScreen[bool]):
    """Returns whether `yes` was chosen. `yes` and `no` say what happens: "Quit", "Keep recording"."""

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#confirm-no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm-yes", tooltip="Do it"),
        Binding("n,escape", "answer(False)", "no", id="confirm-no", tooltip="Leave everything as it is"),
        Binding("enter", "press", "marked answer", id="confirm-press", priority=True, tooltip="As marked"),
        Binding("left,up", "app.focus_previous", "other", id="confirm-left", show=False, tooltip="The other answer"),
        Binding("right,down", "app.focus_next", "other", id="confirm-right", show=False, tooltip="The other answer"),
    ]

    def __init__(self, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._question = question
        self._labels = (yes, no)

    def compose(self) -> ComposeResult:
        yes, no = self._labels
        with Vertical(id="confirm"):
            yield Static(Content(self._question), id="confirm-question")
            with Horizontal(id="confirm-answers"):
                yield Button(no, id="confirm-no")
                yield Button(yes, id="confirm-yes")

    def on_mount(self) -> None:
        # Each key stands in its answer: "y yes" beside "Keep recording" would have to be thought about.
        for name, answer in (("confirm-yes", self._labels[0]), ("confirm-no", self._labels[1])):
            key = key_hint(self, name).partition("[bold")[2].partition("[/]")[0]
            self.query_one(f"Button#{name}", Button).label = f"[bold{key}[/] {escape(answer)}"
        self.query_one("#confirm").border_subtitle = key_hint(self, "confirm-press")

    def action_answer(self, answer: bool) -> None:
        """Return the answer."""
        self.dismiss(answer)

    def action_press(self) -> None:
        """Return the focused answer; without a focus, the safe one."""
        self.dismiss(self.focused is not None and self.focused.id == "confirm-yes")

    @on(Button.Pressed)
    def _pressed(self, message: Button.Pressed) -> None:
        self.dismiss(message.button.id == "confirm-yes")
