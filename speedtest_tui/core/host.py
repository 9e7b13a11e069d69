"""This machine in a few words: what a result must say about where it was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Host:
    """Facts about the machine. `memory_bytes` is physical memory, `load` the one-minute load average."""

    chip: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    load: float

    def sentence(self) -> str:
        """The machine on one line: "Apple M4 Pro · 14 cores · 24 GB · macOS 26.1"."""
        return f"{self.chip} · {self.cores} cores · {self.memory_bytes / 2**30:.0f} GB · {self.system}"


def describe() -> Host:
    """Read the facts. May start `sysctl` on macOS: not for the way to the first frame."""
    return Host(
        chip=_chip(),
        cores=os.cpu_count() or 1,
        memory_bytes=total_memory(),
        system=_system(),
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
    )


def total_memory() -> int:
    """Bytes of physical memory."""
    import psutil

    return psutil.virtual_memory().total


def available_memory() -> int:
    """Bytes that a new process can take without swapping."""
    import psutil

    return psutil.virtual_memory().available


def _chip() -> str:
    if sys.platform == "darwin":
        try:
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            name = ""
        return name or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return f"{platform.system()} {platform.release()}"
