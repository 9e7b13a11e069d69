"""Lists to choose from: one or several, long ones with a filter, empty ones."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.widgets import Input, Static

from speedtest_tui.ui.screens.choice import Choice, ChoiceScreen
from speedtest_tui.ui.widgets.pick_list import POINTER, PickList

SIZES = (Choice("nano", "nano", "built in"), Choice("tiny", "tiny", "39 M"), Choice("base", "base", "74 M"))
BACKENDS = (
    Choice("mlx-whisper", "mlx-whisper", "139 MB"),
    Choice("whisper-mps", "whisper-mps", "its model is 37 % downloaded", disabled=True),
    Choice("transformers", "transformers"),
    Choice("pocketsphinx", "pocketsphinx"),
)
LANGUAGES = tuple(
    Choice(code, code, name)
    for code, name in (
        ("auto", "each backend detects it"), ("en", "English"), ("de", "German"), ("ka", "Georgian"), ("fr", "French"),
        ("es", "Spanish"), ("it", "Italian"), ("pt", "Portuguese"), ("nl", "Dutch"), ("sv", "Swedish"),
        ("da", "Danish"), ("fi", "Finnish"), ("en2", "Denglish"), ("zh", "中文"),
    )
)  # fmt: skip


class Host(App[None]):
    """Nothing but the list; `answers` is what it returned."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        self.list_screen = ChoiceScreen(*arguments, **options)
        self.answers: list[tuple[str, ...] | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.list_screen, self.answers.append)

    @property
    def lines(self) -> list[str]:
        return [str(option.prompt) for option in self.list_screen.query_one(PickList).options]

    @property
    def note(self) -> str:
        return str(self.list_screen.query_one("#choice-note", Static).render())

    @property
    def pane(self) -> Any:
        return self.list_screen.query_one("#choice")


