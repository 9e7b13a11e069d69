"""Between the screen and the sound system: records and plays in the background, and reports in messages.

What really records and plays are child processes; what blocks here, blocks in threads.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from speedtest_tui.ui.workers.messages import (
    ClipReady,
    DevicesKnown,
    LeftoversFound,
    PlayerChanged,
    RecorderChanged,
    RecordingFailed,
    TaskFailed,
)

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip
    from speedtest_tui.core.audio.player import Player, PlayerState
    from speedtest_tui.core.audio.recorder import Recorder, RecorderState
    from speedtest_tui.core.audio.recording import Recording
    from speedtest_tui.core.audio.view import ClipView


LISTEN_S, LISTEN_DB = 0.25, 3.0
"""While it only listens, the level is drawn at most so often, and where it has changed by so much."""


class Microphone:
    """One recorder at a time, and one player. `post` must be safe to call from any thread."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._recorder: Recorder | None = None
        self._player: Player | None = None
        self._wanted = False
        self.asked = False
        self._finishing = False
        self._shown = (float("-inf"), float("-inf"))
        self._lock = threading.Lock()

    @property
    def recording(self) -> bool:
        """Whether a recording is about to begin, grows, or is being turned into a clip."""
        return self._wanted or self._finishing

    @property
    def playing(self) -> bool:
        player = self._player
        return player is not None and not player.state.over

    def listen(self, device: str, silence_s: float) -> None:
        """Open the microphone, so that the half second before the key that starts a recording is kept.

        Before the first recording only where that disturbs nobody: see `opens_unasked`.
        """

        def work() -> None:
            if self.asked or self._opens_unasked(device):
                self._open(device, silence_s, begin=False)

        self._in_background("microphone", work)

    def _opens_unasked(self, device: str) -> bool:
        from speedtest_tui.core.audio.devices import choose_device, scan_devices
        from speedtest_tui.core.audio.recording import opens_unasked
        from speedtest_tui.core.errors import UserError

        if not opens_unasked(sys.platform, device, 0):
            return False
        try:
            chosen = choose_device(device or None, scan_devices())
        except UserError:
            return True  # Opening it says what is wrong.
        return opens_unasked(sys.platform, chosen.name, chosen.rate)

    def record(self, device: str, silence_s: float) -> None:
        """Start recording; opens the microphone first where it does not listen yet.

        silence_s: seconds of silence that end the recording; 0 is never
        """
        self._wanted = self.asked = True
        self._in_background("microphone", lambda: self._open(device, silence_s, begin=True))

    def finish(self) -> None:
        """End the recording and turn it into a clip."""
        if not self._finishing:
            self._finishing = True
            self._in_background("recording", self._finish)

    def rest(self) -> None:
        """Close the microphone; a recording that grows is left on disk."""
        self._in_background("microphone", self._close)

    def play(self, clip: Clip) -> None:
        """Play a clip, or stop what plays."""
        self._in_background("player", lambda: self._play(clip))

    def listen_to(self, recording: Recording) -> None:
        """Play a leftover, or stop what plays."""
        self._in_background("player", lambda: self._play(recording.clip()))

    def trim(self, view: ClipView) -> None:
        """Take the silence off a clip that has a suggestion for it, or put it back."""
        self._in_background("trim", lambda: self._trim(view))

    def look_for_devices(self) -> None:
        """List the microphones again."""
        self._in_background("devices", self._look_for_devices)

    def look_for_leftovers(self) -> None:
        """Find recordings that a killed program left, and nobody has seen as a clip before quitting."""
        self._in_background("leftovers", self._look_for_leftovers)

    def recover(self, recording: Recording) -> None:
        """Turn a leftover into a clip."""
        self._in_background("recovery", lambda: self._show(recording))

    def close(self) -> None:
        """End everything. Blocks for a second at most."""
        self._close()
        if self._player is not None:
            self._player.stop()

    def _in_background(self, name: str, work: Callable[[], object]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self._post(TaskFailed(f"{name}: {type(error).__name__}: {error}"))

        threading.Thread(target=guarded, name=name, daemon=True).start()

    def _open(self, device: str, silence_s: float, *, begin: bool) -> None:
        from speedtest_tui.core.audio.recorder import Recorder

        with self._lock:
            if self._recorder is None or self._recorder.state.over:
                if self._recorder is not None:
                    self._recorder.close()
                self._shown = (float("-inf"), float("-inf"))
                self._recorder = Recorder(self._changed, device=device or None, silence_s=silence_s or None)
                self._recorder.arm()
            if begin:
                self._recorder.start()

    def _changed(self, state: RecorderState) -> None:
        if state.how == "failed":
            self._wanted = False
        if state.phase == "armed" and not self._worth_showing(state):
            return
        self._post(RecorderChanged(state))

    def _worth_showing(self, state: RecorderState) -> bool:
        """Whether the level before a recording has changed enough: an idle dashboard must cost next to nothing."""
        now, level = time.monotonic(), state.rms_db
        shown_at, shown_level = self._shown
        if now - shown_at < LISTEN_S or abs(level - shown_level) < LISTEN_DB:
            return False
        self._shown = (now, level)
        return True

    def _finish(self) -> None:
        from speedtest_tui.core.errors import UserError

        with self._lock:
            recorder, self._recorder = self._recorder, None
            try:
                if recorder is not None:
                    self._show(recorder.stop())
            except UserError as error:
                self._post(RecordingFailed(str(error)))
            finally:
                self._finishing = self._wanted = False
                if recorder is not None:
                    recorder.close()

    def _show(self, recording: Recording) -> None:
        from speedtest_tui.core.audio.view import view_of_recording

        self._post(ClipReady(view_of_recording(recording)))

    def _close(self) -> None:
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def _play(self, clip: Clip) -> None:
        from speedtest_tui.core.audio.player import Player

        if self.playing and self._player is not None:
            self._player.stop()
            return
        self._player = Player(clip, self._played)
        self._player.play()

    def _played(self, state: PlayerState) -> None:
        self._post(PlayerChanged(state))

    def _trim(self, view: ClipView) -> None:
        from speedtest_tui.core.audio.view import toggle_trim

        self._post(ClipReady(toggle_trim(view)))

    def _look_for_devices(self) -> None:
        from speedtest_tui.core.audio.devices import scan_devices

        self._post(DevicesKnown(scan_devices()))

    def _look_for_leftovers(self) -> None:
        from speedtest_tui.core.audio.recording import leftovers

        found = tuple(each for each in leftovers() if not each.facts.seen)
        if found:
            self._post(LeftoversFound(found))
