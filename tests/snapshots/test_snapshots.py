"""The look of the dashboard. Regenerate on purpose only: pytest --snapshot-update, with the pinned Textual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cache_states
import pytest
import states
import textual
from textual.pilot import Pilot

from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.workers.messages import RecorderChanged

MakeApp = Callable[..., SpeedtestApp]

pytestmark = pytest.mark.skipif(
    textual.__version__ != "8.2.8", reason="snapshots belong to the Textual version of constraints.txt"
)

SIZES = [(80, 24), (120, 40), (200, 60)]
STATES = {"running": states.running, "finished": states.finished, "loading": states.loading, "many": states.many}


def shows(name: str | None, keys: tuple[str, ...] = (), theme: str = "textual-dark") -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, SpeedtestApp)
        app.theme = theme
        await pilot.pause()
        if name == "recording":
            app.dashboard.clips.clip = None
            app.dashboard.post_message(RecorderChanged(states.GROWING))
        elif name:
            app.dashboard.worker.show(STATES[name]())  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["recording", "running", "finished", None], ids=lambda name: name or "idle")
def test_states(snap_compare: Any, still_app: MakeApp, name: str | None, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=shows(name))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_caches(snap_compare: Any, still_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/caches")

    async def prepare(pilot: Pilot[None]) -> None:
        worker: Any = pilot.app.dashboard.worker  # type: ignore[attr-defined]
        worker.overview = cache_states.OVERVIEW
        await pilot.pause()
        await pilot.press("c")
        await pilot.pause()
        worker.show(cache_states.REPAIRING)
        await pilot.pause()
        await pilot.press("down")
        await pilot.pause()

    assert snap_compare(still_app(), terminal_size=size, run_before=prepare)


def test_downloading(snap_compare: Any, still_app: MakeApp) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.race.change_models(size="small")
        app.dashboard.worker.show(cache_states.DOWNLOADING)
        await pilot.pause()

    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=prepare)


def test_loading(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows("loading"))


def test_side_by_side(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows("finished", ("a",)))


@pytest.mark.parametrize("size", [(60, 15), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_plot(snap_compare: Any, still_app: MakeApp, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=shows("finished", ("g",)))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_many(snap_compare: Any, still_app: MakeApp, size: tuple[int, int]) -> None:
    keys = ("shift+tab", "down", "down", "z", "z")
    assert snap_compare(still_app(), terminal_size=size, run_before=shows("many", keys))


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_row(snap_compare: Any, still_app: MakeApp, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=shows("finished", ("e", "right")))


def test_small(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(60, 15), run_before=shows("finished"))


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_help(snap_compare: Any, still_app: MakeApp, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=shows("finished", ("question_mark",)))


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
def test_themes(snap_compare: Any, still_app: MakeApp, theme: str) -> None:
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows("finished", theme=theme))


@pytest.mark.parametrize("name", ["finished", "running"])
def test_no_color(snap_compare: Any, still_app: MakeApp, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows(name, ("shift+tab", "down")))
