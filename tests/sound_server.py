"""A private PulseAudio for tests and measurements: one null sink, whose monitor is the microphone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALSA_CONFIG = Path(__file__).parent / "data" / "asound.conf"
PACKAGES = "pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins"
PROGRAMS = ("pulseaudio", "paplay", "pactl")
START_S = 20.0


class NoSoundServer(Exception):
    """PulseAudio or what leads to it is not installed, or does not start."""


@dataclass(frozen=True)
class SoundServer:
    """A running server. `environment` leads programs to it, and PortAudio through ALSA's plugin."""

    environment: dict[str, str]
    folder: Path

    def play(self, path: Path) -> None:
        """Play a file into the room; returns when it has been heard."""
        command = ["paplay", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, **self.environment})


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Start a server of our own and end it again. Raises NoSoundServer."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise NoSoundServer(f"{', '.join(missing)} not found: apt-get install {PACKAGES}")
    # Not pytest's folder: the path of a socket may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pulse-") as name:
        folder = Path(name)
        socket = folder / "native"
        environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(ALSA_CONFIG),
        }
        modules = (
            "module-null-sink sink_name=room rate=48000 channels=2",
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
        )
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command += ["--log-target=stderr", *(part for module in modules for part in ("-L", module))]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        try:
            deadline = time.monotonic() + START_S
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NoSoundServer(f"PulseAudio does not start: {(folder / 'log').read_text()[-400:]}")
                threading.Event().wait(0.05)
            yield SoundServer({name: value for name, value in environment.items() if name != "HOME"}, folder)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
