"""The look of the dashboard. Regenerate on purpose only: pytest --snapshot-update, with the pinned Textual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import states
import textual
from textual.pilot import Pilot

from speedtest_tui.ui.app import SpeedtestApp

MakeApp = Callable[..., SpeedtestApp]

pytestmark = pytest.mark.skipif(
    textual.__version__ != "8.2.8", reason="snapshots belong to the Textual version of constraints.txt"
)

SIZES = [(80, 24), (120, 40), (200, 60)]
STATES = {"loading": states.loading, "running": states.running, "finished": states.finished}


def shows(name: str | None, keys: tuple[str, ...] = (), theme: str = "textual-dark") -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, SpeedtestApp)
        app.theme = theme
        await pilot.pause()
        if name:
            app.dashboard.bridge.show(STATES[name]())  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", list(STATES))
def test_states(snap_compare: Any, still_app: MakeApp, name: str, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=shows(name))


def test_idle(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows(None))


def test_small(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(60, 15), run_before=shows("finished"))


def test_help(snap_compare: Any, still_app: MakeApp) -> None:
    assert snap_compare(still_app(), terminal_size=(80, 24), run_before=shows("finished", ("question_mark",)))


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
def test_themes(snap_compare: Any, still_app: MakeApp, theme: str) -> None:
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows("finished", theme=theme))


def test_no_color(snap_compare: Any, still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=shows("finished"))
