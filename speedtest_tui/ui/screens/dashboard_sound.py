"""The dashboard's ears and voice: recording, the clip that comes of it, playing, choosing a microphone."""

from __future__ import annotations

from collections.abc import Callable

from textual import on

from speedtest_tui.ui.screens.dashboard_actions import DashboardActions
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.workers.messages import (
    DevicesKnown,
    LeftoversFound,
    PlayerChanged,
    RecorderChanged,
    RecordingFailed,
)
from speedtest_tui.ui.workers.web import in_browser, microphone_note


class DashboardSound(DashboardActions):
    """What r, x, p and i do, and what the sound system reports."""

    _choosing_device = False

    def wait_for_clip(self) -> None:
        """There is no clip: say what to press, and keep the microphone open so that no first word is lost."""
        self.query_one(ClipPane).clear()
        if self.memory.settings.listen and not in_browser(self.app):
            settings = self.memory.settings
            self.worker.microphone.listen(settings.device, settings.silence_stop)

    def action_record(self) -> None:
        """Start a recording, or end the one that grows."""
        microphone = self.worker.microphone
        if microphone.recording:
            microphone.finish()
        elif self.under_way:
            self.notify("A race is under way: press esc to cancel it first.", severity="warning")
        elif note := microphone_note(self.app):
            from speedtest_tui.ui.screens.confirm import ConfirmScreen

            def answered(yes: bool | None) -> None:
                if yes:
                    self._record()

            self.app.push_screen(ConfirmScreen(f"This records with {note}.", "Record there", "Do not"), answered)
        else:
            self._record()

    def _record(self) -> None:
        settings = self.memory.settings
        self.forget_recording(lambda: self.worker.microphone.record(settings.device, settings.silence_stop))

    def action_play(self) -> None:
        """Play the clip, or stop playing it."""
        if self.clip is None:
            self.notify("There is no clip to play yet.", severity="warning")
        elif self.under_way and not self.worker.microphone.playing:
            self.notify("Playing would disturb the race that is under way.", severity="warning")
        else:
            self.worker.microphone.play(self.clip.clip)

    def action_trim(self) -> None:
        """Take silence off the clip, or put it back."""
        if self.clip is None or self.clip.trim is None:
            self.notify("There is no silence to take off this clip.", severity="warning")
        else:
            self.worker.microphone.trim(self.clip)

    def action_devices(self) -> None:
        """Choose a microphone from those that are there now."""
        self._choosing_device = True
        self.notify("Looking for microphones.", timeout=1)
        self.worker.microphone.look_for_devices()

    @on(DevicesKnown)
    def _devices_known(self, message: DevicesKnown) -> None:
        if not self._choosing_device:
            return
        self._choosing_device = False
        from speedtest_tui.ui.screens.choice import Choice, ChoiceScreen

        report = message.report
        choices = (
            Choice("", "system default", "whatever the system uses"),
            *(
                Choice(device.name, device.name, f"{device.rate / 1000:g} kHz · {device.host_api}")
                for device in {device.name: device for device in report.devices}.values()
            ),
        )

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys is not None and keys[0] != self.memory.settings.device:
                self.memory.remember(device=keys[0])
                self.worker.microphone.rest()
                if self.clip is None:
                    self.wait_for_clip()

        if report.advice:
            self.complain(str(report.advice), "No microphone")
        else:
            self.app.push_screen(ChoiceScreen("Microphone", choices, (self.memory.settings.device,)), chosen)

    @on(RecorderChanged)
    def _recorder_changed(self, message: RecorderChanged) -> None:
        state = message.state
        if state.phase == "recording" and self.clip is not None:
            self.clip = None
            self.show_plan()
        if self.clip is None:
            self.query_one(ClipPane).show_recorder(state)
        if state.over and state.how not in ("stopped", "failed"):
            # It ended by itself: what came is kept and shown.
            self.worker.microphone.finish()
        self.refresh_bindings()

    @on(RecordingFailed)
    def _recording_failed(self, message: RecordingFailed) -> None:
        self.query_one(ClipPane).refuse(message.reason)
        self.complain(message.reason, "Nothing was recorded")
        self.refresh_bindings()

    @on(PlayerChanged)
    def _player_changed(self, message: PlayerChanged) -> None:
        self.query_one(ClipPane).show_player(message.state)
        if message.state.problem:
            self.complain(message.state.problem, "The clip cannot be played")

    @on(LeftoversFound)
    def _leftovers_found(self, message: LeftoversFound) -> None:
        newest = message.recordings[0]
        if self.clip is not None or self.worker.microphone.recording:
            return
        from speedtest_tui.ui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self.worker.microphone.recover(newest)

        question = f"A recording of {newest.seconds:.1f} s was left when the program was last ended."
        self.app.push_screen(ConfirmScreen(question, "Take it as the clip", "Not now"), answered)

    def forget_recording(self, then: Callable[[], None]) -> None:
        """Let go of a recording that is in no session yet, but only where that is really meant."""
        recording = self.clip.recording if self.clip else None

        if recording is None or self.kept_recording is recording:
            then()
            return
        from speedtest_tui.ui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                recording.discard()
                then()

        question = f"The recording of {recording.seconds:.1f} s is in no session yet, and would be lost."
        self.app.push_screen(ConfirmScreen(question, "Discard it", "Keep it"), answered)

    def session_kept(self) -> None:
        """A session holds the clip now: its spooled frames are not needed any more."""
        recording = self.clip.recording if self.clip else None
        if recording is not None and self.kept is not None and self.kept.folder is not None:
            self.kept_recording = recording
            recording.discard()
