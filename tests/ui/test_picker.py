"""The picker: what could race, chosen by keys, and shortlists that stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import offer_states
import pytest
import states
from textual.app import App
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input, Static

from backends.base import Availability, BackendEntry
from backends.registry import BUILT_IN, create, default_backends
from speedtest_tui.core.jobs import offers as core
from speedtest_tui.core.models.sizes import Candidate, candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.settings import Reading, Settings, load
from speedtest_tui.ui.screens.picker import PickerScreen
from speedtest_tui.ui.widgets.line_text import fit_apart
from speedtest_tui.ui.widgets.offer_lines import Layout
from speedtest_tui.ui.widgets.pick_list import PickList
from speedtest_tui.ui.workers.messages import CandidatesRead, OffersKnown
from speedtest_tui.ui.workers.settings import SettingsStore

FREE = 24 << 30


class Worker(states.StillWorker):
    """Answers at once, and truly: by the caches of the test."""

    def offer(
        self,
        entries: Sequence[BackendEntry],
        chosen: Sequence[Candidate],
        clip_s: float | None,
        post: Callable[[Message], Any],
    ) -> None:
        for found in core.offers(entries, chosen, clip_s=clip_s):
            post(OffersKnown(replace(found, free_memory=FREE)))

    def stop_offering(self) -> None:
        self.asked.append("stop")

    def read_candidates(
        self, names: Sequence[str], entries: Sequence[BackendEntry], post: Callable[[Message], Any], shortlist: str = ""
    ) -> None:
        post(CandidatesRead(*core.read(names, entries), shortlist))


class Host(App[None]):
    def __init__(self, plan: Plan, settings: Settings = Settings(), worker: type[states.StillWorker] = Worker) -> None:  # noqa: B008
        super().__init__()
        self.answers: list[tuple[Candidate, ...] | None] = []
        self.complaints: list[str] = []
        self.store = SettingsStore(Reading(settings), self.complaints.append)
        self.picker = PickerScreen(worker(lambda _: None), self.store, BUILT_IN, plan, 4.0)  # type: ignore[arg-type]

    def on_mount(self) -> None:
        self.push_screen(self.picker, self.answers.append)

    @property
    def lines(self) -> list[str]:
        return [str(option.prompt) for option in self.picker.query_one(PickList).options]

    def text(self, name: str) -> str:
        return str(self.picker.query_one(name, Static).render())

    @property
    def chosen(self) -> list[str]:
        (answer,) = self.answers
        return [one.name for one in answer or ()]


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", "")
    return tmp_path


def plan(*names: str, size: str = "nano") -> Plan:
    return Plan(candidates([entry for entry in BUILT_IN if entry.name in names], size))


async def ready(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.pause()


async def test_what_races_now_is_chosen_and_comes_back(caches: Path) -> None:
    host = Host(plan("mlx-whisper", "canary-mlx"))
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        marked = [line.split("[x]")[1].split()[0] for line in host.lines if "[x]" in line]
        assert marked == ["mlx-whisper", "canary-mlx"]
        assert host.text("#pick-total").startswith("2 candidates · memory about ")
        await pilot.press("enter")
    assert host.chosen == ["mlx-whisper:nano", "canary-mlx:nano"]


async def test_a_model_for_all_backends_at_once(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in default_backends(BUILT_IN):
        monkeypatch.setattr(type(create(entry.reference)), "availability", lambda self: Availability(True, "1.0"))
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("c", "slash", *"mlx-whisper:base.en", "enter", "a")
        assert host.text("#pick-total").startswith("5 candidates · at least ")
        assert "to download (5 models)" in host.text("#pick-total")
        await pilot.press("escape")
        assert "290 MB" in next(line for line in host.lines if "transformers" in line and "[x]" in line)
        await pilot.press("enter")
    assert host.chosen == named("base.en", "mlx-whisper", *THEIRS, "faster-whisper", "whisper-cpp")


def named(size: str, *backends: str) -> list[str]:
    return [f"{backend}:{size}" for backend in backends]


THEIRS = ("whisper-mps", "transformers")
SMALL = ("mlx-whisper", "parakeet-mlx", *THEIRS)


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        ("mlx-whisper:small", named("small", *SMALL, "pocketsphinx")),
        ("openai-whisper:small", named("small", *SMALL, "openai-whisper", "pocketsphinx")),
        ("turbo mlx-whisper", named("turbo", "mlx-whisper", "canary-mlx", "transformers", "pocketsphinx")),
        ("canary-1b-v2", ["canary-mlx:canary-1b-v2"]),
        (
            "canary beam=4",
            ["mlx-whisper:nano", "canary-mlx:nano?beam=4", *named("nano", "transformers", "pocketsphinx")],
        ),
    ],
)
async def test_all_backends_are_those_that_race_by_default(caches: Path, here: str, chosen: list[str]) -> None:
    """The highlighted one, and what its name means for the others: without what is off by default or not installed."""
    host = Host(plan("mlx-whisper"), worker=offer_states.Still)
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("c", "slash", *here, "enter", "a")
        chosen_now = host.text("#pick-total")
        await pilot.press("a")
        assert host.text("#pick-total").startswith("0 candidates")
        await pilot.press("a")
        assert host.text("#pick-total") == chosen_now
        await pilot.press("enter")
    assert host.chosen == chosen


def test_backends_of_one_model_never_look_alike() -> None:
    for width in range(34, 160):
        layout = Layout(width, offer_states.OFFERS)
        lines = [layout.line(offer, chosen=False, first=True).plain for offer in offer_states.OFFERS]
        assert max(len(line.rstrip()) for line in lines) <= width
        shown = {line[: layout.model + len("  [ ]  ") + layout.backend] for line in lines}
        assert len(shown) == len(lines), (width, sorted(shown))
    models = {name for entry in BUILT_IN for name in core.names_of(entry)} | {"/models/a/one", "/models/b/one", "o/x"}
    for width in range(12, 45):
        looks = fit_apart(models, width)
        assert len(set(looks.values())) == len(models) and max(map(len, looks.values())) <= width


async def test_what_is_not_installed_says_what_to_do(caches: Path) -> None:
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("slash", *"whisperkit tiny", "enter")
        assert "○ not installed" in host.lines[0]
        assert "whisperkit is not installed: " in host.text("#pick-detail")
        await pilot.press("space", "enter")
    assert host.chosen == ["mlx-whisper:nano"]


async def test_a_filter_that_finds_nothing_and_back(caches: Path) -> None:
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=(40, 10)) as pilot:
        await ready(pilot)
        every = len(host.lines)
        await pilot.press("slash", *"zzz")
        assert host.lines == [] and "nothing matches" in host.text("#pick-detail")
        await pilot.press("escape")
        assert len(host.lines) == every and not host.picker.query_one(Input).display
        await pilot.press("escape")
    assert host.answers == [None]


async def test_nothing_chosen_is_said(caches: Path) -> None:
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("c", "enter")
        assert "choose at least one candidate" in host.text("#pick-total")
        assert host.answers == []


async def test_a_name_that_is_typed(caches: Path) -> None:
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("t", *"canary-mlx:nano?beam=4", "enter")
        await ready(pilot)
        assert any("canary-mlx beam=4" in line and "[x]" in line for line in host.lines)
        await pilot.press("t", *"canary-mlx:smal", "enter")
        await ready(pilot)
        assert "! canary-mlx has no model of size 'smal': did you mean small?" in host.text("#pick-total")
        await pilot.press("enter")
    assert host.chosen == ["mlx-whisper:nano", "canary-mlx:nano?beam=4"]


async def test_a_choice_is_kept_by_name_chosen_again_and_forgotten(caches: Path) -> None:
    host = Host(plan("mlx-whisper", "canary-mlx"))
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("w", *"mine", "enter")
        assert host.store.settings.shortlists == {"mine": ("mlx-whisper:nano", "canary-mlx:nano")}
        assert "shortlist mine" in host.text("#pick-title")
        await pilot.press("c", "l", "enter")
        await ready(pilot)
        await pilot.press("enter")
    assert host.chosen == ["mlx-whisper:nano", "canary-mlx:nano"]

    again = Host(plan("mlx-whisper"), host.store.settings)
    async with again.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("x", "enter")
        assert not any(again.store.settings.shortlists.values())
        await pilot.press("w", *" ", "enter")
        assert again.store.settings.shortlists == {"mine": ()}


async def test_a_list_of_what_is_gone_says_so(caches: Path) -> None:
    lists = {"old": ("gone:small", "mlx-whisper:nano", "canary-mlx:/no/folder")}
    host = Host(plan("canary-mlx"), Settings(shortlists=lists))
    async with host.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("l", "enter")
        await ready(pilot)
        assert "no backend is called 'gone'" in host.text("#pick-total") or "gone:small" in host.text("#pick-total")
        await pilot.press("enter")
    assert host.chosen == ["mlx-whisper:nano"]


@pytest.mark.parametrize("size", [(40, 10), (60, 15), (80, 24), (120, 40), (200, 60)])
async def test_no_line_is_wider_than_the_list(caches: Path, size: tuple[int, int]) -> None:
    host = Host(plan("mlx-whisper"))
    async with host.run_test(size=size) as pilot:
        await ready(pilot)
        width = host.picker.query_one(PickList).text_width
        assert max(len(line.rstrip()) for line in host.lines) <= width
        assert "mlx-whisper"[:12] in host.lines[0]


def test_what_is_saved_is_read_again(caches: Path) -> None:
    from speedtest_tui.core import settings

    file = caches / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        '[shortlists]\nkept = ["mlx-whisper:nano"]  # mine\n"bad\\u001b" = ["a:b"]\nwrong = 3\nempty = []\n'
    )
    found = load()
    assert found.settings.shortlists == {"kept": ("mlx-whisper:nano",)}
    assert "\x1b" not in "".join(found.problems) and "2 more like it" in "".join(found.problems)
    settings.save(replace(found.settings, shortlists={**found.settings.shortlists, "new": ("canary-mlx:nano",)}))
    text = file.read_text()
    assert "# mine" in text and "wrong = 3" in text and 'new = ["canary-mlx:nano"]' in text
    settings.save(replace(found.settings, shortlists={"kept": ()}))
    assert "kept" not in file.read_text() and "wrong = 3" in file.read_text()
