"""Which model each backend would run, where it was found and how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from speedtest_tui.core import figures
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_NEEDS_YOU, Span, clipped, right

if TYPE_CHECKING:
    from speedtest_tui.core.caches.overview import ModelState

NAME, WHERE, SIZE = 13, 14, 7


class ModelList(Widget):
    """One line a backend."""

    DEFAULT_CSS = "ModelList { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._states: tuple[ModelState, ...] = ()

    def show(self, states: Sequence[ModelState]) -> None:
        self._states = tuple(states)
        self.refresh(layout=True)

    def render(self) -> Content:
        if not self._states:
            return Content("looking for models")
        lines = [Content.assemble(*model_line(state, self.size.width)) for state in self._states]
        return Content("\n").join(lines)


def model_line(state: ModelState, width: int) -> list[Span]:
    """Backend, model, place and size in `width` cells; the model's name gives way first."""
    glyph, style = ("✓", STYLE_BEST) if state.found else ("○", STYLE_NEEDS_YOU)
    model = max(0, width - 2 - NAME - WHERE - SIZE - 3)
    size = figures.megabytes(state.bytes / 1e6) if state.bytes else figures.DASH
    return [
        (f"{glyph} ", style),
        (set_cell_size(state.backend, NAME), "bold"),
        (f" {clipped(state.model, model):<{model}} ", ""),
        (set_cell_size(state.where, WHERE), "" if state.found else style),
        (" " + right(size, SIZE), ""),
    ]


class ModelsPane(VerticalScroll):
    """The list in a frame."""

    BORDER_TITLE = "Models"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="models")
        self._list = ModelList()

    def compose(self) -> ComposeResult:
        yield self._list

    def show(self, states: Sequence[ModelState]) -> None:
        """Show what was found."""
        self._list.show(states)
