"""When a microphone may open by itself, and what is advised where macOS gives silence."""

from __future__ import annotations

import pytest

from speedtest_tui.core.audio import recording
from speedtest_tui.core.darwin import Permission


@pytest.mark.parametrize(
    ("platform", "device", "rate", "opens"),
    [
        ("linux", "default", 44_100, True),
        ("linux", "", 0, True),
        ("linux", "Anna's AirPods Pro", 48_000, False),
        ("linux", "bluez_input.00", 0, False),
        ("linux", "Headset", 16_000, False),
        ("linux", "Headset", 8_000, False),
        ("win32", "Hands-Free AG Audio", 44_100, False),
        ("darwin", "MacBook Pro Microphone", 48_000, False),
        ("darwin", "", 0, False),
    ],
)
def test_opens_unasked(platform: str, device: str, rate: float, opens: bool) -> None:
    assert recording.opens_unasked(platform, device, rate) is opens


@pytest.mark.parametrize("tmux", [False, True])
def test_silence_on_macos(tmux: bool) -> None:
    environment = {"TERM_PROGRAM": "Hyper"} | ({"TMUX": "/tmp/socket,1,0"} if tmux else {})
    advice = recording._digital_silence(2.0, "any", "darwin", environment).advice
    assert recording.NOT_LISTED in advice.todo
    assert ("outside tmux" in advice.todo) is tmux


@pytest.mark.parametrize(
    ("permission", "refused"),
    [(None, False), ("not-asked", False), ("allowed", False), ("denied", True), ("restricted", True)],
)
def test_nothing_is_recorded_without_permission(permission: Permission | None, refused: bool) -> None:
    advice = recording.refusal(permission, {"TERM_PROGRAM": "ghostty"})
    assert bool(advice) is refused
    if advice:
        assert advice.what.startswith("Ghostty may not use the microphone")
        assert "allow Ghostty in System Settings" in advice.todo
