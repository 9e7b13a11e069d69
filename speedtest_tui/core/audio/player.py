"""Playing a clip, in a child process (`play_child`): the screen stays untouched whatever the sound system prints."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.process.sound_link import ChildLink

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip


CHILD_MODULE = "speedtest_tui.core.audio.play_child"


@dataclass(frozen=True)
class PlayerState:
    """A moment of the player.

    phase: "idle", "opening", "playing", "finished" (heard to its end), "stopped" (asked for) or "failed"
    seconds, total_s: how far into the clip, and its length
    problem: why it failed, one line with what to do
    """

    phase: str = "idle"
    seconds: float = 0.0
    total_s: float = 0.0
    device: str = ""
    problem: str = ""

    @property
    def over(self) -> bool:
        return self.phase in ("finished", "stopped", "failed")


class Player:
    """Plays one clip once. The listener is called some 10 times a second, in a thread of the player's own."""

    def __init__(self, clip: Clip, listener: Callable[[PlayerState], None] = lambda _: None) -> None:
        self._clip = clip
        self._listener = listener
        self._state = PlayerState(total_s=clip.seconds)
        self._link: ChildLink | None = None
        self._over = threading.Event()

    @property
    def state(self) -> PlayerState:
        return self._state

    def play(self, begin_s: float = 0.0) -> None:
        """Begin, in the background, `begin_s` seconds into the clip. Does nothing the second time."""
        import os

        if self._link is not None:
            return
        self._state = replace(self._state, phase="opening", seconds=begin_s)
        with tempfile.TemporaryFile() as file:
            file.write(self._clip.data())
            file.flush()
            descriptor = os.dup(file.fileno())
        # The child's own number for it: `pass_fds` keeps the number.
        order = {"descriptor": descriptor, "begin": begin_s}
        self._link = ChildLink(CHILD_MODULE, order, self._on_event, self._on_end, descriptor)

    def stop(self) -> None:
        """Stop at once; returns when the child has ended. Does nothing where nothing plays."""
        if self._link is not None:
            self._end("stopped")
            self._link.close()

    def wait(self, seconds: float) -> bool:
        """Wait until it is over, or for so long; whether it is."""
        return self._over.wait(seconds)

    def _on_event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "playing":
                self._change(phase="playing", device=event["device"])
            case "position":
                self._change(seconds=min(event["seconds"], self._state.total_s))
            case "finished":
                self._end("finished", seconds=self._state.total_s)
            case "failed":
                self._end("failed", problem=f"{event['message']}: {event['hint']}")

    def _on_end(self, problem: str) -> None:
        self._end("failed", problem=f"the player {problem or 'ended'}: try again")

    def _end(self, phase: str, **changes: Any) -> None:
        if not self._state.over:
            self._state = replace(self._state, phase=phase, **changes)
            self._over.set()
            self._listener(self._state)

    def _change(self, **changes: Any) -> None:
        if not self._state.over:
            self._state = replace(self._state, **changes)
            self._listener(self._state)