async def test_marks_the_present_choice_and_starts_there() -> None:
    host = Host("Model size", SIZES, ("tiny",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert host.lines == ["  nano  built in", "✓ tiny  39 M · chosen", "  base  74 M"]
        await pilot.press("enter")
        assert host.answers == [("tiny",)]


async def test_moves_and_chooses_one() -> None:
    for keys, answer in (
        (("down", "enter"), ("base",)),
        (("up", "enter"), ("nano",)),
        (("home", "enter"), ("nano",)),
        (("end", "enter"), ("base",)),
        (("down", "down", "enter"), ("nano",)),
        (("pagedown", "enter"), ("base",)),
        (("escape",), None),
    ):
        host = Host("Model size", SIZES, ("tiny",))
        async with host.run_test(size=(80, 24)) as pilot:
            await pilot.press(*keys)
            assert host.answers == [answer], keys


async def test_keys_for_several_do_nothing_where_one_is_chosen() -> None:
    host = Host("Model size", SIZES, ("tiny",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("space", "a", "n")
        assert [line[0] for line in host.lines] == [" ", "✓", " "]
        assert "all" not in host.pane.border_subtitle
        assert host.answers == []


async def test_several_are_switched_on_and_off() -> None:
    host = Host("Backends", BACKENDS, ("mlx-whisper", "whisper-mps"), multiple=True)
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert [line[:3] for line in host.lines] == ["[x]", "○  ", "[ ]", "[ ]"]
        assert "not available · its model is 37 % downloaded" in host.lines[1]
        assert host.pane.border_title == "Backends · 1 of 4"
        await pilot.press("down", "space")  # passes over what is not available
        assert [line[:3] for line in host.lines] == ["[x]", "○  ", "[x]", "[ ]"]
        assert host.pane.border_title == "Backends · 2 of 4"
        await pilot.press("enter")
        assert host.answers == [("mlx-whisper", "transformers")]


async def test_at_least_one_stays_chosen() -> None:
    host = Host("Backends", BACKENDS, ("mlx-whisper",), multiple=True)
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        assert host.lines[0].startswith("[x]")
        assert host.note == "! at least one must stay selected"
        await pilot.press("down", "space")
        assert host.note == ""
        await pilot.press("up", "space", "enter")
        assert host.answers == [("transformers",)]


async def test_enter_without_any_asks_for_one() -> None:
    host = Host("Backends", BACKENDS, (), multiple=True)
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert host.answers == []
        assert host.note == "! select at least one"
        await pilot.press("space", "enter")
        assert host.answers == [("mlx-whisper",)]


async def test_all_and_only() -> None:
    host = Host("Backends", BACKENDS, ("mlx-whisper",), multiple=True)
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("a")
        assert [line[:3] for line in host.lines] == ["[x]", "○  ", "[x]", "[x]"]
        await pilot.press("end", "n")
        assert [line[:3] for line in host.lines] == ["[ ]", "○  ", "[ ]", "[x]"]
        await pilot.press("enter")
        assert host.answers == [("pocketsphinx",)]


async def test_a_click_switches_or_chooses() -> None:
    host = Host("Backends", BACKENDS, ("mlx-whisper",), multiple=True)
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click(PickList, offset=(6, 2))
        await pilot.click(PickList, offset=(6, 1))
        await pilot.pause()
        assert [line[:3] for line in host.lines] == ["[x]", "○  ", "[x]", "[ ]"]
        assert host.answers == []
    host = Host("Model size", SIZES, ("tiny",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click(PickList, offset=(3, 2))
        await pilot.pause()
        assert host.answers == [("base",)]


async def test_typing_narrows_a_long_list_down() -> None:
    host = Host("Language", LANGUAGES, ("de",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(host.focused, Input)
        assert host.list_screen.query_one(PickList).highlighted == 2
        await pilot.press("d", "e")
        # What begins with it stands before what only holds it.
        assert [line.split()[0] for line in host.lines] == ["✓", "en2", "auto"]
        await pilot.press("down", "enter")
        assert host.answers == [("en2",)]


async def test_a_filter_takes_letters_that_are_keys_elsewhere_and_can_be_cleared() -> None:
    host = Host("Language", LANGUAGES, ("de",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("x", "a", "n", "space")
        assert host.lines == []
        assert host.note == "nothing matches"
        await pilot.press("enter")
        assert host.answers == []
        await pilot.press(*["backspace"] * 4)
        assert len(host.lines) == len(LANGUAGES)
        assert host.list_screen.query_one(PickList).highlighted == 2
        await pilot.press("escape")
        assert host.answers == [None]


async def test_an_empty_list_says_why_and_can_only_be_left() -> None:
    host = Host("Microphone", (), (), empty="No microphone was found: plug one in.")
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        assert host.note == "No microphone was found: plug one in."
        assert "choose" not in host.pane.border_subtitle
        await pilot.press("enter", "space", "down")
        assert host.answers == []
        await pilot.press("escape")
        assert host.answers == [None]


async def test_nothing_available_cannot_be_chosen() -> None:
    host = Host("Backends", tuple(Choice(c.key, c.label, disabled=True) for c in BACKENDS), ("mlx-whisper",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert host.answers == []


async def test_markup_and_wide_characters_are_text() -> None:
    choices = (Choice("a", "[b]mic[/b]", "48 kHz [x]"), Choice("b", "マイク", "16 kHz"))
    host = Host("[i]Mic", choices, ("b",))
    async with host.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert host.lines == ["  [b]mic[/b]  48 kHz [x]", "✓ マイク      16 kHz · chosen"]
        assert "[i]Mic" in host.export_screenshot()


async def test_details_go_on_below_where_there_is_no_room() -> None:
    choices = (Choice("a", "MacBook Pro Microphone (built in, left of the keyboard)", "a detail of several words"),)
    host = Host("Microphone", choices, ("a",))
    async with host.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        text = " ".join(host.lines[0].split())
        assert text == "✓ MacBook Pro Microphone (built in, left of the keyboard) a detail of several words · chosen"
        assert max(map(len, host.lines[0].splitlines())) <= host.list_screen.query_one(PickList).text_width
        list_ = host.list_screen.query_one(PickList)
        bars = [list_.render_line(y).text.startswith(POINTER) for y in range(list_.size.height)]
        assert all(bars)
        assert len(bars) == len(host.lines[0].splitlines())
