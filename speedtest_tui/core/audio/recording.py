"""What has been recorded: frames on disk, which become a clip; and what is wrong with it, for the person who spoke."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backends.base import Advice
from speedtest_tui.core import disk
from speedtest_tui.core.audio import spool
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.audio.level import Finding, findings
from speedtest_tui.core.darwin import Permission
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from speedtest_tui.core.audio.conform import Block
    from speedtest_tui.core.audio.spool import Facts, Hold


DEAD_CHANNEL = 1e-3
"""Share of the loudest channel's RMS (-60 dB) below which a channel has no microphone on it and is left out."""


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


NOT_LISTED = "if it is not listed there, record in Terminal, iTerm2 or Ghostty"
"""For applications that never asked for the microphone: macOS lists no others, and nobody can add one."""


@dataclass(frozen=True)
class Recording:
    """A finished recording. Its files stay until `discard`, so that nothing is lost before it has been used.

    path: the file of its frames
    seconds: how long it is, its pre-roll included
    """

    path: Path
    facts: Facts
    seconds: float
    _hold: Hold | None = field(default=None, repr=False, compare=False)

    def clip(self, name: str = "") -> Clip:
        """The whole recording as a clip at 16 kHz, with what went wrong in its warnings.

        name: for people; the time of the recording where left out. Raises UserError where it is too short or gone.
        """
        from speedtest_tui.core.audio.decode import from_blocks

        name = name or f"recording {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.facts.started))}"
        try:
            live = _live_channels(spool.blocks(self.path, self.facts), self.facts.channels)
            clip = from_blocks((block[:, live] for block in spool.blocks(self.path, self.facts)), self.facts.rate, name)
        except OSError as error:
            raise UserError(f"the recording {self.path} cannot be read ({error.strerror})", "record again") from None
        return dataclasses.replace(clip, warnings=(*faults(self.facts), *clip.warnings))

    def mark_seen(self) -> None:
        """Note that its clip was shown, so that the dashboard does not offer it again. Raises OSError."""
        spool.write_facts(self.path, dataclasses.replace(self.facts, seen=True))

    def discard(self) -> None:
        """Remove its files. Raises OSError."""
        if self._hold is not None:
            self._hold.release()
        spool.discard(self.path)


def open_recording(path: Path) -> Recording:
    """The recording whose frames lie in `path`. Raises OSError and ValueError."""
    hold = spool.Hold(path)
    facts = spool.read_facts(path)
    return Recording(path, facts, spool.count_frames(path, facts) / facts.rate, hold)


def leftovers(folder: Path | None = None) -> tuple[Recording, ...]:
    """Recordings that a program left which was killed or crashed, the newest first.

    What is too short to be a clip is removed on the way. Listing them here keeps other programs from offering them.
    """
    from speedtest_tui.core.locations import spool_folder

    found = []
    folder = folder or spool_folder()
    disk.hide(folder, deep=True)
    for path in spool.abandoned(folder):
        try:
            recording = open_recording(path)
            if recording.seconds < MIN_SECONDS:
                recording.discard()
                continue
        except (OSError, ValueError):
            continue
        found.append(recording)
    return tuple(found)


def faults(facts: Facts) -> tuple[str, ...]:
    """What is missing from a recording, each a clause for people; empty where nothing is."""
    found = []
    if not facts.how:
        found.append("recovered: the program was ended while recording")
    if facts.how == "lost":
        found.append(f"the recording broke off: {facts.reason}")
    if facts.missing_s:
        found.append(f"{facts.missing_s * 1000:.0f} ms are missing (counted against the clock)")
    elif facts.overflows:
        found.append(f"the system reported {facts.overflows} times that it had thrown away audio")
    if facts.dropped_frames:
        lost = facts.dropped_frames / facts.rate * 1000
        found.append(f"{lost:.0f} ms were dropped, because this machine could not keep up")
    return tuple(found)


