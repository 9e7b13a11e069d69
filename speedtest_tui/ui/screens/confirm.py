"""A question whose safe answer is the one at hand; and what every screen that is left with a result shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.markup import escape
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Static

from speedtest_tui.ui.widgets.pick_list import key_hint

Answer = Literal["yes", "no", "other"]


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


def ask(
    screen: Screen[Any],
    question: str,
    yes: str,
    no: str,
    then: Callable[[], object],
    *,
    other: str = "",
    otherwise: Callable[[], object] = lambda: None,
) -> None:
    """Ask above a screen; `then` follows on yes, `otherwise` on the third answer, and nothing on no."""

    def answered(answer: Answer | None) -> None:
        if answer == "yes":
            then()
        elif answer == "other":
            otherwise()

    screen.app.push_screen(ConfirmScreen(question, yes, no, other), answered)


def complain(screen: Screen[Any], sentence: str, title: str = "Something went wrong") -> None:
    """Say what went wrong, as it is: no markup."""
    screen.notify(sentence, title=title, severity="error", timeout=15, markup=False)


class ConfirmScreen(Once, ModalScreen[Answer]):
    """Returns the answer. `yes`, `no` and, where there is a third one, `other` say what happens: "Quit", "Stay"."""

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#confirm-no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('yes')", "yes", id="confirm-yes", tooltip="Do it"),
        Binding("n,escape", "answer('no')", "no", id="confirm-no", tooltip="Leave everything as it is"),
        Binding("d", "answer('other')", "other", id="confirm-other", tooltip="The third answer, where there is one"),
        Binding("enter", "press", "select", id="confirm-press", priority=True, tooltip="Select the focused answer"),
        Binding("left,up", "app.focus_previous", "previous", id="confirm-left", show=False, tooltip="Previous answer"),
        Binding("right,down", "app.focus_next", "next", id="confirm-right", show=False, tooltip="Next answer"),
    ]

    def __init__(self, question: str, yes: str, no: str, other: str = "") -> None:
        super().__init__()
        self._question = question
        # The safe answer stands first.
        self._labels = {"no": no, "other": other, "yes": yes} if other else {"no": no, "yes": yes}

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(Content(self._question), id="confirm-question")
            with Horizontal(id="confirm-answers"):
                for answer in self._labels:
                    yield Button(id=f"confirm-{answer}")

    def on_mount(self) -> None:
        # Each key stands in its answer: "y yes" beside "Keep recording" would have to be thought about.
        for answer, label in self._labels.items():
            key = key_hint(self, f"confirm-{answer}").partition("[bold")[2].partition("[/]")[0]
            self.query_one(f"Button#confirm-{answer}", Button).label = f"[bold{key}[/] {escape(label)}"
        self.query_one("#confirm").border_subtitle = key_hint(self, "confirm-press")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the answers that there are."""
        return action != "answer" or parameters[0] in self._labels

    def action_answer(self, answer: Answer) -> None:
        """Return the answer."""
        self.dismiss(answer)

    def action_press(self) -> None:
        """Return the focused answer; without a focus, the safe one."""
        focused = self.focused.id if self.focused is not None else None
        self.dismiss(focused.removeprefix("confirm-") if focused else "no")

    @on(Button.Pressed)
    def _pressed(self, message: Button.Pressed) -> None:
        self.dismiss((message.button.id or "").removeprefix("confirm-"))
