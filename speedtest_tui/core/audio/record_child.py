"""The child process that records: PortAudio prints on file descriptor 2 and may crash, and neither may touch a screen.

    python -m speedtest_tui.core.audio.record_child          (an Order on stdin, then commands; messages on stdout)

Messages are those of `take`: Opened, Started, Reading REPORT_HZ times a second, Over.
Three threads: PortAudio's callback fills the ring, the writer empties it to the disk, this one talks. So a parent that
does not listen, because somebody has stopped it with Ctrl-Z, costs not one frame.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from speedtest_tui.core import darwin
from speedtest_tui.core.audio.devices import choose_device, input_devices
from speedtest_tui.core.audio.take import Opened, Order, Started, Take
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import Commands, Parent, serve

TICK_S = 0.05
REPORT_HZ = 12

CHANNELS = 2
"""Opened at most: a microphone on an interface with many inputs is on one of the first two."""

RATES = (48_000.0, 44_100.0, 16_000.0)
"""Tried where a device refuses the rate that it names as its own."""


class Source:
    """An open stream of the machine. The seam for tests: they put their own module in sounddevice's place."""

    def __init__(self, name: str | None) -> None:
        """Raises UserError where there is no such device, or none that can be opened."""
        self._device = choose_device(name, input_devices())
        self._stream: Any = None
        self.take: Take | None = None
        self.opened = self._try_rates()

    def start(self, take: Take) -> None:
        """Let frames flow into `take`. Raises UserError."""
        self.take = take
        try:
            self._stream.start()
        except Exception as error:
            raise self._refused(error) from None

    def running(self) -> bool:
        """Whether the stream itself believes that it runs."""
        return bool(self._stream.active)

    def _try_rates(self) -> Opened:
        import sounddevice

        problem: Exception = ValueError("no rate")
        channels = min(CHANNELS, self._device.channels)
        for rate in dict.fromkeys((self._device.rate, *RATES)):
            try:
                # High latency is the driver's safe one: nobody listens, and its buffers are what a busy machine needs.
                self._stream = sounddevice.InputStream(
                    device=self._device.index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    latency="high",
                    callback=self._callback,
                    finished_callback=self._finished,
                )
            except Exception as error:  # PortAudioError, and ValueError for what sounddevice checks itself
                problem = error
                continue
            return Opened(self._device.name, self._device.host_api, float(self._stream.samplerate), channels)
        raise self._refused(problem)

    def _callback(self, frames: Any, count: int, times: Any, status: Any) -> None:
        if self.take:
            self.take.callback(frames, count, times, status)

    def _finished(self) -> None:
        if self.take:
            self.take.finished()

    def _refused(self, error: Exception) -> UserError:
        reason = " ".join(str(error).split())
        what = f"the microphone {self._device.name!r} cannot be opened ({reason})"
        return UserError(what, "close what else uses it, or choose another device")


def write(take: Take) -> None:
    """The writer thread: tick until the take has ended."""
    while not take.ended:
        try:
            take.tick(time.monotonic())
        except Exception:
            # A fault of ours; what is on the disk stays, and the parent reads the reason from standard error.
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        time.sleep(TICK_S)


def talk(parent: Parent, take: Take, commands: Commands) -> None:
    """Carry out commands and report until the take has ended."""
    actions = {"begin": take.begin, "stop": take.stop}
    report_at = time.monotonic()
    while not take.ended:
        with contextlib.suppress(queue.Empty):
            actions[commands.get(timeout=max(0.0, report_at - time.monotonic()))["command"]]()
        if time.monotonic() >= report_at:
            report_at = time.monotonic() + 1 / REPORT_HZ
            parent.send(take.reading())


def record(parent: Parent) -> None:
    """Open, record, end. Raises UserError."""
    order, commands = Order(**parent.order), parent.commands()
    from speedtest_tui.core.audio.recording import refusal

    if advice := refusal(darwin.microphone_permission(), os.environ):
        raise UserError(advice.what, advice.todo)
    source = Source(order.device)
    parent.send(source.opened)
    take = Take(
        source.opened,
        Path(order.folder),
        max_s=order.max_s,
        silence_s=order.silence_s,
        alive=source.running,
        started=lambda file: parent.send(Started(file)),
    )
    source.start(take)
    writer = threading.Thread(target=write, args=(take,), name="writer", daemon=True)
    writer.start()
    talk(parent, take, commands)
    assert take.ended
    parent.send(take.reading())
    parent.send(take.ended)


if __name__ == "__main__":
    serve(record)
