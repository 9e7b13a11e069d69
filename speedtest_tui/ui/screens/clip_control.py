"""The dashboard's clip: recorded, opened, played, trimmed and given a reference text; and the microphone for it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.workers.web import in_browser, microphone_note

if TYPE_CHECKING:
    from speedtest_tui.core.audio.devices import DeviceReport
    from speedtest_tui.core.audio.player import PlayerState
    from speedtest_tui.core.audio.recorder import RecorderState
    from speedtest_tui.core.audio.recording import Recording
    from speedtest_tui.core.audio.view import ClipView
    from speedtest_tui.ui.workers.settings import SettingsStore
    from speedtest_tui.ui.workers.worker import Worker


class ClipControl:
    """Owns the clip. Screens that ask are imported when they are first needed.

    clip: what a race would run on, None before there is one
    racing: whether a race is running, which sound would disturb
    changed: called when the clip is another one, has another text, or is gone
    """

    def __init__(
        self,
        screen: Screen[Any],
        worker: Worker,
        store: SettingsStore,
        racing: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self.clip: ClipView | None = None
        self._screen = screen
        self._worker = worker
        self._microphone = worker.microphone
        self._store = store
        self._racing = racing
        self._changed = changed
        self._in_session: Recording | None = None
        self._leftovers: tuple[Recording, ...] = ()
        self._choosing_device = self._loading = False

    @property
    def _pane(self) -> ClipPane:
        return self._screen.query_one(ClipPane)

    @property
    def recording(self) -> bool:
        """Whether a recording is about to begin, grows, or is being turned into a clip."""
        return self._microphone.recording

    @property
    def empty(self) -> bool:
        """Whether there is no clip, and none is about to come."""
        return self.clip is None and not self.recording and not self._loading

    def begin(self, audio: Path | None, demo: bool) -> None:
        """Load what the program was started with, else wait for a clip, and offer what was left unsaved."""
        if audio is not None or demo:
            self._loading = True
            self._worker.load(audio)
        else:
            self.wait()
            self._microphone.look_for_leftovers()

    def wait(self) -> None:
        """There is no clip: say what to press; an open microphone, where it may be, loses no first word."""
        self.clip = None
        self._pane.clear(off=sys.platform == "darwin" and not self._microphone.asked)
        settings = self._store.settings
        if settings.listen and not in_browser(self._screen.app):
            self._microphone.listen(settings.device, settings.silence_stop)

    def ready(self, view: ClipView) -> None:
        """Take over a clip that has been read."""
        self.clip, self._loading = view, False
        self._microphone.rest()
        self._changed()

    def refuse(self, reason: str) -> None:
        """Say why there is no clip."""
        self._loading = False
        if self.clip is None:
            self._pane.refuse(reason)
        self._complain(reason, "The clip cannot be used")

    # What the keys do.

    def record(self) -> None:
        """Start a recording, or end the one that grows."""
        if self.recording:
            self._microphone.finish()
        elif self._racing():
            self._screen.notify("A race is running: press esc to cancel it first.", severity="warning")
        elif note := microphone_note(self._screen.app):
            self._ask(f"This records with {note}.", "Record there", "Cancel", self._record)
        else:
            self._record()

    def _record(self) -> None:
        settings = self._store.settings
        self.let_go(lambda: self._microphone.record(settings.device, settings.silence_stop))

    def open(self) -> None:
        """Ask for a file."""
        from speedtest_tui.core import disk
        from speedtest_tui.ui.screens.open_file import OpenFileScreen

        recent = tuple(map(Path, self._store.settings.recent))
        start = recent[0].parent if recent and disk.is_folder(recent[0].parent) else Path.cwd()
        self._screen.app.push_screen(OpenFileScreen(recent, start), self.load)

    def load(self, path: Path | None) -> None:
        """Load a file as the clip; None changes nothing."""
        if path is None:
            return

        def load() -> None:
            self._store.remember(recent=self._store.settings.with_recent(path).recent)
            self._worker.load(path)

        self.let_go(load)

    def play(self) -> None:
        """Play the clip, or stop playing it."""
        if self.clip is None and self.offered is None:
            self._screen.notify("There is no clip to play yet.", severity="warning")
        elif self._racing() and not self._microphone.playing:
            self._screen.notify("Playing now would disturb the race.", severity="warning")
        elif self.clip is not None:
            self._microphone.play(self.clip.clip)
        elif self.offered is not None:
            self._microphone.listen_to(self.offered)

    def trim(self) -> None:
        """Trim silence, or undo that."""
        if self.clip is None or self.clip.trim is None:
            self._screen.notify("This clip has no silence to trim.", severity="warning")
        else:
            self._microphone.trim(self.clip)

    def reference(self) -> None:
        """Ask for the correct text."""
        from speedtest_tui.core.accuracy.reference import from_text
        from speedtest_tui.ui.screens.reference import ReferenceScreen

        def entered(text: str | None) -> None:
            if text is not None and self.clip is not None:
                clip = replace(self.clip.clip, reference=from_text(text) or None)
                self.clip = replace(self.clip, clip=clip)
                self._changed()

        if self.clip is None:
            self._screen.notify("Record or open a clip first, then enter its text.", severity="warning")
        else:
            self._screen.app.push_screen(ReferenceScreen(self.clip.clip.reference or ""), entered)

    def devices(self) -> None:
        """Ask which of the microphones that there are now is to be used."""
        self._choosing_device = True
        self._screen.notify("Looking for microphones.", timeout=1)
        self._microphone.look_for_devices()

    def devices_known(self, report: DeviceReport) -> None:
        """Offer the microphones, where that was asked for."""
        if not self._choosing_device:
            return
        self._choosing_device = False
        if report.advice:
            self._complain(str(report.advice), "No microphone")
            return
        from speedtest_tui.ui.screens.choice import Choice, ChoiceScreen

        choices = (
            Choice("", "system default", "whatever the system uses"),
            *(
                Choice(device.name, device.name, f"{device.rate / 1000:g} kHz · {device.host_api}")
                for device in {device.name: device for device in report.devices}.values()
            ),
        )

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys is not None and keys[0] != self._store.settings.device:
                self._store.remember(device=keys[0])
                self._microphone.rest()
                if self.clip is None:
                    self.wait()

        self._screen.app.push_screen(ChoiceScreen("Microphone", choices, (self._store.settings.device,)), chosen)

    # What the sound system reports.

    def recorder_changed(self, state: RecorderState) -> None:
        """Show a recording that begins, grows or ends, or the level before it."""
        if state.phase == "recording" and self.clip is not None:
            self.clip = None
            self._changed()
        if self.clip is None:
            self._pane.show_recorder(state)
        if state.over and state.how not in ("stopped", "failed"):
            # It ended by itself: what came is kept and shown.
            self._microphone.finish()

    def recording_failed(self, reason: str) -> None:
        """Say why nothing was recorded."""
        self._pane.refuse(reason)
        self._complain(reason, "Nothing was recorded")

    def player_changed(self, state: PlayerState) -> None:
        """Show how far the clip has been played."""
        self._pane.show_player(state)
        if state.problem:
            self._complain(state.problem, "The clip cannot be played")

    # Recordings lie on disk until a session holds them, and are never lost unasked.

    def leftovers_found(self, recordings: tuple[Recording, ...]) -> None:
        """Offer recordings that no session holds, the newest first."""
        self._leftovers = recordings
        self._changed()

    @property
    def offered(self) -> Recording | None:
        """A recording that a killed program left, where it could be used now."""
        return self._leftovers[0] if self._leftovers and self.empty else None

    def offer(self) -> str:
        """What is offered, and the keys for it, in a line; empty where nothing is."""
        if (newest := self.offered) is None:
            return ""
        from speedtest_tui.ui.widgets.key_line import keys_of

        begun, keys = time.localtime(newest.facts.started), keys_of(self._screen)
        when = time.strftime("%H:%M" if begun[:3] == time.localtime()[:3] else "%-d %b %H:%M", begun)
        named = (("recover", "use"), ("play", "play"), ("discard", "discard"))
        todo = " · ".join(f"{keys[action]} {word}" for action, word in named if action in keys)
        return f"Unsaved {newest.seconds:.1f} s, {when}: {todo}"

    def recover(self) -> None:
        """Use the recording that is offered."""
        if (recording := self.offered) is not None:
            self._leftovers = self._leftovers[1:]
            self._microphone.recover(recording)
            self._changed()

    def discard(self) -> None:
        """Discard the recording that is offered, where that is really meant."""
        if (recording := self.offered) is None:
            return

        def discard() -> None:
            self._leftovers = tuple(each for each in self._leftovers if each is not recording)
            self._discard(recording)
            self._changed()

        self._ask(f"Discard the unsaved recording of {recording.seconds:.1f} s?", "Discard it", "Keep it", discard)

    def leave(self) -> None:
        """The program quits as it should: a recording that was shown as the clip is not offered at the next start."""
        recording = self.clip.recording if self.clip else None
        if recording is not None and self._in_session is not recording:
            with contextlib.suppress(OSError):
                recording.mark_seen()

    def let_go(self, then: Callable[[], None]) -> None:
        """Do something that loses a recording which is in no session yet, but only where that is really meant."""
        recording = self.clip.recording if self.clip else None
        if recording is None or self._in_session is recording:
            then()
            return

        def discard() -> None:
            self._discard(recording)
            then()

        question = f"The recording of {recording.seconds:.1f} s is in no session yet and would be lost."
        self._ask(question, "Discard it", "Keep it", discard)

    def in_session(self) -> None:
        """A session holds the clip now: its spooled frames are not needed any more."""
        recording = self.clip.recording if self.clip else None
        if recording is not None:
            self._in_session = recording
            self._discard(recording)

    def _discard(self, recording: Recording) -> None:
        try:
            recording.discard()
        except OSError as error:
            self._complain(f"the recording could not be deleted ({error.strerror or error})", "Recording")

    def _ask(self, question: str, yes: str, no: str, then: Callable[[], None], **more: Any) -> None:
        from speedtest_tui.ui.screens.confirm import ask

        ask(self._screen, question, yes, no, then, **more)

    def _complain(self, sentence: str, title: str) -> None:
        from speedtest_tui.ui.screens.confirm import complain

        complain(self._screen, sentence, title)
