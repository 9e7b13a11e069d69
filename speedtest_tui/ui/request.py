"""What the dashboard was opened with; cheap to make, checked before the screen opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.base import BackendEntry
from speedtest_tui.core.bench.plan import Plan


@dataclass(frozen=True)
class Request:
    """A plan, the clip to load (None is the demo), and whether to race as soon as it is there.

    open_backends: all backends were asked for, so that those of installed packages join once they are known
    """

    plan: Plan
    audio: Path | None = None
    autostart: bool = False
    open_backends: bool = True

    def with_entries(self, entries: tuple[BackendEntry, ...]) -> Plan:
        """The plan with these backends instead, where all were asked for."""
        from dataclasses import replace

        return replace(self.plan, backends=entries) if self.open_backends else self.plan
