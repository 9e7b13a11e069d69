"""The child process that plays a clip, for the reasons for which `record_child` is one.

python -m speedtest_tui.core.audio.play_child          (an Order on stdin, then anything to stop; messages on stdout)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio.devices import silent_stderr
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.process.child import Parent, read_samples, serve
from speedtest_tui.core.process.lines import Message

if TYPE_CHECKING:
    from backends.base import Samples


BLOCK_S = 0.1

_TODO = "connect a loudspeaker or headphones, or choose an output in the system's sound settings"


@dataclass(frozen=True)
class Order:
    """descriptor: an inherited file of little-endian float32 samples at 16 kHz; begin: seconds into it."""

    descriptor: int
    begin: float


@dataclass(frozen=True)
class Playing(Message):
    """The device is open."""

    device: str


@dataclass(frozen=True)
class Position(Message):
    """Seconds of the clip that have been heard."""

    seconds: float


@dataclass(frozen=True)
class Finished(Message):
    """All of it has been heard."""


def open_output() -> tuple[Any, str, float]:
    """The default output as a stream, mono, with its name and rate. Raises UserError where there is none."""
    try:
        with silent_stderr():
            import sounddevice

            device = sounddevice.query_devices(kind="output")
            # The device's own rate: not every driver converts 16 kHz, and ours is the better resampler.
            rate = float(device["default_samplerate"])
            stream = sounddevice.OutputStream(samplerate=rate, channels=1, dtype="float32", latency="high")
            stream.start()
    except (ImportError, OSError) as error:
        raise UserError(f"the clip cannot be played (PortAudio does not load: {error})", "see `doctor`") from None
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"there is no loudspeaker to play on ({reason})", _TODO) from None
    return stream, one_line(str(device["name"]), "").strip(), rate


def blocks(samples: Samples, rate: float) -> Iterator[tuple[Samples, int]]:
    """Stretches of BLOCK_S at `rate`, shape (m, 1), and how many of `samples` they end after."""
    import soxr

    resampler = soxr.ResampleStream(SAMPLE_RATE, rate, 1, dtype="float32", quality="HQ")
    step = round(BLOCK_S * SAMPLE_RATE)
    for start in range(0, len(samples), step):
        end = min(start + step, len(samples))
        yield resampler.resample_chunk(samples[start:end], last=end == len(samples))[:, None], end


def play(parent: Parent) -> None:
    """Play to the end, or until a command comes, which can only mean to stop. Raises UserError."""
    order, commands = Order(**parent.order), parent.commands()
    samples = read_samples(order.descriptor)
    stream, name, rate = open_output()
    parent.send(Playing(name))
    begin = round(order.begin * SAMPLE_RATE)
    for block, end in blocks(samples[begin:], rate):
        if not commands.empty():
            return
        try:
            stream.write(block)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{name!r} stopped playing ({reason})", _TODO) from None
        # What was written is heard once it has gone through the device's buffer.
        parent.send(Position(max(0.0, (begin + end) / SAMPLE_RATE - stream.latency)))
    # Waits until all of it has been heard.
    stream.stop()
    parent.send(Finished())


if __name__ == "__main__":
    serve(play)
