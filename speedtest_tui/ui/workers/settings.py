"""The settings while the dashboard is open: changed on the screen's thread, written behind its back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from speedtest_tui.core.settings import Reading


class Memory:
    """Remembers choices. `complain` is called from a thread, at most once, where they cannot be written."""

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
