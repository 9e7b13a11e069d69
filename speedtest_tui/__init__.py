"""speedtest-tui: race local speech-to-text implementations on this machine."""

from __future__ import annotations

__version__ = "0.1.0"
