"""What the dashboard was opened with; cheap to make, checked before the screen opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.base import BackendEntry
from speedtest_tui.core.models.sizes import Option, candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.settings import Reading, Settings


@dataclass(frozen=True)
class Request:
    """A plan, the clip to load, and whether to race as soon as it is there.

    audio: a file; None is the demo where `demo` is set, and otherwise no clip yet
    open_backends: all backends were asked for, so that those of installed packages join once they are known
    reading: the settings in force, and what was wrong with their file
    options: what single backends are set to, those included that do not race yet
    """

    plan: Plan
    audio: Path | None = None
    demo: bool = False
    autostart: bool = False
    open_backends: bool = True
    ascii_only: bool = False
    reading: Reading = field(default_factory=lambda: Reading(Settings()))
    options: tuple[Option, ...] = ()

    def with_entries(self, entries: tuple[BackendEntry, ...]) -> Plan:
        """The plan with these backends instead, where all were asked for."""
        return self.with_models(self.plan, entries=entries) if self.open_backends else self.plan

    def with_models(self, plan: Plan, *, entries: Sequence[BackendEntry] = (), size: str = "") -> Plan:
        """A plan with other backends, or of another size; each backend is set to what it always is."""
        return replace(plan, candidates=candidates(entries or plan.backends, size or plan.size, self.options))
