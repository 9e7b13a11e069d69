"""Choosing one or several of what there is: sizes, languages, devices, backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from speedtest_tui.core.format import one_line
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_NEEDS_YOU
from speedtest_tui.ui.widgets.line_text import column, wrap
from speedtest_tui.ui.widgets.pick_list import MOVES, PickList, key_hint

FILTER_FROM = 13
"""Choices from which on typing narrows the list down; shorter lists are faster to walk through."""


@dataclass(frozen=True)
class Choice:
    """Something to choose. A disabled one is shown, with the reason in `detail`, and cannot be chosen."""

    key: str
    label: str
    detail: str = ""
    disabled: bool = False


class ChoiceScreen(Once, ModalScreen[tuple[str, ...] | None]):
    """Returns the keys of what was chosen, in the order of the choices, or None.

    chosen: keys that are chosen already
    multiple: any number may be chosen, but never none
    empty: the sentence to show where there are no choices
    """

    CSS_PATH = "choice.tcss"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "confirm", "choose", id="choice-confirm", priority=True, tooltip="Use this choice"),
        Binding(
            "space",
            "toggle_here",
            "on/off",
            id="choice-toggle",
            tooltip="Select the highlighted entry (again to leave it out)",
        ),
        Binding("a", "all", "all", id="choice-all", tooltip="Select everything that is available"),
        Binding("n", "only", "only", id="choice-only", tooltip="Select only the highlighted entry"),
        Binding("escape", "cancel", "back", id="choice-cancel", tooltip="Back without changing anything"),
        Binding("home", "move('first')", "first", id="choice-first", show=False, tooltip="To the first entry"),
        Binding("end", "move('last')", "last", id="choice-last", show=False, tooltip="To the last entry"),
        *MOVES,
    ]

    def __init__(
        self,
        title: str,
        choices: tuple[Choice, ...],
        chosen: tuple[str, ...],
        multiple: bool = False,
        empty: str = "",
    ) -> None:
        super().__init__()
        self._heading = title
        self._choices = choices
        self._multiple = multiple
        self._empty = empty
        self._chosen = {choice.key for choice in choices if choice.key in chosen and not choice.disabled}
        self._shown = choices
        self._filtering = not multiple and len(choices) >= FILTER_FROM

    def compose(self) -> ComposeResult:
        with Vertical(id="choice"):
            if self._filtering:
                yield Input(compact=True, placeholder="type to filter", id="choice-filter")
            yield PickList(id="choice-list")
            yield Static(id="choice-note")

    def on_mount(self) -> None:
        keys = ["choice-confirm", "choice-toggle", "choice-all", "choice-only", "choice-cancel"]
        pane = self.query_one("#choice")
        pane.border_subtitle = key_hint(self, *(keys if self._choices else keys[-1:]))
        pane.set_class(self._filtering, "-filtering")
        self._show()
        entries = self.query_one(PickList)
        usable = [place for place, choice in enumerate(self._shown) if not choice.disabled]
        entries.highlighted = next((place for place in usable if self._shown[place].key in self._chosen), None)
        if entries.highlighted is None:
            entries.highlighted = next(iter(usable), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only where it does something."""
        return self._multiple if action in {"toggle_here", "all", "only"} else True

    # What is shown.

    @on(PickList.WidthChanged)
    def _width_changed(self) -> None:
        self._show()

    @on(Input.Changed)
    def _narrow_down(self, message: Input.Changed) -> None:
        wanted = message.value.strip().casefold()
        found = [(_likeness(choice, wanted), choice) for choice in self._choices]
        self._shown = tuple(choice for _, choice in sorted((f for f in found if f[0] < 3), key=lambda f: f[0]))
        self._show()
        # With nothing typed the present choice is the one to start from again, not the top of the list.
        usable = [place for place, choice in enumerate(self._shown) if not choice.disabled]
        present = [place for place in usable if not wanted and self._shown[place].key in self._chosen]
        self.query_one(PickList).highlighted = next(iter(present or usable), None)

    def _show(self, problem: str = "") -> None:
        entries = self.query_one(PickList)
        before = entries.highlighted
        width = entries.text_width
        label = min(max((cell_len(choice.label) for choice in self._choices), default=0), max(10, width * 45 // 100))
        with self.app.batch_update():
            entries.set_options(
                Option(self._prompt(choice, label, width), disabled=choice.disabled) for choice in self._shown
            )
            entries.highlighted = before
            self._tell(problem)

    def _tell(self, problem: str) -> None:
        note = problem and f"! {problem}"
        if not self._choices:
            note = self._empty or "nothing to choose from"
        elif not self._shown:
            note = "nothing matches"
        line = self.query_one("#choice-note", Static)
        line.update(Content(note))
        line.set_class(bool(problem), "-problem")
        line.display = self._multiple or not self._shown
        self.query_one(PickList).display = bool(self._choices)
        count = f" · {len(self._chosen)} of {len(self._choices)}" if self._multiple and self._choices else ""
        self.query_one("#choice").border_title = Content(self._heading + count).markup

    def _prompt(self, choice: Choice, label: int, width: int) -> Content:
        """Mark, label and detail in columns; where they do not fit, the detail continues below."""
        on = choice.key in self._chosen
        mark = ("[x] " if on else "[ ] ") if self._multiple else ("✓ " if on else "  ")
        style = STYLE_BEST if on else ""
        words = [choice.detail, "chosen" if on and not self._multiple else ""]
        if choice.disabled:
            mark, style = column("○", len(mark)), STYLE_NEEDS_YOU
            words.insert(0, "not available")
        detail = one_line(" · ".join(filter(None, words)))
        indent = len(mark) + label + 2
        name = one_line(choice.label)
        head: Sequence[str]
        if cell_len(name) <= label:
            head, rest = [], wrap(detail, width - indent)
            first = f"{column(name, label)}  {rest[0] if rest else ''}"
        else:
            head, rest = wrap(name, width - len(mark)), ["", *wrap(detail, width - indent)]
            first = head[0]
        below = [" " * len(mark) + line for line in head[1:]] + [" " * indent + line for line in rest[1:]]
        return Content.assemble((mark, style), "\n".join([first.rstrip(), *below]))

    # What the keys do.

    def action_move(self, how: str) -> None:
        """Move through the list."""
        self.query_one(PickList).move(how)

    def action_confirm(self) -> None:
        """Return what is chosen: what is highlighted where it can be one only."""
        here = self._here()
        if self._multiple:
            if self._chosen:
                self._return()
            elif self._choices:
                self._show("select at least one")
        elif here is not None:
            self._chosen = {here.key}
            self._return()

    def action_toggle_here(self) -> None:
        """Select what is highlighted, or leave it out."""
        if (here := self._here()) is None:
            return
        if self._chosen == {here.key}:
            self._show("at least one must stay selected")
            return
        self._chosen ^= {here.key}
        self._show()

    def action_all(self) -> None:
        """Choose everything that is available."""
        self._chosen = {choice.key for choice in self._choices if not choice.disabled}
        self._show()

    def action_only(self) -> None:
        """Choose what is highlighted and nothing else."""
        if (here := self._here()) is not None:
            self._chosen = {here.key}
            self._show()

    def action_cancel(self) -> None:
        """Return nothing."""
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        if self._multiple:
            self.action_toggle_here()
        else:
            self.action_confirm()

    def _here(self) -> Choice | None:
        place = self.query_one(PickList).highlighted
        here = self._shown[place] if place is not None else None
        return None if here is None or here.disabled else here

    def _return(self) -> None:
        self.dismiss(tuple(choice.key for choice in self._choices if choice.key in self._chosen))


def _likeness(choice: Choice, wanted: str) -> int:
    """0 for a choice whose label begins with what was typed, then its detail, then either holding it; 3 for none."""
    label, detail = choice.label.casefold(), choice.detail.casefold()
    tests = (label.startswith(wanted), detail.startswith(wanted), wanted in f"{label} {choice.key} {detail}")
    return tests.index(True) if any(tests) else 3
