"""Whether a library is installed, found out without importing it."""

from __future__ import annotations

import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from backends.base import Availability


def installed(module: str, distribution: str, extra: str, device: str) -> Availability:
    """Report on a library: importable `module`, version of `distribution`, installed by the extra `extra`."""
    from importlib.metadata import PackageNotFoundError, version

    if find_spec(module) is None:
        return Availability(False, device=device, fix=f"pip install 'speedtest-tui[{extra}]'")
    try:
        return Availability(True, version(distribution), device)
    except PackageNotFoundError:
        return Availability(True, "unknown", device)


def mlx_library(module: str, distribution: str) -> Availability:
    """The same for a library on MLX, which runs on Apple silicon (Metal) and, slowly, on Linux processors."""
    if sys.platform == "darwin" and platform.machine() != "arm64":
        return Availability(False, fix="MLX needs Apple silicon and a Python that runs natively on it (arm64)")
    if sys.platform not in ("darwin", "linux"):
        return Availability(False, fix="MLX runs on macOS and Linux only")
    return installed(module, distribution, "mlx", "Metal GPU" if sys.platform == "darwin" else "CPU")


def torch_device_expected() -> str:
    """The device that PyTorch will most likely choose here; what it did choose is observed after loading."""
    if sys.platform == "darwin":
        return "MPS" if platform.machine() == "arm64" else "CPU"
    return "CUDA" if Path("/proc/driver/nvidia/version").exists() else "CPU"
