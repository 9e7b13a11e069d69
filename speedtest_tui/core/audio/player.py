"""Playing a clip, in a child process (`play_child`): the screen stays untouched whatever the sound system prints."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from speedtest_tui.core.audio.play_child import Finished, Order, Playing, Position
from speedtest_tui.core.process.lines import Failed, Message
from speedtest_tui.core.process.parent import Child, Ended

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip


PlayerPhase = Literal["idle", "opening", "playing", "finished", "stopped", "failed"]

CHILD_MODULE = "speedtest_tui.core.audio.play_child"


@dataclass(frozen=True)
class PlayerState:
    """A moment of the player.

    phase: "finished" is heard to its end, "stopped" asked for
    seconds, total_s: how far into the clip, and its length
    problem: why it failed, one line with what to do
    """

    phase: PlayerPhase = "idle"
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
        self._child: Child | None = None
        self._over = threading.Event()

    @property
    def state(self) -> PlayerState:
        return self._state

    def play(self, begin_s: float = 0.0) -> None:
        """Begin, in the background, `begin_s` seconds into the clip. Does nothing the second time."""
        if self._child is not None:
            return
        self._state = replace(self._state, phase="opening", seconds=begin_s)
        with tempfile.TemporaryFile() as file:
            file.write(self._clip.data())
            file.flush()
            # The child's own number for it: `pass_fds` keeps the number.
            order, messages = Order(file.fileno(), begin_s), (Playing, Position, Finished)
            self._child = Child(CHILD_MODULE, order, messages, self._on_report, pass_fds=(file.fileno(),))

    def stop(self) -> None:
        """Stop at once; returns when the child has ended. Does nothing where nothing plays."""
        if self._child is not None:
            self._end("stopped")
            self._child.end()

    def wait(self, seconds: float) -> bool:
        """Wait until it is over, or for so long; whether it is."""
        return self._over.wait(seconds)

    def _on_report(self, report: Message | Ended) -> None:
        match report:
            case Playing():
                self._change(phase="playing", device=report.device)
            case Position():
                self._change(seconds=min(report.seconds, self._state.total_s))
            case Finished():
                self._end("finished", seconds=self._state.total_s)
            case Failed():
                self._end("failed", problem=str(report.advice))
            case Ended():
                self._end("failed", problem=f"the player {report.told()}: try again")

    def _end(self, phase: PlayerPhase, **changes: Any) -> None:
        if not self._state.over:
            self._state = replace(self._state, phase=phase, **changes)
            self._over.set()
            self._listener(self._state)

    def _change(self, **changes: Any) -> None:
        if not self._state.over:
            self._state = replace(self._state, **changes)
            self._listener(self._state)
