"""What the dashboard was opened with; cheap to make, checked before the screen opens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.base import BackendEntry
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.settings import Reading, Settings


@dataclass(frozen=True)
class Request:
    """A plan, the clip to load, and whether to race as soon as it is there.

    audio: a file; None is the demo where `demo` is set, and otherwise no clip yet
    open_backends: all backends were asked for, so that those of installed packages join once they are known
    reading: the settings in force, and what was wrong with their file
    """

    plan: Plan
    audio: Path | None = None
    demo: bool = False
    autostart: bool = False
    open_backends: bool = True
    ascii_only: bool = False
    reading: Reading = field(default_factory=lambda: Reading(Settings()))

    def with_entries(self, entries: tuple[BackendEntry, ...]) -> Plan:
        """The plan with these backends instead, where all were asked for."""
        return replace(self.plan, backends=entries) if self.open_backends else self.plan
