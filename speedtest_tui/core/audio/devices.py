"""Which microphones PortAudio sees, and what to do where it sees none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NO_LIBRARY = {
    "linux": "sudo apt install libportaudio2 (Debian, Ubuntu) or sudo dnf install portaudio (Fedora)",
    "darwin": "pip install --force-reinstall sounddevice (its wheel carries PortAudio)",
}
_NO_DEVICE = {
    "linux": "plug in a microphone and see whether `arecord -l` lists it (in a container or over SSH there is none)",
    "darwin": "plug in a microphone, or allow this terminal app in System Settings > Privacy & Security > Microphone",
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


@dataclass(frozen=True)
class DeviceReport:
    """What PortAudio sees. Where it sees nothing `problem` says why and `fix` is the one line that may mend it."""

    devices: tuple[InputDevice, ...] = ()
    problem: str = ""
    fix: str = ""


def input_devices() -> DeviceReport:
    """List the devices that can record, the default one first. Never raises for what is missing on the machine.

    File descriptor 2 is silent meanwhile, for the whole process: never call it while a TUI draws on it.
    """
    try:
        with _silent_stderr():
            devices = _query()
    except ImportError as error:
        return DeviceReport((), f"the Python package sounddevice is not usable ({error})", "pip install sounddevice")
    except OSError as error:
        # Raised by the import of sounddevice: its wheels carry PortAudio for macOS and Windows only.
        return DeviceReport((), f"the PortAudio library does not load ({error})", _fix(_NO_LIBRARY))
    except Exception as error:  # PortAudioError, a class of the module that may not have been imported.
        if type(error).__name__ != "PortAudioError":
            raise
        return DeviceReport((), f"PortAudio does not start ({error})", _fix(_NO_DEVICE))
    if not devices:
        return DeviceReport((), "no microphone is connected or allowed", _fix(_NO_DEVICE))
    return DeviceReport(devices)


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
                name="".join(c for c in str(device["name"]) if c.isprintable()).strip(),
                channels=int(device["max_input_channels"]),
                rate=float(device["default_samplerate"]),
                host_api=str(api["name"]),
                is_default=device["index"] == sounddevice.default.device[0],
            )
        )
    return tuple(sorted(found, key=lambda device: not device.is_default))


def _fix(by_platform: dict[str, str]) -> str:
    return by_platform.get(sys.platform, _OTHER)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
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
