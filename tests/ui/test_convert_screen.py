"""The convert screen: what it finds out, what it offers and refuses, what it asks for, and one conversion for real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import convert_states
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from backends.base import Advice
from speedtest_tui.core.convert.convert import Target
from speedtest_tui.core.format import parameters
from speedtest_tui.core.locations import converted_folder
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.convert import Chosen, ConvertScreen
from speedtest_tui.ui.screens.open_file import OpenFileScreen
from speedtest_tui.ui.widgets.job_pane import JobPane
from speedtest_tui.ui.widgets.pick_list import PickList
from speedtest_tui.ui.workers.messages import CheckpointRead, TargetRead
from speedtest_tui.ui.workers.worker import Worker

MakeApp = Callable[..., SpeedtestApp]
FIXTURES = Path(__file__).parents[1] / "nemo" / "fixtures"
SIZE = (80, 24)


class Opened:
    """The screen over the dashboard, with a checkpoint that was looked into."""

    def __init__(self, app: Any, pilot: Pilot[None], screen: ConvertScreen) -> None:
        self.app, self.pilot, self.screen = app, pilot, screen
        self.answers: list[Chosen | None] = []

    @property
    def worker(self) -> Any:
        return self.app.dashboard.worker

    @property
    def orders(self) -> list[tuple[Any, ...]]:
        """What is to be converted."""
        return [(job.source, job.target, job.dtype, job.bits) for job in self.worker.jobs]

    @property
    def read(self) -> list[tuple[str, Any]]:
        """What threads were to find out."""
        return [asked for asked in self.worker.read if asked[0] != "stop"]

    def text(self, name: str) -> str:
        return str(self.screen.query_one(f"#convert-{name}", Static).render())

    @property
    def folder(self) -> Input:
        return self.screen.query_one(Input)

    @property
    def keys(self) -> set[str]:
        """Ids of the keys that do something now."""
        return {str(active.binding.id) for active in self.screen.active_bindings.values() if active.enabled}

    async def tell(self, *messages: Any) -> None:
        """Let threads have found something out."""
        for message in messages:
            self.screen.post_message(type(message)(**vars_of(message)))
        await self.pilot.pause()
        await self.pilot.pause()


def vars_of(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__dataclass_fields__}


async def opened(app: Any, pilot: Pilot[None], *, seen: bool = True, racing: bool = False) -> Opened:
    await pilot.pause()
    screen = ConvertScreen(app.dashboard.worker, lambda: racing, convert_states.SOURCE)
    one = Opened(app, pilot, screen)
    app.push_screen(screen, one.answers.append)
    await pilot.pause()
    if seen:
        await one.tell(convert_states.SEEN, convert_states.ROOMY)
    return one


async def test_what_is_in_a_checkpoint_and_what_it_would_become(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot, seen=False)
        assert "reading parakeet-tdt-0.6b-v2.nemo" in one.text("source")
        assert "convert-start" not in one.keys
        await one.tell(convert_states.SEEN, convert_states.ROOMY)
        source = one.text("source")
        assert "Parakeet TDT (EncDecRNNTBPEModel), for parakeet-mlx" in source
        assert "24 layers × 1024, 8× subsampling\n" in source  # nothing is cut off at this width
        assert "tokenizer   tokenizer.model\n" in source
        assert "618 M, in a file of 2.47 GB" in source
        assert "about 820 MB to convert, of 24 GB" in source
        forms = [str(option.prompt).split("  ") for option in one.screen.query_one(PickList).options]
        assert [forms[0][0], forms[0][-2].strip(), forms[0][-1]] == ["bfloat16", "1.24 GB", "as most are published"]
        assert [option.disabled for option in one.screen.query_one(PickList).options] == [False] * 4 + [True]
        assert "212 GB free" in one.text("status")
        assert one.read == [("checkpoint", convert_states.SOURCE), ("suggestion", "bfloat16")]


async def test_enter_converts_in_the_format_that_is_marked(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        assert one.folder.value == str(convert_states.FOLDER)
        await pilot.press("down", "down")
        assert one.read[-1] == ("suggestion", "float32")
        source, folder = convert_states.SOURCE, convert_states.FOLDER
        await pilot.press("enter")
        assert one.orders[-1] == (source, folder, "float32", 0)
        await pilot.press("down", "enter")
        assert one.orders[-1] == (source, folder, "bfloat16", 8)
        await pilot.press("down", "enter")  # one that cannot be chosen is passed over
        assert one.orders[-1] == (source, folder, "bfloat16", 0)


async def test_another_folder_can_be_typed(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        await pilot.press("tab", "end", "2", "s", "o")
        typed = f"{convert_states.FOLDER}2so"
        assert one.folder.value == typed
        assert one.read[-1] == ("folder", typed)
        await pilot.press("enter")
        assert one.orders == []  # nobody has looked at that folder yet
        await one.tell(TargetRead(Target(Path("/elsewhere"), free=1), "an earlier text"))
        assert one.orders == []
        await one.tell(TargetRead(Target(Path(typed), free=10**12), typed))
        assert [order[1] for order in one.orders] == [Path(typed)]
        await pilot.press("tab", "escape")
        assert not one.folder.has_focus and one.answers == []  # esc leaves the field first


async def test_what_a_person_typed_is_not_replaced(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        await pilot.press("tab", "end", "2", "tab", "down")
        assert [kind for kind, _ in one.read] == ["checkpoint", "suggestion", "folder"]
        await one.tell(convert_states.ROOMY)  # a suggestion that comes late
        assert one.folder.value == f"{convert_states.FOLDER}2"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target(convert_states.FOLDER, "that folder is not empty: choose another one"), "is not empty"),
        (Target(convert_states.FOLDER, free=1_000_000_000), "does not fit: 1 GB free"),
    ],
)
async def test_a_folder_that_cannot_take_it_is_refused(still_app: MakeApp, target: Target, said: str) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        await one.tell(TargetRead(target))
        assert said in one.text("note")
        await pilot.press("enter")
        assert one.orders == []


async def test_a_file_that_is_no_checkpoint_is_one_sentence(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot, seen=False)
        problem = Advice("notes.nemo is no NeMo archive", "download it again")
        await one.tell(CheckpointRead(Path("/downloads/other.nemo"), convert_states.PREVIEW))  # no longer wanted
        assert "reading" in one.text("source")
        await one.tell(CheckpointRead(convert_states.SOURCE, advice=problem))
        assert str(problem) in one.text("source")
        assert not {"convert-start", "convert-edit"} & one.keys
        await pilot.press("o")
        await pilot.pause()
        assert isinstance(pilot.app.screen, OpenFileScreen)


async def test_stages_then_the_proof_then_the_race(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        one.worker.show(convert_states.CONVERTING)
        await pilot.pause()
        assert one.screen.query_one(JobPane).display
        assert not one.screen.query_one("#convert-forms").display
        assert not {"convert-start", "convert-use", "convert-pick"} & one.keys
        await pilot.press("escape")
        assert one.app.dashboard.worker.asked[-1] == "cancel job" and one.answers == []
        one.worker.show(convert_states.CONVERTED)
        await pilot.pause()
        proof = one.text("parity")
        assert "largest" in proof and "0.0321" not in proof and "3.2e-02" in proof
        assert "predictor and joint" in proof and "97.8%" in proof and "≤ 0.15" in proof
        assert proof.count("✓ within") == 3
        bottom = one.screen.query_one("#convert-parity").region.bottom
        assert bottom <= SIZE[1] - 1  # all of it is on the smallest usual screen
        await pilot.press("s")
        await pilot.pause()
        assert one.answers == [Chosen(str(convert_states.FOLDER), "parakeet-mlx")]


async def test_a_cancelled_or_failed_one_leads_back_to_the_choices(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        one.worker.show(convert_states.CONVERTING)
        one.worker.show(convert_states.CANCELLED)
        await pilot.pause()
        assert "✗ cancelled; nothing was left behind" in one.text("note")
        assert one.screen.query_one("#convert-forms").display and not one.screen.query_one(JobPane).display
        await pilot.press("down")
        assert one.text("note") == ""
        await pilot.press("escape")
        await pilot.pause()
        assert one.answers == [None]


async def test_escape_cancels_what_has_just_been_started(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        one.worker.busy = True  # its thread has said nothing yet
        await pilot.press("escape")
        assert one.app.dashboard.worker.asked[-1] == "cancel job" and one.answers == []


async def test_a_conversion_that_already_runs_is_shown(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.worker.show(convert_states.CONVERTING)
        await pilot.press("k")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, ConvertScreen)  # nothing is asked
        assert screen.query_one(JobPane).display
        failed = replace(convert_states.CANCELLED, summary="no space is left: free some")
        app.dashboard.worker.show(failed)
        await pilot.pause()
        assert "✗ no space is left: free some" in str(screen.query_one("#convert-source", Static).render())


async def test_nothing_starts_during_a_race_or_other_work(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot, racing=True)
        await pilot.press("enter")
        assert one.orders == []
    async with still_app().run_test(size=SIZE) as pilot:
        one = await opened(pilot.app, pilot)
        one.worker.show(replace(convert_states.CONVERTING, kind="download"))
        await pilot.press("enter")
        assert one.orders == []
        assert one.screen.query_one("#convert-forms").display  # a download is no conversion


async def test_the_key_asks_for_a_checkpoint(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.nemo").write_bytes(b"x")
    (tmp_path / "b.wav").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    async with still_app().run_test(size=SIZE) as pilot:
        await pilot.press("k")
        await pilot.pause()
        picker: Any = pilot.app.screen
        assert isinstance(picker, OpenFileScreen)
        async with asyncio.timeout(10):
            while "file" not in str(picker.query_one("#open-note", Static).render()):
                await pilot.pause(0.01)
        names = [str(option.prompt).split("  ")[0].strip() for option in picker.query_one(PickList).options]
        assert "a.nemo" in names and "b.wav" not in names
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is pilot.app.dashboard  # type: ignore[attr-defined]


async def test_a_chosen_model_becomes_the_size_and_its_backend_races(still_app: MakeApp) -> None:
    async with still_app().run_test(size=SIZE) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.race.all_backends = False
        app.dashboard.race.change_models(entries=app.dashboard.race.entries[-1:])
        app.dashboard.action_convert()
        await pilot.pause()
        await pilot.press("escape")  # the picker
        await pilot.pause()
        app.dashboard.action_convert()
        await pilot.pause()
        app.screen_stack[-2].dismiss(Chosen("converted/mine", "parakeet-mlx"))
        await pilot.pause()
        await pilot.pause()
        assert app.dashboard.race.plan.size == "converted/mine"
        assert {entry.name for entry in app.dashboard.race.plan.backends} == {
            "parakeet-mlx",
            app.dashboard.race.entries[-1].name,
        }


def test_counts_as_people_say_them() -> None:
    assert [parameters(n) for n in (9_370, 1_110_000, 617_800_000, 1_050_000_000)] == [
        "9,370",
        "1.11 M",
        "618 M",
        "1.05 G",
    ]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for what a child process brings about."""
    async with asyncio.timeout(120):
        while not condition():
            await pilot.pause(0.05)


