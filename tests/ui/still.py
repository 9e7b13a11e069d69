"""A fixture: the application with a still worker and a still clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from states import NOW, StillWorker, request

from speedtest_tui.ui.app import SpeedtestApp


@pytest.fixture
def still_app(places: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes the application; whatever it is asked for, no engine starts."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")

    def make(**facts: Any) -> SpeedtestApp:
        return SpeedtestApp(request(**facts), make_worker=StillWorker, clock=lambda: NOW)  # type: ignore[arg-type]

    return make
