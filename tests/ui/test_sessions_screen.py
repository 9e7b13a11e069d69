"""The list of kept sessions: it fills, says everything about one, compares, copies, and never loses the cursor."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import states
from rich.cells import cell_len
from session_files import folder_name, write_damaged, write_session
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions import index
from speedtest_tui.core.sessions.store import Session
from speedtest_tui.ui.screens.sessions import DetailsScroll, SessionClipWanted, SessionsScreen, SessionsTable
from speedtest_tui.ui.widgets import session_panes
from speedtest_tui.ui.widgets.key_line import KeyLine


class Host(App[None]):
    """Nothing but the screen; notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.list_screen = SessionsScreen()
        self.left = False
        self.wanted: list[Path] = []
        self.copied: list[str] = []

    def on_mount(self) -> None:
        self.push_screen(self.list_screen, lambda _: setattr(self, "left", True))

    def on_session_clip_wanted(self, message: SessionClipWanted) -> None:
        self.wanted.append(message.path)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    @property
    def table(self) -> SessionsTable:
        return self.list_screen.query_one(SessionsTable)

    @property
    def rows(self) -> list[list[str]]:
        return [[str(cell) for cell in self.table.get_row_at(i)] for i in range(self.table.row_count)]

    @property
    def details(self) -> str:
        return str(self.list_screen.query_one("#session-text", Static).render())

    @property
    def status(self) -> str:
        return str(self.list_screen.query_one("#sessions-status", Static).render())

    @property
    def keys(self) -> list[str]:
        return [hint.word for hint in self.list_screen.query_one(KeyLine).hints()]


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Wait for what a thread brings about."""
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)
    await pilot.pause()


async def opened(pilot: Pilot[Any], host: Host) -> None:
    await until(pilot, lambda: host.screen is host.list_screen and bool(host.list_screen.query(KeyLine)))
    await until(pilot, lambda: "session" in host.status and "reading" not in host.status)
    await pressed(pilot, host)


async def pressed(pilot: Pilot[Any], host: Host, *keys: str) -> None:
    """Press keys, and wait until the session that is highlighted then has been read."""
    await pilot.press(*keys)
    screen = host.list_screen
    await until(pilot, lambda: not host.table.row_count or screen._opened_here is not None)


@pytest.fixture
def root(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for data, in a time zone without surprises."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield places / "data"
    monkeypatch.undo()
    time.tzset()


async def test_lists_the_newest_first_and_says_what_is_damaged(root: Path) -> None:
    write_session(root, 0)
    damaged = write_damaged(root, 1)
    write_session(root, 30, cancelled=True)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        assert [row[0] for row in host.rows] == ["11-20 12:00", "11-20 11:00", "11-19 06:00"]
        assert [row[-1][:24] for row in host.rows] == ["mlx-whisper 0.401 s", "session.json is not JSO…", "– cancelled"]
        assert host.rows[1][1] == "✗ damaged"
        assert host.status.endswith("3 sessions · 1 damaged")
        await pressed(pilot, host, "down")
        assert "✗ damaged: session.json is not JSON" in host.details
        assert str(damaged) in host.details.replace("\n", "")
        await pressed(pilot, host, "down")
        assert "– cancelled" in host.details


async def test_details_say_everything(root: Path) -> None:
    folder = write_session(root, 0)
    host = Host()
    async with host.run_test(size=(200, 60)) as pilot:
        await opened(pilot, host)
        flat = " ".join(host.details.split())
        for part in (
            "mlx-whisper is 1.33×",
            "1 mlx-whisper 0.401 s ±0.004 9.98× 0 % fastest",
            states.TEXT.replace(" my ", " the "),
            "! its text differed between runs",
            "mlx-community/parakeet-tdt-0.6b-v2 is not on this machine: fetch it",
            "failed: its process crashed (segmentation fault, SIGSEGV)",
            "Apple M4 Pro · 14 cores · 24 GB",
            "interview.m4a · 4.00 s",
            "size nano · 3 runs",
        ):
            assert part in flat
        assert str(folder) in host.details.replace("\n" + " " * 11, "")


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
async def test_nothing_is_wider_than_its_pane(root: Path, size: tuple[int, int]) -> None:
    write_session(root, 0)
    write_session(root, 5)
    host = Host()
    async with host.run_test(size=size) as pilot:
        await opened(pilot, host)
        table = host.table
        assert sum(column.get_render_width(table) for column in table.columns.values()) <= table.region.width - 2
        await pilot.press("enter")
        await pilot.pause()
        width = host.list_screen.query_one(DetailsScroll).scrollable_content_region.width
        answer, statistics, *lines = host.details.splitlines()
        assert answer.startswith("★ Fastest and good enough: mlx-whisper")
        assert statistics.startswith("mlx-whisper is 1.33")
        assert max(map(len, lines)) <= width


def test_the_quality_of_texts_is_the_last_column_to_go() -> None:
    session = Session("s", Path("s"), states.document_of(states.finished()))
    for width in range(52, 140):
        title = session_panes.details(session, width).plain.splitlines()[3]
        assert "WER" in title and cell_len(title) <= width, title


async def test_enter_shows_it_full_and_escape_leads_back_step_by_step(root: Path) -> None:
    write_session(root, 0)
    host = Host()
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(pilot, host)
        await pilot.press("enter")
        pane = host.list_screen.query_one(DetailsScroll)
        assert not host.table.display
        assert host.focused is pane
        await pilot.press("pagedown")
        assert pane.scroll_offset.y > 0
        await pilot.press("escape")
        assert host.focused is host.table
        assert not host.left
        await pilot.press("enter", "enter")
        assert host.table.display
        await pilot.press("escape")
        assert host.left


async def test_compares_with_the_session_before(root: Path) -> None:
    write_session(root, 0)
    write_damaged(root, 1)
    write_session(root, 5)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pilot.press("c")
        await until(pilot, lambda: "compared with 2026-11-20 07:00" in host.details)
        assert "same: mlx-whisper, transformers, pocketsphinx" in host.details
        assert "1.00× (0.98 to 1.02)" in host.details
        await pilot.press("c")
        assert "compared with" not in host.details
        await pilot.press("c")
        await until(pilot, lambda: "compared with" in host.details)
        await pilot.press("escape")
        assert "compared with" not in host.details
        assert not host.left
        await pilot.press("c")
        await until(pilot, lambda: "compared with" in host.details)
        await pressed(pilot, host, "down")
        assert "damaged" in host.details


async def test_says_so_where_there_is_nothing_to_compare_with(root: Path) -> None:
    write_session(root, 0)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        before = host.details
        await pilot.press("c")
        await until(pilot, lambda: bool(host._notifications))
        assert "no earlier session" in next(iter(host._notifications)).message
        assert host.details == before


async def test_a_comparison_shows_on_the_smallest_screen_too(root: Path) -> None:
    write_session(root, 0)
    write_session(root, 5)
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await opened(pilot, host)
        assert not host.list_screen.query_one(DetailsScroll).display
        await pilot.press("c")
        await until(pilot, lambda: host.list_screen.query_one(DetailsScroll).display)
        assert "compared with" in host.details


async def test_copies_markdown(root: Path) -> None:
    write_session(root, 0)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pilot.press("y")
        assert len(host.copied) == 1
        assert "| ★1 | mlx-whisper |" in host.copied[0]
        assert "Copied" in next(iter(host._notifications)).message


async def test_takes_the_clip_to_the_dashboard(root: Path) -> None:
    folder = write_session(root, 0)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pilot.press("l")
        await pilot.pause()
        assert host.wanted == [folder / "clip.flac"]
        assert host.left


async def test_offers_only_what_can_be_done_with_the_highlighted_one(root: Path) -> None:
    write_session(root, 0)
    write_damaged(root, 1)
    write_session(root, 2, clip=False)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        assert host.keys == ["full", "compare", "load clip", "copy", "refresh", "back"]
        await pressed(pilot, host, "down")
        await pilot.pause()
        assert host.keys == ["full", "refresh", "back"]
        await pilot.press("l", "y", "c")
        assert (host.wanted, host.copied, host.left) == ([], [], False)
        await pressed(pilot, host, "down")
        await pilot.pause()
        assert host.keys == ["full", "compare", "copy", "refresh", "back"]


async def test_reading_again_moves_neither_cursor_nor_list(root: Path) -> None:
    for hours in range(2, 42):
        write_session(root, hours)
    host = Host()
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(pilot, host)
        await pressed(pilot, host, *["down"] * 12)
        await pilot.pause()
        row, offset = host.table.cursor_row, host.table.scroll_offset.y
        assert offset > 0
        write_session(root, 0)
        write_damaged(root, 1)
        shutil.rmtree(root / "sessions" / folder_name(3))
        await pilot.press("r")
        await until(pilot, lambda: "41 sessions" in host.status)
        await until(pilot, lambda: host.table.scroll_offset.y == offset + 1)
        assert host.table.cursor_row == row + 1
        assert host.rows[0][0] == "11-20 12:00" or host.rows[0][0] == "2026-11-20 12:00"
        assert host.details.startswith("★ Fastest and good enough: mlx-whisper")
        key = host.table.coordinate_to_cell_key(host.table.cursor_coordinate).row_key.value
        assert key == folder_name(14)


async def test_reading_again_what_has_not_changed_leaves_the_table_alone(root: Path) -> None:
    write_session(root, 0)
    write_session(root, 1)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pressed(pilot, host, "down")
        cleared: list[bool] = []
        host.table.clear = lambda columns=False: cleared.append(columns)  # type: ignore[method-assign,assignment,return-value]
        await pilot.press("r")
        await until(pilot, lambda: "reading" not in host.status)
        assert cleared == []
        assert host.table.cursor_row == 1


async def test_the_cursor_stays_near_a_session_that_is_gone(root: Path) -> None:
    for hours in range(3):
        write_session(root, hours)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pressed(pilot, host, "down", "down")
        shutil.rmtree(root / "sessions" / folder_name(2))
        await pilot.press("r")
        await until(pilot, lambda: "2 sessions" in host.status)
        assert host.table.cursor_row == 1


async def test_fills_while_sessions_are_still_being_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in range(4):
        write_session(root, hours)
    release = threading.Event()
    sessions = index.summaries

    def slow() -> Iterator[Any]:
        for i, session in enumerate(sessions()):
            if i == 2:
                release.wait(10)
            yield session

    monkeypatch.setattr(index, "summaries", slow)
    monkeypatch.setattr("speedtest_tui.ui.screens.sessions.BATCH_S", -1.0)
    host = Host()
    try:
        async with host.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: host.screen is host.list_screen and bool(host.list_screen.query(SessionsTable)))
            await until(pilot, lambda: host.table.row_count == 2)
            assert "► reading" in host.status
            await pressed(pilot, host, "down")
            release.set()
            await until(pilot, lambda: host.table.row_count == 4)
            assert host.table.cursor_row == 1
            await until(pilot, lambda: "reading" not in host.status)
    finally:
        release.set()


async def test_stays_whole_when_the_terminal_is_resized(root: Path) -> None:
    for hours in range(5):
        write_session(root, hours)
    host = Host()
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(pilot, host)
        await pressed(pilot, host, "down", "down")
        for size in ((60, 15), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert host.table.row_count == 5
            assert host.table.cursor_row == 2
        assert [str(column.label) for column in host.table.columns.values()] == ["started", "clip", "size", "fastest"]


async def test_no_sessions_and_none_that_can_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(pilot, host)
        assert host.details == "No sessions yet: every finished race is saved here."
        assert host.keys == ["refresh", "back"]
        await pilot.press("enter", "c", "l", "y")
        assert host.table.display

        def refused() -> Iterator[Any]:
            raise UserError("/data may not be opened", "change its permissions")
            yield

        monkeypatch.setattr(index, "summaries", refused)
        await pilot.press("r")
        await until(pilot, lambda: "✗ the sessions cannot be read (/data may not be opened)" in host.status)
        await pilot.press("escape")
        assert host.left
