"""The number formats that a checkpoint can be converted to, of which one is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual.widgets.option_list import Option

from speedtest_tui.ui.screens import convert_text
from speedtest_tui.ui.widgets.pick_list import PickList

if TYPE_CHECKING:
    from speedtest_tui.core.convert.preview import Form


class FormsPane(Vertical):
    """A list in a frame. It is driven by the screen's keys."""

    BORDER_TITLE = "Number format"

    def __init__(self) -> None:
        super().__init__(id="convert-forms")
        self._forms: tuple[Form, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(Content(f" {convert_text.form_header()}"), id="convert-titles")
        yield PickList(id="convert-list")

    @property
    def marked(self) -> Form | None:
        """The format that a conversion would take."""
        place = self.query_one(PickList).highlighted
        return self._forms[place] if place is not None and place < len(self._forms) else None

    def show(self, forms: Sequence[Form], free: int | None) -> None:
        """Fill the list; `free` is the room on the disk. A mark stays where it is."""
        entries = self.query_one(PickList)
        before, self._forms = entries.highlighted, tuple(forms)
        entries.set_options(
            Option(convert_text.form_line(form, free, entries.text_width), disabled=bool(form.problem))
            for form in self._forms
        )
        entries.highlighted = before if before is not None and before < len(self._forms) else None

    def mark_first(self) -> None:
        """Mark the first format that can be chosen."""
        usable = (place for place, form in enumerate(self._forms) if not form.problem)
        self.query_one(PickList).highlighted = next(usable, None)

    def move(self, how: str) -> None:
        """Mark another one."""
        self.query_one(PickList).move(how)