def diagnose(
    clip: Clip, facts: Facts, *, platform: str = sys.platform, environment: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """All findings about the full clip of a recording, the worst first; empty where all is well."""
    measured = clip.measured()
    todo = {
        "no-speech": f"is {facts.device!r} the right device?",
        "zeros": "the device was muted, or a headset was slow to start",
        "quiet": "raise the input level or go nearer",
        "clipped": "lower the input level or go further away",
    }
    found = []
    for finding in findings(measured):
        if finding.kind == "digital-silence":
            found.append(_digital_silence(measured.seconds, facts.device, platform, environment or os.environ))
        else:
            found.append(Finding(finding.kind, Advice(finding.advice.what, todo[finding.kind])))
    place = 0 if measured.speech else 1
    found[place:place] = [Finding("incomplete", Advice(fault)) for fault in faults(facts)]
    if bluetooth := _bluetooth(facts):
        found.append(bluetooth)
    return tuple(found)


def _digital_silence(seconds: float, device: str, platform: str, environment: Mapping[str, str]) -> Finding:
    what = f"the recording is silent (all {seconds:.1f} s are exact zeros)"
    if platform == "darwin":
        # Without permission macOS gives zeros and no error, and asks no second time: the terminal is what lacks it.
        terminal = terminal_name(environment)
        what = f"{what}, as macOS makes it where {terminal} may not use the microphone"
        return Finding("digital-silence", Advice(what, _allow(terminal, environment)))
    if platform == "linux":
        todo = "unmute the source (`pactl set-source-mute @DEFAULT_SOURCE@ 0`, or pavucontrol) or choose another device"
    else:
        todo = "unmute the microphone and allow its use in the system's privacy settings"
    return Finding("digital-silence", Advice(f"{what}, as {device!r} is muted or not the right device", todo))


def refusal(permission: Permission | None, environment: Mapping[str, str]) -> Advice | None:
    """Why a recording would be nothing but zeros, known before anybody has spoken; None where it would not."""
    if permission not in ("denied", "restricted"):
        return None
    terminal = terminal_name(environment)
    what = f"{terminal} may not use the microphone ({permission} in macOS's privacy settings)"
    return Advice(what, _allow(terminal, environment))


def _allow(terminal: str, environment: Mapping[str, str]) -> str:
    place = "System Settings > Privacy & Security > Microphone"
    todo = f"allow {terminal} in {place}, then quit and restart {terminal}; {NOT_LISTED}"
    if environment.get("TMUX"):
        todo += "; or record outside tmux, which may hide the terminal from macOS"
    return todo


def terminal_name(environment: Mapping[str, str]) -> str:
    """The terminal application as people know it, or "this terminal application"."""
    program = environment.get("TERM_PROGRAM", "")
    # A multiplexer hides the application around it, which is the one that needs the permission.
    if program in ("tmux", "screen"):
        program = {"iTerm2": "iTerm.app"}.get(environment.get("LC_TERMINAL", ""), "")
    name = TERMINALS.get(program, program.removesuffix(".app"))
    return name if name.isprintable() and name else "this terminal application"


def opens_unasked(platform: str, device: str, rate: float) -> bool:
    """Whether a microphone may be opened before anybody has pressed record.

    On macOS that asks for permission before any key; a wireless headset changes to its call profile, which muffles what
    it plays. rate: the device's native one in Hz, 0 where nobody knows it.
    """
    return platform != "darwin" and not _named_wireless(device) and not 0 < rate <= TELEPHONE_RATE


def _named_wireless(device: str) -> bool:
    return any(hint in device.lower() for hint in WIRELESS_NAMES)


def _bluetooth(facts: Facts) -> Finding | None:
    if facts.rate > (WIRELESS_RATE if _named_wireless(facts.device) else TELEPHONE_RATE):
        return None
    what = f"{facts.device!r} records at {facts.rate / 1000:g} kHz, as Bluetooth headsets do in calls"
    return Finding("bluetooth", Advice(what, "the microphone of the computer or a cable gives better sound"))


def _live_channels(blocks: Iterable[Block], channels: int) -> slice | list[int]:
    """The channels but those that have next to nothing on them, which would only make the mean quieter."""
    import numpy as np

    power = np.zeros(channels)
    for block in blocks if channels > 1 else ():
        power += np.einsum("ij,ij->j", block, block)
    heard = np.flatnonzero(power >= power.max() * DEAD_CHANNEL**2)
    live = [int(channel) for channel in heard] or list(range(channels))  # none where there are NaN
    # Neighbours are a view of a block; only odd sets of live channels are copied.
    return slice(live[0], live[-1] + 1) if live[-1] - live[0] == len(live) - 1 else live
