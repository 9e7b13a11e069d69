"""The two panes of the sessions' screen; both say when their width has changed, and the screen fills them anew."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Static

from speedtest_tui.ui.screens.session_text import SessionLine
from speedtest_tui.ui.widgets.line_text import fit


class DetailsScroll(VerticalScroll):
    """What the highlighted session says; laid out for its width."""

    class WidthChanged(Message):
        """Lay it out again."""

    def compose(self) -> ComposeResult:
        yield Static(id="session-text")

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())


class SessionsTable(DataTable[Text]):
    """Columns of a fixed width for the width there is."""

    class WidthChanged(Message):
        """Fill it again."""

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())

    def widths(self) -> dict[str, int]:
        """Cells of each column; the clip's name takes what is left."""
        room = self.scrollable_content_region.width
        widths = {"started": 16 if room >= 66 else 11, "clip": 0, "size": 9 if room >= 76 else 0, "fastest": 24}
        widths["clip"] = max(9, room - 2 - sum(width + 2 for width in widths.values() if width))
        return {title: width for title, width in widths.items() if width}

    def cells(self, line: SessionLine, widths: dict[str, int]) -> Iterator[Text]:
        when = line.when[-widths["started"] :] if line.when[:1].isdigit() else line.when
        texts = {"started": when, "clip": line.clip_name, "size": line.size, "fastest": line.result}
        for title, width in widths.items():
            yield Text(fit(texts[title], width), no_wrap=True)
