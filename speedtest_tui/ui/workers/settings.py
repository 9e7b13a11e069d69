"""What the dashboard is opened with, and the settings while it is open. Cheap: made before the first frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.base import BackendEntry
from speedtest_tui.core.models.sizes import Option, cross
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
    open_backends: bool = False
    ascii_only: bool = False
    reading: Reading = field(default_factory=lambda: Reading(Settings()))
    options: tuple[Option, ...] = ()

    def with_entries(self, entries: tuple[BackendEntry, ...]) -> Plan:
        """The plan with these backends instead, where all were asked for."""
        return self.with_models(self.plan, entries=entries) if self.open_backends else self.plan

    def with_models(self, plan: Plan, *, entries: Sequence[BackendEntry] = (), size: str = "") -> Plan:
        """A plan with other backends, or of another size; each backend is set to what it always is."""
        return replace(plan, candidates=cross(entries or plan.backends, (size,) if size else plan.sizes, self.options))


class SettingsStore:
    """Takes over choices on the screen's thread, and saves them in the background.

    complain: called from a thread, at most once, where they cannot be written
    """

    def __init__(self, reading: Reading, complain: Callable[[str], object]) -> None:
        self.settings = reading.settings
        self.problems = reading.problems
        self._writable = reading.writable
        self._complain = complain
        self._lock = threading.Lock()

    def remember(self, **changes: Any) -> None:
        """Take over changed fields and save them in the background."""
        changed = replace(self.settings, **changes)
        if changed == self.settings:
            return
        self.settings = changed
        if self._writable:
            threading.Thread(target=self._save, name="settings", daemon=True).start()

    def _save(self) -> None:
        from speedtest_tui.core import settings

        with self._lock:
            try:
                # Whatever is newest by now: writers that were overtaken write the same again.
                settings.save(self.settings)
            except (OSError, ValueError) as error:
                self._writable = False
                self._complain(f"settings could not be saved ({error}): they last until you quit")
