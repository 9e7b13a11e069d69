"""The last line of the screen: keys that do something now, the most important first, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

GAP = 2


@dataclass(frozen=True)
class KeyHint:
    """A key as it is shown, what it does in a word, and the action that a click on it runs."""

    key: str
    word: str
    action: str

    @property
    def width(self) -> int:
        return cell_len(self.key) + 1 + cell_len(self.word)


def fitting(hints: Sequence[KeyHint], always: Sequence[KeyHint], width: int) -> list[KeyHint]:
    """As many of `hints` from the first on as leave room for all of `always`, which come last."""
    room = width - 1 + GAP - sum(hint.width + GAP for hint in always)
    shown = []
    for hint in hints:
        room -= hint.width + GAP
        if room < 0:
            break
        shown.append(hint)
    return [*shown, *always]


def keys_of(screen: Screen[Any]) -> dict[str, str]:
    """Action -> the first key that does it now, as it is shown."""
    keys: dict[str, str] = {}
    for active in screen.active_bindings.values():
        keys.setdefault(active.binding.action, screen.app.get_key_display(active.binding))
    return keys


class KeyLine(Widget):
    """Shows the active bindings of its screen in the order in which they are declared.

    always: ids of those that must not be dropped for want of room; they stand at the end
    """

    DEFAULT_CSS = "KeyLine { height: 1; dock: bottom; }"

    def __init__(self, always: tuple[str, ...] = ("help", "quit")) -> None:
        super().__init__()
        self._always = always
        self._shown: list[tuple[int, KeyHint]] = []

    def compose(self) -> ComposeResult:
        return iter(())

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def hints(self) -> list[KeyHint]:
        """What is shown at the present width."""
        optional: dict[str, KeyHint] = {}
        kept: dict[str, KeyHint] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or active.node is not self.screen:
                continue
            hint = KeyHint(self._key(binding), binding.description, binding.action)
            # A binding of several keys is listed once for each: its first key stands for all.
            (kept if binding.id in self._always else optional).setdefault(binding.action, hint)
        return fitting(list(optional.values()), list(kept.values()), self.size.width)

    def _key(self, binding: Binding) -> str:
        return self.app.get_key_display(binding)

    def render(self) -> Content:
        parts: list[Content | tuple[str, str] | str] = []
        self._shown = []
        at = 1
        for hint in self.hints():
            self._shown.append((at, hint))
            parts += [" " if not parts else " " * GAP, (hint.key, "bold $text-accent"), f" {hint.word}"]
            at += hint.width + GAP
        return Content.assemble(*parts)

    async def on_click(self, event: events.Click) -> None:
        for at, hint in self._shown:
            if at <= event.x < at + hint.width:
                await self.screen.run_action(hint.action)
