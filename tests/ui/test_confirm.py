"""A question with a safe answer at hand."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.widgets import Button

from speedtest_tui.ui.screens.confirm import ConfirmScreen

QUESTION = "A race is under way. Quitting cancels it; what was measured [so far] is kept."


class Host(App[None]):
    """Nothing but the question; `answers` is what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bool | None] = []

    def on_mount(self) -> None:
        self.push_screen(ConfirmScreen(QUESTION, "Quit", "Go on [now]"), self.answers.append)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("y", True),
        ("n", False),
        ("escape", False),
        ("enter", False),
        ("right enter", True),
        ("tab enter", True),
        ("down enter", True),
        ("right left enter", False),
        ("right right enter", False),
        ("right escape", False),
        ("right n", False),
    ],
)
async def test_keys(keys: str, answer: bool) -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.press(*keys.split())
        assert host.answers == [answer]


@pytest.mark.parametrize(("button", "answer"), [("confirm-yes", True), ("confirm-no", False)])
async def test_buttons(button: str, answer: bool) -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        await pilot.click(f"Button#{button}")
        await pilot.pause()
        assert host.answers == [answer]


async def test_other_keys_answer_nothing() -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.press("q", "x", "space", "f2")
        assert host.answers in ([], [False])  # space presses the focused button, which is the safe one


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
async def test_nothing_is_cut(size: tuple[int, int]) -> None:
    host = Host()
    async with host.run_test(size=size) as pilot:
        await pilot.pause()
        assert [str(button.label) for button in host.screen.query(Button)] == ["n Go on [now]", "y Quit"]
        shown = host.export_screenshot().replace("&#160;", " ")
        for word in QUESTION.split():
            assert word in shown
        assert all(button.region.right < size[0] for button in host.screen.query(Button))
