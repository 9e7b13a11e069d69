"""What is wrong with a recording and what to do about it, in words for the person who has just spoken."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speedtest_tui.core.audio import level
from speedtest_tui.core.audio.recording import faults

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip
    from speedtest_tui.core.audio.spool import Facts


TELEPHONE_RATE = 16_000
"""Native rate, in Hz, at and below which a microphone is a headset in a call: Bluetooth's hands-free profile."""

WIRELESS_RATE = 24_000
"""The same for devices whose name says that they are wireless; newer headsets go up to this rate in a call."""

WIRELESS_NAMES = (
    "airpods",
    "bluetooth",
    "bluez",
    "buds",
    "hands-free",
    "handsfree",
    "hfp",
    "wh-1000",
    "wf-1000",
    "qc35",
)

TERMINALS = {
    "Apple_Terminal": "Terminal",
    "iTerm.app": "iTerm",
    "WarpTerminal": "Warp",
    "vscode": "Visual Studio Code",
    "ghostty": "Ghostty",
    "WezTerm": "WezTerm",
    "Hyper": "Hyper",
    "zed": "Zed",
}
"""TERM_PROGRAM, and the application's name as System Settings list it."""


@dataclass(frozen=True)
class Finding:
    """One thing about a recording.

    kind: "digital-silence", "no-speech", "quiet", "clipped", "zeros", "bluetooth" or "incomplete"
    what: the thing, a clause
    todo: what to do, a clause; may be empty
    """

    kind: str
    what: str
    todo: str

    def sentence(self) -> str:
        return f"{self.what}: {self.todo}" if self.todo else self.what


def diagnose(
    clip: Clip, facts: Facts, *, platform: str = sys.platform, environment: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """All findings about the full clip of a recording, the worst first; empty where all is well."""
    measured = level.measure(clip.samples)
    found = []
    if not facts.sounding or measured.exact_zero >= measured.seconds >= level.ZERO_SECONDS:
        found.append(_digital_silence(measured.seconds, facts.device, platform, environment or os.environ))
    elif not measured.speech:
        heard = f"nothing louder than {measured.active_db:.0f} dBFS"
        found.append(Finding("no-speech", f"no speech was heard ({heard})", f"is {facts.device!r} the right device?"))
    found += [Finding("incomplete", fault, "") for fault in faults(facts)]
    if facts.sounding and level.ZERO_SECONDS <= measured.exact_zero < measured.seconds:
        what = f"{measured.exact_zero:.1f} s in a row are exact zeros"
        found.append(Finding("zeros", what, "the device was muted, or a headset was slow to start"))
    if measured.speech and measured.active_db < level.QUIET_DB:
        what = f"very quiet (speech at {measured.active_db:.0f} dBFS, where -22 dBFS is usual)"
        found.append(Finding("quiet", what, "raise the input level or go nearer"))
    if measured.clipped:
        what = f"clipped ({measured.clipped} samples in {measured.clipped_peaks} cut-off peaks)"
        found.append(Finding("clipped", what, "lower the input level or go further away"))
    if bluetooth := _bluetooth(facts):
        found.append(bluetooth)
    return tuple(found)


def _digital_silence(seconds: float, device: str, platform: str, environment: Mapping[str, str]) -> Finding:
    what = f"all {seconds:.1f} s are exact zeros"
    if platform == "darwin":
        # Without permission macOS gives zeros and no error, and asks nobody: the terminal is what lacks it.
        terminal = terminal_name(environment)
        return Finding(
            "digital-silence",
            f"{what}, which is what macOS gives where {terminal} may not use the microphone",
            f"allow {terminal} in System Settings > Privacy & Security > Microphone, then quit and restart {terminal}",
        )
    if platform == "linux":
        todo = "unmute the source (`pactl set-source-mute @DEFAULT_SOURCE@ 0`, or pavucontrol) or choose another device"
    else:
        todo = "unmute the microphone and allow its use in the system's privacy settings"
    return Finding("digital-silence", f"{what}: {device!r} is muted or not the right device", todo)


def terminal_name(environment: Mapping[str, str]) -> str:
    """The terminal application as people know it, or "this terminal application"."""
    program = environment.get("TERM_PROGRAM", "")
    # A multiplexer hides the application around it, which is the one that needs the permission.
    if program in ("tmux", "screen"):
        program = {"iTerm2": "iTerm.app"}.get(environment.get("LC_TERMINAL", ""), "")
    name = TERMINALS.get(program, program.removesuffix(".app"))
    return name if name.isprintable() and name else "this terminal application"


def _bluetooth(facts: Facts) -> Finding | None:
    wireless = any(hint in facts.device.lower() for hint in WIRELESS_NAMES)
    if facts.rate > (WIRELESS_RATE if wireless else TELEPHONE_RATE):
        return None
    what = f"{facts.device!r} records at {facts.rate / 1000:g} kHz, as Bluetooth headsets do in calls"
    return Finding("bluetooth", what, "the microphone of the computer or a cable gives better sound")
