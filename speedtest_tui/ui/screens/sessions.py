"""All saved sessions: a list that fills while they are read, and the highlighted one in detail."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Static

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions import index, store
from speedtest_tui.core.sessions.compare import Comparison, compare, previous_of
from speedtest_tui.core.sessions.export import to_markdown
from speedtest_tui.core.sessions.store import DamagedSession, Session
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.session_panes import (
    DetailsScroll,
    SessionLine,
    SessionsTable,
    comparison,
    damage,
    details,
    light,
    line_of,
)
from speedtest_tui.ui.workers.messages import SessionClipWanted

BATCH_S, BATCH = 0.1, 200
"""What has been read is shown this often, and so many at a time: the keys of a screen that fills are obeyed at once."""


@dataclass
class SessionsRead(Message):
    """Further sessions, in their order. `last`: there are no more; `problem`: nor can they be read."""

    reading: int
    lines: tuple[SessionLine, ...]
    last: bool = False
    problem: str = ""


@dataclass
class SessionOpened(Message):
    """A session as its file says it is; `clip` is its recording, where it is still there."""

    session: Session | DamagedSession
    clip: Path | None


@dataclass
class SessionCompared(Message):
    """A session against the one before; nothing where there is none."""

    key: str
    before: Session | None
    comparison: Comparison | None


class SessionsScreen(Once, Screen[None]):
    """A list at the left or at the top, details beside or below it."""

    CSS_PATH = "sessions.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    AUTO_FOCUS = "SessionsTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "full",
            "full",
            id="session-full",
            priority=True,
            tooltip="Show the whole session (again for the list)",
        ),
        Binding("c", "compare", "compare", id="session-compare", tooltip="Compare with the previous session"),
        Binding("l", "load", "load clip", id="session-load", tooltip="Load its clip into the dashboard"),
        Binding("y", "copy", "copy", id="session-copy", tooltip="Copy the session as Markdown"),
        Binding("r", "reload", "refresh", id="session-reload", tooltip="Read the sessions again"),
        Binding("escape", "back", "back", id="session-back", tooltip="Back"),
    ]

    def __init__(self, compare: bool = False) -> None:
        """compare: begin with the newest session compared with the previous one"""
        super().__init__()
        self._compare_newest = compare
        self._lines: dict[str, SessionLine] = {}
        self._fresh: dict[str, SessionLine] = {}
        self._reading = 0
        self._busy = False
        self._streaming = True
        self._problem = ""
        self._gone = threading.Event()
        self._opened: SessionOpened | None = None
        self._compared: SessionCompared | None = None
        self._widths: dict[str, int] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="sessions-status")
        with Container(id="sessions-panes"):
            table = SessionsTable(cursor_type="row", id="sessions-table")
            table.border_title = "Sessions"
            yield table
            yield DetailsScroll(id="session-details")
        yield KeyLine(always=("session-back",))

    def on_mount(self) -> None:
        self.action_reload()

    def on_unmount(self) -> None:
        self._gone.set()

    # Reading, in a thread.

    def _in_thread(self, work: Callable[[], object]) -> None:
        threading.Thread(target=work, name="sessions", daemon=True).start()

    def _read(self, reading: int) -> None:
        batch: list[SessionLine] = []
        shown = time.monotonic()
        problem = ""
        try:
            for session in index.summaries():
                if self._gone.is_set() or reading != self._reading:
                    return
                batch.append(line_of(session))
                if time.monotonic() - shown > BATCH_S or len(batch) >= BATCH:
                    self.post_message(SessionsRead(reading, tuple(batch)))
                    batch, shown = [], time.monotonic()
        except UserError as error:
            problem = f"the sessions cannot be read ({error.what})"
        self.post_message(SessionsRead(reading, tuple(batch), last=True, problem=problem))

    @on(SessionsRead)
    def _sessions_read(self, message: SessionsRead) -> None:
        if message.reading != self._reading:
            return
        self._fresh |= {line.key: line for line in message.lines}
        self._busy = not message.last
        if message.last and self._compare_newest:
            self._compare_newest = False
            self.call_after_refresh(self.action_compare)
        self._problem = message.problem
        with self.app.batch_update():
            if self._streaming:
                # They come newest first, so that appending leaves what is shown where it is.
                self._lines = dict(self._fresh)
                if self._widths:
                    self._append(message.lines)
            elif message.last and list(self._lines.items()) != list(self._fresh.items()):
                self._replace()
            self._tell()
            if message.last:
                self._opened = None  # the file may be another one by now
            self._show_details()

    # What is shown.

    @property
    def _table(self) -> SessionsTable:
        return self.query_one(SessionsTable)

    @property
    def _here(self) -> SessionLine | None:
        """The highlighted session."""
        table = self._table
        if not table.row_count:
            return None
        return self._lines.get(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value or "")

    def _append(self, lines: Iterable[SessionLine]) -> None:
        for line in lines:
            self._table.add_row(*self._table.cells(line, self._widths), key=line.key)

    def _replace(self) -> None:
        """Show what was read again; the cursor stays on its session, and that at its place on the screen."""
        here = self._here
        self._lines = dict(self._fresh)
        self._fill(here)

    def _fill(self, here: SessionLine | None) -> None:
        table = self._table
        row, above = table.cursor_row, table.cursor_row - table.scroll_offset.y
        table.clear(columns=True)
        self._widths = table.widths()
        for title, width in self._widths.items():
            table.add_column(title, width=width, key=title)
        self._append(self._lines.values())
        if table.row_count:
            kept = here is not None and here.key in self._lines
            row = table.get_row_index(here.key) if kept and here else min(row, table.row_count - 1)
            table.move_cursor(row=row, scroll=False)
            self.call_after_refresh(table.scroll_to, y=max(0, row - above), animate=False)

    @on(SessionsTable.WidthChanged)
    def _table_resized(self) -> None:
        if self._table.scrollable_content_region.width and self._table.widths() != self._widths:
            self._fill(self._here)

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        here = self._here
        if self._compared is not None and (here is None or here.key != self._compared.key):
            self._compared = None
        self._opened = None
        self._show_details()
        self.query_one(DetailsScroll).scroll_home(animate=False)
        self.refresh_bindings()

    @on(DetailsScroll.WidthChanged)
    def _show_details(self) -> None:
        pane = self.query_one(DetailsScroll)
        width = min(120, pane.scrollable_content_region.width)
        here = self._here
        title = "Session"
        if here is None:
            text = Content("" if self._busy else self._problem or "No sessions yet: every finished race is saved here.")
        elif (opened := self._opened_here) is None:
            self._open(here.key)
            return
        elif isinstance(opened.session, DamagedSession):
            title, text = f"Session {here.when}", damage(opened.session, width)
        elif self._compared and self._compared.comparison and self._compared.before:
            title = f"{here.when} compared with the previous session"
            text = comparison(self._compared.comparison, self._compared.before, width)
        else:
            title = f"Session {here.when}"
            text = details(opened.session, width, whole=self.has_class("-full"))
        pane.border_title = Content(title).markup
        self.query_one("#session-text", Static).update(text)

    @property
    def _opened_here(self) -> SessionOpened | None:
        """The highlighted session, once it has been read."""
        here = self._here
        return self._opened if here and self._opened and self._opened.session.name == here.key else None

    def _open(self, key: str) -> None:
        def work() -> None:
            session = store.read(sessions_folder() / key)
            clip = session.folder / "clip.flac"
            session = light(session) if isinstance(session, Session) else session
            self.post_message(SessionOpened(session, clip if os.path.isfile(clip) else None))  # noqa: PTH113

        self._in_thread(work)

    @on(SessionOpened)
    def _session_opened(self, message: SessionOpened) -> None:
        self._opened = message
        if self._opened_here:
            self._show_details()
            self.refresh_bindings()

    def _tell(self) -> None:
        """The first line: how many there are, and whether more are still to come."""
        damaged = sum(line.damaged for line in self._lines.values())
        parts = [f"{len(self._lines):,} session{'' if len(self._lines) == 1 else 's'}"]
        parts += [f"{damaged} damaged"] if damaged else []
        parts += ["► reading"] if self._busy else [f"✗ {self._problem}"] if self._problem else []
        self.query_one("#sessions-status", Static).update(
            Content.assemble((" speedtest-tui", "bold"), "   ", " · ".join(parts))
        )

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only where it does something."""
        if not self.is_mounted or action not in {"full", "compare", "load", "copy"}:
            return True
        if action == "full":
            return self._here is not None
        opened = self._opened_here
        return bool(opened and isinstance(opened.session, Session) and (action != "load" or opened.clip))

    def action_full(self) -> None:
        """Give the session the whole screen, or go back to the list."""
        full = not self.has_class("-full")
        self.set_class(full, "-full")
        self.set_focus(self.query_one(DetailsScroll) if full else self._table)

    def action_back(self) -> None:
        """Back by one step."""
        if self._compared is not None:
            self.action_compare()
        elif self.has_class("-full"):
            self.action_full()
        else:
            self.dismiss(None)

    def action_reload(self) -> None:
        """Read all sessions again."""
        self._reading += 1
        self._fresh, self._busy, self._problem = {}, True, ""
        self._streaming = not self._lines
        self._tell()
        reading = self._reading
        self._in_thread(lambda: self._read(reading))

    def action_compare(self) -> None:
        """Show what changed since the one before, or the session again."""
        here = self._here
        if self._compared is not None:
            self._compared = None
            self._show_details()
        elif here is not None and not here.damaged:
            key = here.key

            def work() -> None:
                session, before = store.read(sessions_folder() / key), None
                with contextlib.suppress(UserError):  # all that were listed are gone
                    before = previous_of(session) if isinstance(session, Session) else None
                found = compare(before.document, session.document) if before and isinstance(session, Session) else None
                self.post_message(SessionCompared(key, before, found))

            self._in_thread(work)

    @on(SessionCompared)
    def _session_compared(self, message: SessionCompared) -> None:
        here = self._here
        if here is None or here.key != message.key:
            return
        if message.comparison is None:
            self.notify("There is no earlier session with the same clip or the same backends.", severity="warning")
            return
        self._compared = message
        if not self.query_one(DetailsScroll).display:  # on the smallest screens
            self.action_full()
        self._show_details()
        self.query_one(DetailsScroll).scroll_home(animate=False)

    def action_load(self) -> None:
        """Load the clip into the dashboard."""
        if (opened := self._opened_here) and opened.clip:
            self.app.post_message(SessionClipWanted(opened.clip))
            self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the session as Markdown."""
        if (opened := self._opened_here) and isinstance(opened.session, Session):
            self.app.copy_to_clipboard(to_markdown(opened.session.document))
            self.notify("Copied as Markdown.")
