"""A question with a safe answer at hand."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.widgets import Button

from speedtest_tui.ui.screens.confirm import ConfirmScreen

QUESTION = "A race is running. Quitting cancels it; what was measured [so far] is kept."


class Host(App[None]):
    """Nothing but the question; `answers` is what was answered."""

    def __init__(self, other: str = "") -> None:
        super().__init__()
        self.answers: list[str | None] = []
        self.other = other

    def on_mount(self) -> None:
        self.push_screen(ConfirmScreen(QUESTION, "Quit", "Keep racing [now]", self.other), self.answers.append)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("y", "yes"),
        ("n", "no"),
        ("escape", "no"),
        ("enter", "no"),
        ("right enter", "yes"),
        ("tab enter", "yes"),
        ("down enter", "yes"),
        ("right left enter", "no"),
        ("right right enter", "no"),
        ("right escape", "no"),
        ("right n", "no"),
    ],
)
async def test_keys(keys: str, answer: str) -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.press(*keys.split())
        assert host.answers == [answer]


@pytest.mark.parametrize(("button", "answer"), [("confirm-yes", "yes"), ("confirm-no", "no")])
async def test_buttons(button: str, answer: str) -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        await pilot.click(f"Button#{button}")
        await pilot.pause()
        assert host.answers == [answer]


@pytest.mark.parametrize(
    ("keys", "answer"), [("d", "other"), ("right enter", "other"), ("left enter", "yes"), ("y", "yes")]
)
async def test_a_third_answer(keys: str, answer: str) -> None:
    host = Host("Discard")
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.press(*keys.split())
        assert host.answers == [answer]


async def test_other_keys_answer_nothing() -> None:
    host = Host()
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.press("q", "x", "d", "space", "f2")
        assert host.answers in ([], ["no"])  # space presses the focused button, which is the safe one


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
async def test_nothing_is_cut(size: tuple[int, int]) -> None:
    host = Host()
    async with host.run_test(size=size) as pilot:
        await pilot.pause()
        assert [str(button.label) for button in host.screen.query(Button)] == ["n Keep racing [now]", "y Quit"]
        shown = host.export_screenshot().replace("&#160;", " ")
        for word in QUESTION.split():
            assert word in shown
        assert all(button.region.right < size[0] for button in host.screen.query(Button))