@pytest.mark.parametrize("cancel", [False, True], ids=["to the end", "cancelled"])
async def test_a_real_checkpoint(still_app: MakeApp, places: Path, cancel: bool) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("mlx.core")
    async with still_app().run_test(size=(120, 40)) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        worker = Worker(app.dashboard.post_message)
        screen = ConvertScreen(worker, path=FIXTURES / "tdt.nemo")
        answers: list[Chosen | None] = []
        app.push_screen(screen, answers.append)
        folder = converted_folder() / "tdt"
        await until(pilot, lambda: screen.is_mounted and screen.query_one(Input).value != "")
        assert "Parakeet TDT" in str(screen.query_one("#convert-source", Static).render())
        await pilot.press("enter")
        await until(pilot, lambda: worker.view is not None)
        if cancel:
            await pilot.press("escape")
            await until(pilot, lambda: not worker.busy)
            assert list(converted_folder().glob("*")) == []
            note = screen.query_one("#convert-note", Static)
            await until(pilot, lambda: "nothing was left behind" in str(note.render()))
            return
        await until(pilot, lambda: not worker.busy)
        await until(pilot, lambda: "✓ within" in str(screen.query_one("#convert-parity", Static).render()))
        assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors", "conversion.json"}
        await pilot.press("s")
        await until(pilot, lambda: bool(answers))
        assert answers == [Chosen("converted/tdt", "parakeet-mlx")]
