"""This machine in a few words: what a result must say about where it was measured."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Host:
    """Facts about the machine. `memory_bytes` is physical memory, `load` the one-minute load average.

    core_kinds: name and number of each kind of cores, the fastest first; none where all are alike or nobody knows
    """

    chip: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    load: float
    core_kinds: tuple[tuple[str, int], ...] = ()

    @property
    def cores_words(self) -> str:
        """ "14 cores", "14 cores (10 Performance + 4 Efficiency)"."""
        kinds = " + ".join(f"{number} {name}" for name, number in self.core_kinds)
        return f"{self.cores} cores ({kinds})" if kinds else f"{self.cores} cores"

    def sentence(self) -> str:
        """The machine on one line: "Apple M4 Pro · 14 cores (10+4) · 24 GB · macOS 26.1"."""
        kinds = f" ({'+'.join(str(number) for _, number in self.core_kinds)})" if self.core_kinds else ""
        return f"{self.chip} · {self.cores} cores{kinds} · {self.memory_bytes / 2**30:.0f} GB · {self.system}"


def describe() -> Host:
    """Read the facts. Starts `sysctl` on macOS: not for the way to the first frame."""
    if sys.platform == "darwin":
        chip, core_kinds = of_sysctl(answers(("/usr/sbin/sysctl", "hw", "machdep.cpu.brand_string"))[0])
    else:
        chip, core_kinds = _chip(), core_kinds_of(Path("/sys/devices"))
    return Host(
        chip=chip or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_bytes=total_memory(),
        system=_system(),
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
        core_kinds=core_kinds,
    )


LIMIT_S = 1.0
"""How long the system may take to answer questions of this kind, all those together that are asked at once."""


def answers(*commands: Sequence[str]) -> list[str]:
    """What programs print, all run at once; empty for one that is not there or does not end within LIMIT_S."""
    import subprocess

    nothing, deadline = subprocess.DEVNULL, time.monotonic() + LIMIT_S

    def start(command: Sequence[str]) -> subprocess.Popen[str] | None:
        try:
            return subprocess.Popen(
                command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, text=True, errors="replace"
            )
        except OSError:
            return None

    def finish(process: subprocess.Popen[str]) -> str:
        try:
            return process.communicate(timeout=max(0.0, deadline - time.monotonic()))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return ""

    return [finish(process) if process else "" for process in [start(command) for command in commands]]


def content(path: Path) -> str:
    """A small file's text without blanks around it; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def total_memory() -> int:
    """Bytes of physical memory."""
    return _memory("total", "SC_PHYS_PAGES")


def available_memory() -> int:
    """Bytes that a new process can take without swapping."""
    return _memory("available", "SC_AVPHYS_PAGES")


def _memory(field: str, pages: str) -> int:
    import psutil

    try:
        return int(getattr(psutil.virtual_memory(), field))
    except (OSError, RuntimeError):  # Linux without /proc
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")


def of_sysctl(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Chip and kinds of cores in what `sysctl hw machdep.cpu.brand_string` prints, as "name: value" lines.

    hw.perflevel0 is the fastest kind. Names differ: Performance and Efficiency, on an M5 Max Super and Performance.
    """
    values = dict(line.partition(": ")[::2] for line in text.splitlines())
    kinds = []
    for level in range(4):
        number = values.get(f"hw.perflevel{level}.physicalcpu", "").strip()
        name = values.get(f"hw.perflevel{level}.name", f"level {level}").strip()
        kinds += [(name, int(number))] if number.isdigit() and int(number) else []
    return values.get("machdep.cpu.brand_string", "").strip(), tuple(kinds) if len(kinds) > 1 else ()


def core_kinds_of(root: Path) -> tuple[tuple[str, int], ...]:
    """Kinds of logical processors on Linux: Intel's hybrids by their two event sources, Arm's by their capacity.

    root: takes the place of /sys/devices
    """
    hybrid = [(name, _listed(content(root / folder / "cpus"))) for name, folder in INTEL_KINDS]
    if all(number for _, number in hybrid):
        return tuple(hybrid)
    capacities = Counter(
        int(text) for path in (root / "system/cpu").glob("cpu[0-9]*/cpu_capacity") if (text := content(path)).isdigit()
    )
    kinds = sorted(capacities.items(), reverse=True)
    return tuple((f"capacity {capacity}", number) for capacity, number in kinds) if len(kinds) > 1 else ()


INTEL_KINDS = (("Performance", "cpu_core"), ("Efficiency", "cpu_atom"))


def _listed(text: str) -> int:
    """How many are in a list such as "0-11,16"."""
    found = re.findall(r"(\d{1,6})(?:-(\d{1,6}))?", text)
    return sum(max(0, int(last or first) - int(first) + 1) for first, last in found)


def _chip() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else ""


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return f"{platform.system()} {platform.release()}"
