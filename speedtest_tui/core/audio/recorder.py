"""The recorder as the rest of the program sees it; what really records is a child process (`record_child`)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backends.base import Advice
from speedtest_tui.core.audio.level import FLOOR_DB
from speedtest_tui.core.audio.recording import Recording, open_recording
from speedtest_tui.core.audio.spool import Hold, How
from speedtest_tui.core.audio.take import Opened, Order, Over, Phase, Reading, Started
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.background import awake
from speedtest_tui.core.process.lines import Failed, Message
from speedtest_tui.core.process.parent import Child, Ended

DEFAULT_MAX_S = 30 * 60.0
"""0.7 GB on the disk at 48 kHz in two channels, while it grows."""

TRACE_POINTS = 240
"""Points of the trace that are kept, one for each `meter.STEP_S`: 12 s, more than the cells of any pane."""

STOP_S = 5.0
"""How long the child may take to finish a recording before it is ended; what it wrote is there either way."""

CHILD_MODULE = "speedtest_tui.core.audio.record_child"


@dataclass(frozen=True)
class RecorderState:
    """A moment of the recorder.

    phase: "idle" (opening, or not yet begun), "armed" (listening, keeping the last half second), "recording",
        "stopped" (there is a recording) or "lost" (it broke off, or never began)
    seconds: length of the recording so far, its pre-roll included
    peak_db, rms_db: of the last 0.1 s and 0.3 s, in dBFS, at least level.FLOOR_DB
    clipped: frames at full scale in the recording so far
    dropped_frames: frames of the recording that came and could not be kept
    missing_ms: audio of the recording that by the clock should have come and did not
    device, rate, channels: of the open stream; "", 0 and 0 before
    trace: peak of each 50 ms, from 0 to 1, the newest last; of the recording, or before it of what is heard
    how: of an end; "failed" where nothing was recorded
    reason: why it was lost, for people, one line
    """

    phase: Phase = "idle"
    seconds: float = 0.0
    peak_db: float = FLOOR_DB
    rms_db: float = FLOOR_DB
    clipped: int = 0
    dropped_frames: int = 0
    missing_ms: float = 0.0
    device: str = ""
    rate: float = 0.0
    channels: int = 0
    trace: tuple[float, ...] = ()
    how: How | Literal["", "failed"] = ""
    reason: str = ""

    @property
    def over(self) -> bool:
        return self.phase in ("stopped", "lost")


class Recorder:
    """Records once: `arm`, `start`, `stop`. Make a new one for the next recording, so that devices are looked for anew.

    Only `stop` and `close` block, for STOP_S and about 0.6 s at most. The listener is called in a thread of the
    recorder's own, some 12 times a second and at each change; the last state it gets is `over`.
    """

    def __init__(
        self,
        listener: Callable[[RecorderState], None] = lambda _: None,
        *,
        device: str | None = None,
        max_s: float = DEFAULT_MAX_S,
        silence_s: float | None = None,
        folder: Path | None = None,
    ) -> None:
        """device: as for `devices.choose_device`; None: the system's default

        max_s: the longest recording, exact to the frame; silence_s: stop after so long a silence once somebody has
        spoken (before, after ten seconds at least); None: never. folder: where the recording grows
        """
        self._listener = listener
        self._device = device
        self._max_s = max_s
        self._silence_s = silence_s
        self._folder = folder
        self._state = RecorderState()
        self._trace: deque[float] = deque(maxlen=TRACE_POINTS)
        self._child: Child | None = None
        self._path: Path | None = None
        self._hold: Hold | None = None
        self._began = False
        self._problem = Advice("nothing was recorded", "check the device and try again")
        self._over = threading.Event()
        self._awake = ExitStack()

    @property
    def state(self) -> RecorderState:
        return self._state

    @property
    def pid(self) -> int | None:
        """The child's process id, once it runs."""
        return self._child.pid if self._child else None

    def arm(self) -> None:
        """Open the device in the background. The phase becomes "armed" as soon as it really delivers."""
        from speedtest_tui.core.locations import spool_folder

        if self._child is not None:
            return
        folder = self._folder or spool_folder()
        order = Order(self._device, str(folder.absolute()), self._max_s, self._silence_s)
        self._child = Child(CHILD_MODULE, order, (Opened, Started, Reading, Over), self._on_report)

    def start(self) -> None:
        """Record from now on, with the half second before; arms first where that was not done."""
        self.arm()
        if self._child and not self._began:
            self._began = True
            self._child.send({"command": "begin"})
            self._awake.enter_context(awake())

    def stop(self) -> Recording:
        """End the recording, or return one that has ended by itself. Blocks for STOP_S at most.

        Raises UserError where nothing was recorded.
        """
        if self._child is not None:
            self._child.send({"command": "stop"})
            if not self._over.wait(STOP_S):
                self._child.end()
                self._end("lost", "the device did not let go of the recording", force=True)
        if self._path is None:
            raise UserError(self._problem.what, self._problem.todo)
        try:
            return open_recording(self._path)
        except (OSError, ValueError) as error:
            raise UserError(f"the recording {self._path} cannot be read ({error})", "record again") from None

    def wait(self, seconds: float) -> bool:
        """Wait until the recorder is over, or for so long; whether it is."""
        return self._over.wait(seconds)

    def close(self) -> None:
        """End the child. A recording that grew stays on disk and becomes a leftover, unless `stop` has returned it."""
        if self._child is not None:
            self._child.end()
        if self._hold is not None:
            self._hold.release()
        self._awake.close()

    def _on_report(self, report: Message | Ended) -> None:
        match report:
            case Opened():
                self._change(device=report.device, rate=report.rate, channels=report.channels)
            case Started():
                self._path = report.path
                # Ours from here on: between the child's end and ours no other program may take it for a leftover.
                self._hold = Hold(report.path)
            case Reading():
                self._read(report)
            case Failed():
                self._problem = report.advice
                self._end("failed", str(report.advice))
            case Over():
                self._problem = replace(self._problem, what=report.reason or self._problem.what)
                self._end(report.how, report.reason)
            case Ended() if not self._state.over:
                what = "the recorder was closed" if report.kind == "closed" else f"the recorder {report.told()}"
                self._problem = replace(self._problem, what=what)
                self._end("lost" if self._path else "failed", what)

    def _read(self, reading: Reading) -> None:
        phase = reading.phase
        if phase in ("stopped", "lost"):
            # The message that follows says why; until then the numbers count.
            phase = self._state.phase
        if phase == "recording" and self._state.phase != "recording":
            # The recording's own trace begins with its pre-roll.
            self._trace.clear()
        self._trace.extend(reading.peaks)
        self._change(
            phase=phase,
            seconds=reading.seconds,
            peak_db=reading.peak_db,
            rms_db=reading.rms_db,
            clipped=reading.clipped,
            dropped_frames=reading.dropped_frames,
            missing_ms=reading.missing_ms,
            trace=tuple(self._trace),
        )

    def _end(self, how: How | Literal["failed"], reason: str, *, force: bool = False) -> None:
        if self._state.over and not force:
            return
        phase: Phase = "lost" if how in ("lost", "failed") else "stopped"
        self._state = replace(self._state, phase=phase, how=how, reason=reason)
        # Before the listener, which may ask for the recording at once.
        self._over.set()
        self._awake.close()
        self._listener(self._state)

    def _change(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        self._listener(self._state)
