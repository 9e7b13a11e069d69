"""ASCII mode: no other byte leaves the dashboard, and nothing changes its width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import states
from rich.cells import cell_len

from speedtest_tui.ui.app import SpeedtestApp, ascii_only


@pytest.mark.parametrize("text", ["abc", "█▋ ±3 – ✓ done", "日本語 ok", "é̈", "🎤 rec", "╭─ Race ─╮"])
def test_width_is_kept_and_all_is_ascii(text: str) -> None:
    assert ascii_only(text).isascii()
    assert cell_len(ascii_only(text)) == cell_len(text)


async def test_every_line_of_the_screen_is_ascii(still_app: Callable[..., SpeedtestApp]) -> None:
    app = still_app(ascii_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.dashboard.worker.show(states.finished())  # type: ignore[attr-defined]
        await pilot.pause()
        lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
        assert any("mlx-whisper" in line for line in lines)
        assert not [line for line in lines if not line.isascii()]
        # What a race draws has its likeness.
        for state in (states.running(), states.loading(), states.finished(), states.many("racing")):
            app.dashboard.worker.show(state)  # type: ignore[attr-defined]
            await pilot.pause()
            assert not [strip for strip in app.screen._compositor.render_strips() if "??" in strip.text]
