"""Which microphones PortAudio sees, which of them is meant, and what to do where it sees none."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from backends.base import Advice
from speedtest_tui.core.format import one_line
from speedtest_tui.core.process.child import serve
from speedtest_tui.core.process.lines import Message

_NO_LIBRARY = {
    "linux": "sudo apt install libportaudio2 (Debian, Ubuntu) or sudo dnf install portaudio (Fedora)",
    "darwin": "pip install --force-reinstall sounddevice (its wheel carries PortAudio)",
}
_NO_DEVICE = {
    "linux": "plug in a microphone and see whether `arecord -l` lists it (in a container or over SSH there is none)",
    "darwin": "plug in a microphone and see whether System Settings > Sound > Input lists it",
}
_OTHER = "see https://python-sounddevice.readthedocs.io/en/latest/installation.html"


@dataclass(frozen=True)
class InputDevice:
    """A microphone. `rate` is its native sampling rate in Hz, `host_api` is "Core Audio", "ALSA", ..."""

    name: str
    channels: int
    rate: float
    host_api: str
    is_default: bool
    index: int = field(default=-1, compare=False)
    """PortAudio's number for it, which holds until devices come or go."""


@dataclass(frozen=True)
class DeviceReport:
    """What PortAudio sees; where it sees nothing, why and what to do about it."""

    devices: tuple[InputDevice, ...] = ()
    advice: Advice | None = None

    def to_json(self) -> dict[str, Any]:
        what, todo = astuple(self.advice or Advice(""))
        return {"devices": [asdict(device) for device in self.devices], "problem": what, "fix": todo}


@dataclass(frozen=True)
class Seen(Message):
    """What `scan_devices`' child answers."""

    report: DeviceReport


def input_devices() -> DeviceReport:
    """List the devices that can record, the default one first. Never raises for what is missing on the machine.

    File descriptor 2 is silent meanwhile, for the whole process: never call it while a TUI draws on it.
    """
    try:
        with silent_stderr():
            devices = _query()
    except ImportError as error:
        return _nothing(f"the Python package sounddevice is not usable ({error})", "pip install sounddevice")
    except OSError as error:
        # Raised by the import of sounddevice: its wheels carry PortAudio for macOS and Windows only.
        return _nothing(f"the PortAudio library does not load ({error})", _fix(_NO_LIBRARY))
    except Exception as error:  # PortAudioError, a class of the module that may not have been imported.
        if type(error).__name__ != "PortAudioError":
            raise
        return _nothing(f"PortAudio does not start ({error})", _fix(_NO_DEVICE))
    if not devices:
        return _nothing("no microphone is connected", _fix(_NO_DEVICE))
    return DeviceReport(devices)


def _nothing(what: str, todo: str) -> DeviceReport:
    return DeviceReport(advice=Advice(what, todo))


def scan_devices(cancelled: threading.Event | None = None) -> DeviceReport:
    """`input_devices` in a process of its own: PortAudio looks for devices only once in a process's life.

    It leaves this process's standard error alone, so a TUI may call it from any thread. Blocks for about 0.3 s, or
    until `cancelled` is set. Never raises for what is missing on the machine.
    """
    from speedtest_tui.core.errors import UserError
    from speedtest_tui.core.process.parent import ask

    try:
        seen = ask(__name__, {}, Seen, "listing the microphones", cancelled)
    except UserError as error:
        # Sound systems in C do crash on what they find in their configuration.
        return _nothing(error.what, "see what `python -m sounddevice` prints")
    return seen.report if seen else _nothing("the microphones were not listed", "try again")


def choose_device(name: str | None, report: DeviceReport) -> InputDevice:
    """The device that is meant by its name, its index, or a part of its name that no other has; None: the default.

    Raises UserError where there is none, or none or several of that name.
    """
    from speedtest_tui.core.errors import UserError

    if not report.devices:
        raise UserError(*astuple(report.advice or Advice("no microphone", _fix(_NO_DEVICE))))
    if name is None:
        return report.devices[0]
    wanted = name.strip().casefold()
    exact = [device for device in report.devices if device.name.casefold() == wanted]
    if not exact and wanted.isdecimal():
        exact = [device for device in report.devices if device.index == int(wanted)]
    # The same device may be there once for each host API; the default stands first in the list.
    if exact:
        return exact[0]
    partly = [device for device in report.devices if wanted and wanted in device.name.casefold()]
    if len({device.name for device in partly}) == 1:
        return partly[0]
    listed = ", ".join(f"{device.index} {device.name}" for device in partly or report.devices)
    number = f"{len(partly)} microphones are" if partly else "no microphone is"
    raise UserError(f"{number} called {name!r}", f"choose from: {listed}")


def _query() -> tuple[InputDevice, ...]:
    import sounddevice

    apis: Any = sounddevice.query_hostapis()
    found = []
    for device in sounddevice.query_devices():
        if device["max_input_channels"] < 1:
            continue
        api = apis[device["hostapi"]]
        found.append(
            InputDevice(
                # Names come from drivers and USB descriptors and may hold anything.
                name=one_line(str(device["name"]), "").strip(),
                channels=int(device["max_input_channels"]),
                rate=float(device["default_samplerate"]),
                host_api=str(api["name"]),
                is_default=device["index"] == sounddevice.default.device[0],
                index=int(device["index"]),
            )
        )
    return tuple(sorted(found, key=lambda device: not device.is_default))


def _fix(by_platform: dict[str, str]) -> str:
    return by_platform.get(sys.platform, _OTHER)


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to the null device and bring it back, whatever happens.

    ALSA and JACK write there from C about every device that they cannot open.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # A process without a standard error, which then needs no silencing.
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


if __name__ == "__main__":
    serve(lambda parent: parent.send(Seen(input_devices())))
