"""The file picker: what typing shows, what the keys do, and folders that cannot be read."""

from __future__ import annotations

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from speedtest_tui.ui.screens.open_file import OpenFileScreen, PathInput, dropped
from speedtest_tui.ui.widgets.pick_list import PickList
from speedtest_tui.ui.workers import folder as folder_module

SIZE = (80, 24)


class Host(App[None]):
    """Nothing but the picker; `answers` is what it returned."""

    def __init__(self, recent: tuple[Path, ...], start: Path) -> None:
        super().__init__()
        self.picker = OpenFileScreen(recent, start)
        self.answers: list[Path | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.picker, self.answers.append)

    @property
    def lines(self) -> list[str]:
        return [str(option.prompt).rstrip() for option in self.picker.query_one(PickList).options]

    @property
    def names(self) -> list[str]:
        return [line.split("  ")[0] for line in self.lines]

    @property
    def note(self) -> str:
        return str(self.picker.query_one("#open-note", Static).render())

    @property
    def text(self) -> str:
        return self.picker.query_one(PathInput).value

    @property
    def highlighted(self) -> str:
        option = self.picker.query_one(PickList).highlighted_option
        return "" if option is None else str(option.prompt).split("  ")[0].rstrip()


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Wait for what a thread brings about."""
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)


async def type_text(pilot: Pilot[Any], host: Host, text: str) -> None:
    host.picker.query_one(PathInput).value = text
    await until(pilot, lambda: "reading" not in host.note)
    await pilot.pause()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a folder of recordings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    recordings = tmp_path / "Recordings"
    for name in ("2026 archive", "Räume", ".cache"):
        (recordings / name).mkdir(parents=True)
    for name in ("interview.m4a", "interview two.wav", "Übung.FLAC", "notes.txt", ".hidden.wav", "[b]rackets.mp3"):
        (recordings / name).write_bytes(b"x" * 2_000)
    (recordings / "Räume" / "halle.ogg").write_bytes(b"x")
    return recordings


async def opened(pilot: Pilot[Any], host: Host) -> None:
    await until(pilot, lambda: host.is_mounted and host.screen is host.picker and "reading" not in host.note)
    await until(pilot, lambda: bool(host.lines) or "✗" in host.note)


async def test_lists_folders_first_then_audio_and_nothing_else(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        audio = ["[b]rackets.mp3", "interview two.wav", "interview.m4a", "Übung.FLAC"]
        assert host.names == ["../", "2026 archive/", "Räume/", *audio]
        assert host.note == "2 folders, 4 files"
        assert host.highlighted == "2026 archive/"
        assert "~/Recordings" in str(host.picker.query_one("#open-file").border_title)


async def test_hidden_and_other_files_show_once_they_are_named(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        for text, names in (
            ("no", ["notes.txt"]),
            (".", ["../", "2026 archive/"]),
            (".h", [".hidden.wav"]),
            ("VIEW", ["interview two.wav", "interview.m4a"]),
            ("übu", ["Übung.FLAC"]),
            (unicodedata.normalize("NFD", "übu"), ["Übung.FLAC"]),
            ("interview.m4a", ["interview.m4a"]),
        ):
            await type_text(pilot, host, text)
            assert host.names[: len(names)] == names, text
        await type_text(pilot, host, "nothing like it")
        assert host.names == []
        assert host.note == "nothing here matches “nothing like it”"
        await pilot.press("enter")
        assert host.answers == []


async def test_enter_goes_into_a_folder_and_chooses_a_file(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.press("R", "enter")
        await until(pilot, lambda: host.names == ["../", "halle.ogg"])
        assert host.text == "Räume/"
        assert host.highlighted == "halle.ogg"
        await pilot.press("enter")
        assert host.answers == [home / "Räume" / "halle.ogg"]


async def test_the_way_up_leads_up(home: Path) -> None:
    host = Host((), home / "Räume")
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.press("up")
        assert host.highlighted == "../"
        await pilot.press("enter")
        await until(pilot, lambda: "interview.m4a" in host.names)
        assert host.text == "~/Recordings/"


async def test_arrows_and_pages_move_while_the_input_keeps_the_focus(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.press("down")
        assert host.highlighted == "Räume/"
        await pilot.press("up", "up", "up")
        assert host.highlighted == "Übung.FLAC"  # round the corner
        await pilot.press("pageup")
        assert host.highlighted == "../"
        await pilot.press("pagedown")
        assert host.highlighted == "Übung.FLAC"
        assert isinstance(host.focused, PathInput)


async def test_tab_completes_as_far_as_names_agree(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        for text, completed in (
            ("INT", "interview"),
            ("interview ", "interview two.wav"),
            ("2", "2026 archive/"),
            ("view.", "interview.m4a"),
            ("~/Rec", "~/Recordings/"),
            ("~", "~/"),
            (f"{home}/üb", f"{home}/Übung.FLAC"),
            ("nothing", "nothing"),
        ):
            await type_text(pilot, host, text)
            await pilot.press("tab")
            assert host.text == completed
            assert isinstance(host.focused, PathInput)


async def test_recent_files_stand_first_while_nothing_is_typed(home: Path) -> None:
    recent = (home / "Räume" / "halle.ogg", home / "lost.wav")
    host = Host(recent, home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await until(pilot, lambda: "✗ gone" in host.lines[2])
        assert host.names[:4] == ["Recent", "~/Recordings/Räume/halle.ogg", "~/Recordings/lost.wav", "In ~/Recordings"]
        await pilot.press("down")
        assert host.highlighted == "../"  # what is gone is passed over
        await pilot.press("i")
        assert host.names == ["interview two.wav", "interview.m4a"]
        await pilot.press("backspace")
        assert host.highlighted == "~/Recordings/Räume/halle.ogg"
        await pilot.press("enter")
        assert host.answers == [recent[0]]


async def test_escape_returns_nothing(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.press("i", "escape")
        assert host.answers == [None]


async def test_a_click_chooses(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.click(PickList, offset=(3, host.names.index("interview.m4a")))
        await pilot.pause()
        assert host.answers == [home / "interview.m4a"]


async def test_a_click_on_a_key_in_the_border_does_what_it_says(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        region = host.picker.query_one("#open-file").region
        for x in range(region.right - 2, region.x, -1):
            if host.picker.get_style_at(x, region.bottom - 1).meta.get("@click") == "screen.cancel":
                await pilot.click(offset=(x, region.bottom - 1))
                break
        await pilot.pause()
        assert host.answers == [None]


async def test_says_what_is_wrong_with_a_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host((), home)
    scandir = os.scandir

    def guarded(path: Path) -> Any:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        if path.name == "broken":
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(folder_module.os, "scandir", guarded)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        for text, note in (
            ("gone/", "✗ ~/Recordings/gone does not exist"),
            ("interview.m4a/", "✗ ~/Recordings/interview.m4a is a file, not a folder"),
            ("locked/", "✗ you may not read ~/Recordings/locked"),
            ("broken/", "✗ ~/Recordings/broken cannot be read (Input/output error)"),
            ("a\0b/", "✗ ~/Recordings/a\\x00b cannot be read (embedded null byte)"),
            ("~nobody-has-this-name/x", "✗ ~/Recordings/~nobody-has-this-name does not exist"),
        ):
            await type_text(pilot, host, text)
            assert host.note == note
            assert host.names in ([], ["../"])


async def test_a_folder_that_vanishes_while_one_looks_at_it(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        (home / "2026 archive").rmdir()
        await pilot.press("enter")
        await until(pilot, lambda: "does not exist" in host.note)
        await pilot.press("up", "enter")
        await until(pilot, lambda: "Räume/" in host.names)


async def test_ten_thousand_entries_are_counted_and_found(tmp_path: Path) -> None:
    for i in range(10_000):
        (tmp_path / f"take {i:05}.wav").touch()
    host = Host((), tmp_path)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        assert host.note == "10,000 entries, 300 shown: type to find the others"
        assert len(host.names) == 301
        await type_text(pilot, host, "take 09999")
        assert host.names == ["take 09999.wav"]


async def test_a_folder_that_hangs_freezes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    read = folder_module.read

    def hanging(folder: Path, *suffixes: frozenset[str]) -> folder_module.Listing:
        if folder.name == "2026 archive":
            release.wait(10)
        return read(folder)

    monkeypatch.setattr("speedtest_tui.ui.screens.open_file.read", hanging)
    host = Host((), home)
    try:
        async with host.run_test(size=SIZE) as pilot:
            await opened(pilot, host)
            await pilot.press("enter")
            assert host.note == "reading the folder …"
            await type_text(pilot, host, "Räume/")
            assert host.names == ["../", "halle.ogg"]
            # What was asked for in vain must not overwrite what is shown now.
            release.set()
            await type_text(pilot, host, "Räume/h")
            assert host.names == ["halle.ogg"]
    finally:
        release.set()


async def test_enter_waits_for_a_folder_that_is_still_being_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    read = folder_module.read

    def slow(folder: Path, *suffixes: frozenset[str]) -> folder_module.Listing:
        release.wait(10)
        return read(folder)

    monkeypatch.setattr("speedtest_tui.ui.screens.open_file.read", slow)
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await pilot.press(*"Räume/h", "enter")
        assert host.answers == []
        release.set()
        await until(pilot, lambda: bool(host.answers))
        assert host.answers == [home / "Räume" / "halle.ogg"]


@pytest.mark.usefixtures("any_name")
async def test_names_that_no_terminal_can_show_are_opened_all_the_same(tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff\x1b[31m"))
    strange.mkdir()
    (strange / "two\nlines.wav").touch()
    host = Host((), tmp_path)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        assert host.names == ["../", r"f\xff\x1b[31m/"]
        await pilot.press("enter")
        await until(pilot, lambda: "two\\nlines.wav" in host.names)
        await pilot.press("enter")
        assert host.answers == [strange / "two\nlines.wav"]


async def test_keeps_the_highlight_when_the_terminal_is_resized(home: Path) -> None:
    host = Host((), home)
    async with host.run_test(size=SIZE) as pilot:
        await opened(pilot, host)
        await pilot.press("down", "down")
        before, widest = host.highlighted, max(map(len, host.lines))
        await pilot.resize_terminal(60, 15)
        await until(pilot, lambda: max(map(len, host.lines)) < widest)
        assert host.highlighted == before


@pytest.mark.parametrize(
    ("pasted", "path"),
    [
        ("'/a b/c.wav' ", "/a b/c.wav"),
        ("/a\\ b/c\\'s.wav", "/a b/c's.wav"),
        ("file:///a%20b/%C3%BC.wav", "/a b/ü.wav"),
        ("/plain/path.wav", None),
        ("'unfinished", None),
        ("'two' 'files'", None),
    ],
)
def test_knows_files_dropped_on_the_terminal(pasted: str, path: str | None) -> None:
    assert dropped(pasted) == path
