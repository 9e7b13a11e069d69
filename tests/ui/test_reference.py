"""Typing and pasting what is said in the clip."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.events import Paste
from textual.widgets import Static, TextArea

from speedtest_tui.ui.screens.reference import ReferenceScreen


class Host(App[None]):
    """Nothing but the editor; `answers` is what it returned."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.editor = ReferenceScreen(text)
        self.answers: list[str | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.editor, self.answers.append)

    @property
    def count(self) -> str:
        return str(self.editor.query_one("#reference-count", Static).render())


@pytest.mark.parametrize("key", ["f2", "ctrl+s"])
async def test_text_goes_on_where_it_ended_and_is_accepted(key: str) -> None:
    host = Host("which is")
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert host.count == "2 words"
        await pilot.press(*" it")
        assert host.count == "3 words"
        await pilot.press(key)
        assert host.answers == ["which is it"]


async def test_enter_makes_a_line_and_accepts_nothing() -> None:
    host = Host("one")
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "t", "w", "o")
        assert host.answers == []
        await pilot.press("f2")
        assert host.answers == ["one\ntwo"]


async def test_escape_leaves_it_as_it_was() -> None:
    host = Host("one")
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("x", "escape")
        assert host.answers == [None]


async def test_an_empty_text_is_returned_as_such() -> None:
    host = Host("one")
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("f7", "backspace", "space", "enter")
        assert host.count == "no words: WER will not be shown"
        await pilot.press("f2")
        assert host.answers == [""]


async def test_two_thousand_lines_can_be_pasted() -> None:
    lines = [f"line {i} of the täxt" for i in range(2_000)]
    host = Host("")
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        host.post_message(Paste("\r\n".join(lines)))
        await pilot.pause()
        assert host.count == "10,000 words"
        await pilot.press("f2")
        assert host.answers == ["\n".join(lines)]


async def test_what_would_steer_a_terminal_is_left_out() -> None:
    host = Host("")
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        host.post_message(Paste("\x1b[31mred\x07\tand  more  \nnext"))
        await pilot.press("f2")
        assert host.answers == ["[31mred\tand  more\nnext"]


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
async def test_the_border_says_which_keys_do_it(size: tuple[int, int]) -> None:
    host = Host("")
    async with host.run_test(size=size) as pilot:
        await pilot.pause()
        shown = host.export_screenshot().replace("&#160;", " ")
        for part in ("F2", "ctrl+s", "accept", "esc", "back"):
            assert part in shown
        assert host.editor.query_one(TextArea).region.height >= 3
