"""Screens that are left once, however fast somebody types."""

from __future__ import annotations

from typing import Any

from textual.await_complete import AwaitComplete


class Once:
    """For a screen that is dismissed: a second dismissal does nothing.

    Keys that were typed before the first one took effect still reach the screen; in Textual 8.2 each of them would take
    another screen off the stack and call the callback again.
    """

    _dismissed = False

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Leave the screen and hand over its result, the first time."""
        if self._dismissed:
            return AwaitComplete()
        self._dismissed = True
        left: AwaitComplete = super().dismiss(result)  # type: ignore[misc]
        return left
