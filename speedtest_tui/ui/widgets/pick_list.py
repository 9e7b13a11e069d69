"""A list that is driven from elsewhere: the keyboard stays with an input field or with the screen."""

from __future__ import annotations

import contextlib
from typing import Any

from rich.segment import Segment
from textual.binding import Binding
from textual.events import Resize
from textual.markup import escape
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import OptionList

POINTER = "▌"


def _move(key: str, how: str, tooltip: str, display: str | None = None) -> Binding:
    # Input fields inherit keys for scrolling from their base class: without priority these would be hidden by them.
    name = f"pick-{key}"
    return Binding(
        key, f"move('{how}')", "move", id=name, show=False, priority=True, key_display=display, tooltip=tooltip
    )


MOVES: tuple[Binding, ...] = (
    _move("up", "cursor_up", "To the entry above", "↑↓"),
    _move("down", "cursor_down", "To the entry below"),
    _move("pageup", "page_up", "A page up"),
    _move("pagedown", "page_down", "A page down"),
)
"""Bindings for a screen with one `PickList` and an `action_move` that hands on to `PickList.move`."""


class PickList(OptionList, can_focus=False):
    """Marks its highlighted entry with a bar as well as a tint, because not every terminal shows the tint."""

    # The least width: Textual 8.2 cannot draw options in no cells at all.
    DEFAULT_CSS = """
    PickList {
        border: none;
        padding: 0;
        min-width: 8;
        background: transparent;
        scrollbar-size: 0 1;
        scrollbar-gutter: stable;

        & > .option-list--option {
            padding: 0 1;
        }
        & > .option-list--option-highlighted {
            color: $foreground;
            background: $block-cursor-blurred-background;
            text-style: bold;
        }
        & > .option-list--option-disabled {
            color: $foreground;
        }
    }
    """

    class WidthChanged(Message):
        """What the list shows should be laid out again."""

    @property
    def text_width(self) -> int:
        """Cells that a prompt may take."""
        return max(0, self.scrollable_content_region.width - 2)

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())

    def move(self, how: str) -> None:
        """Move the highlight: cursor_up, cursor_down, page_up, page_down, first or last."""
        # Textual 8.2 cannot page through a list that has options but no lines yet.
        with contextlib.suppress(KeyError):
            getattr(self, f"action_{how}")()

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        first = next(iter(strip), None)
        style = first.style if first else None
        if style is None or self.highlighted is None or style.meta.get("option") != self.highlighted:
            return strip
        return Strip.join([Strip([Segment(POINTER, style)]), strip.crop(1)])


def key_hint(screen: Screen[Any], *names: str) -> str:
    """Markup that says which key does what, for a border: "↵ open  esc back". A click on a part does it as well.

    names: ids of the screen's bindings; rebound keys are shown as they are
    """
    bindings: dict[str | None, Binding] = {}
    for active in screen.active_bindings.values():
        bindings.setdefault(active.binding.id, active.binding)
    parts = []
    for name in names:
        if binding := bindings.get(name):
            key = escape(screen.app.get_key_display(binding))
            parts.append(
                f"[@click=screen.{binding.action}][bold $text-accent]{key}[/] {escape(binding.description)}[/]"
            )
    return "  ".join(parts)
