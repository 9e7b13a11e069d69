"""Decoding a file of any kind: through libsndfile where that reads it right, else through FFmpeg's libraries.

Decoding, mixing down and resampling go block by block, so that memory is that of the resulting clip. Nothing in a
header is believed: no array is sized by one. The libraries may crash on a file, which is why this is also a program:
`python -m speedtest_tui.core.audio.decoder`, an `Order` on stdin, the samples into an inherited file.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING

from speedtest_tui.core.audio.conform import MAX_SECONDS, RATES, Conformer, too_long
from speedtest_tui.core.audio.ffmpeg import QuietFile, Reading, decode_with_ffmpeg
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.process.child import Parent, serve
from speedtest_tui.core.process.lines import Message

if TYPE_CHECKING:
    from backends.base import Samples


BLOCK_VALUES = 1 << 16
"""Values (frames x channels) decoded at a time; what a decoder loses where it fails is at most this."""

TELL_EVERY_S = 0.2


@dataclass(frozen=True)
class Order:
    """source, target: inherited descriptors of the file to read and of one to write the samples into

    shown: what errors call the file; track: the number of an audio track, from 1, or None
    """

    source: int
    target: int
    shown: str
    track: int | None = None


@dataclass(frozen=True)
class Several:
    """The same for several files, whose samples follow one another in the target."""

    sources: tuple[int, ...]
    target: int
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Taken(Message):
    """One of several files is done: `count` samples of it are in the target, or `what` is wrong with it."""

    index: int
    count: int = 0
    warnings: tuple[str, ...] = ()
    what: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Reached(Message):
    """How many seconds of sound have been decoded so far."""

    seconds: float


@dataclass(frozen=True)
class Written(Message):
    """All samples are in the target: `count` of them, little-endian float32."""

    count: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Decoded:
    """The samples of a file, float32 at 16 kHz, what is to be said of them, and how many there are, here or there."""

    samples: Samples
    warnings: tuple[str, ...]
    count: int


def decode(
    file: FileIO,
    shown: str,
    track: int | None = None,
    tell: Callable[[float], None] = lambda _: None,
    target: FileIO | None = None,
) -> Decoded:
    """Decode an open file. It may be anything, and the libraries that read it may crash on it.

    track: the number of an audio track, from 1; tell: gets the seconds decoded so far, now and then
    target: a file for the samples, little-endian, of which memory then holds none
    Raises UserError.
    """
    sink = Conformer(shown, None, tell, target)
    reading = _read(file, sink, shown, track)
    warnings = list(reading.remarks)
    if (channel := sink.loudest()) is not None:
        warnings.append(f"its channels cancel each other: channel {channel + 1}, the loudest, was taken")
        sink = Conformer(shown, channel, tell, target)
        file.seek(0)
        _read(file, sink, shown, track)
    samples = sink.finish()
    warnings += sink.warnings()
    failure, seconds = reading.failure or _missing_end(file), sink.seconds
    # A hundredth and a quarter of a second leave room for encoder delay and rounded durations.
    if failure or reading.declared - seconds > 0.25 + reading.declared / 100:
        of = f" of {reading.declared:.1f} s" if reading.declared > seconds else ""
        warnings.append(f"the file is damaged or cut short: only {seconds:.1f} s{of} could be decoded{failure}")
    return Decoded(samples, tuple(warnings), sink.count)


def _read(file: FileIO, sink: Conformer, shown: str, track: int | None) -> Reading:
    """Feed all of `file` to `sink` by the library that reads its kind right."""
    start = file.read(64)
    file.seek(0)
    if start[:4] == b"RIFF" and (unfinished := _unfinished_wav(file)):
        reading = decode_with_ffmpeg(file, sink, shown, track=track, ignore_length=True)
        remark = f"its header says {unfinished}, but there is more: all {sink.seconds:.1f} s were read"
        return Reading(0.0, reading.failure, (*reading.remarks, remark))
    if start[:4] == b".snd" and int.from_bytes(start[8:12], "big") == 0:
        # The length of unknown ones is all ones; recorders that died leave zero.
        reading = decode_with_ffmpeg(Patched(file, 8, b"\xff\xff\xff\xff"), sink, shown, track=track)
        return Reading(0.0, reading.failure, ("its header was never finished: it was read to its end",))
    if track is not None or _is_for_ffmpeg(file, start):
        return decode_with_ffmpeg(file, sink, shown, track=track)
    return _read_with_libsndfile(file, sink, shown)


def _is_for_ffmpeg(file: FileIO, start: bytes) -> bool:
    """Whether libsndfile (1.2.2) would misread a file that it opens."""
    # MP3: it reads through mpg123, which prints its warnings on the terminal.
    if start[:3] == b"ID3" or (start[:1] == b"\xff" and start[1:2] >= b"\xe0"):
        return True
    # Wave64 with an extensible header and VOC of several blocks come out as noise.
    if start[:4] == b"riff" or start.startswith(b"Creative Voice File"):
        return True
    # FLAC of unknown length (written to a pipe): its last 65,536 frames get lost. STREAMINFO's sample count is 36 bits.
    if start[:4] == b"fLaC" and len(start) > 26 and not int.from_bytes(start[21:26], "big") & 0xF_FFFF_FFFF:
        return True
    # Of Ogg streams behind each other only the first is read, and of multichannel Opus not the end.
    return start[:4] == b"OggS" and (b"OpusHead" in start or _is_chained(file))


def _is_chained(file: FileIO) -> bool:
    """Whether an Ogg file has a stream that begins behind the end of another (RFC 3533: flags 2 and 4)."""
    file.seek(0)
    ended, rest = False, b""
    try:
        while data := file.read(1 << 20):
            data = rest + data
            place = data.find(b"OggS")
            while 0 <= place < len(data) - 5:
                flags = data[place + 5] if data[place + 4] == 0 else 0
                if ended and flags & 2:
                    return True
                ended = ended or bool(flags & 4)
                place = data.find(b"OggS", place + 4)
            rest = data[-5:]
        return False
    finally:
        file.seek(0)


def _unfinished_wav(file: FileIO) -> str:
    """What a WAV's header says of its length where sound goes on behind that, as recorders leave it that died."""
    size = os.fstat(file.fileno()).st_size
    place, rate = 12, 0
    try:
        while place + 8 <= size:
            file.seek(place)
            head = file.read(24)
            name, length = head[:4], int.from_bytes(head[4:8], "little")
            if name == b"fmt ":
                rate = int.from_bytes(head[16:20], "little")
            if name == b"data":
                behind = place + 8 + length + length % 2
                file.seek(behind)
                more = file.read(8)
                # Zero bytes may be padding; a chunk has a name of printable ASCII.
                if length >= 0xFFFF_0000 or len(more) < 8 or (length and _is_chunk(more, size - behind)):
                    return ""
                if length and not any(more):
                    return ""
                return f"{length / rate:.1f} s" if length and rate else "nothing of its length"
            place += 8 + length + length % 2
        return ""
    finally:
        file.seek(0)


def _is_chunk(head: bytes, room: int) -> bool:
    return all(32 <= byte < 127 for byte in head[:4]) and int.from_bytes(head[4:8], "little") <= room - 8


def _read_with_libsndfile(file: FileIO, sink: Conformer, shown: str) -> Reading:
    """Feed a file to `sink`; what libsndfile does not open goes to FFmpeg."""
    import numpy as np
    import soundfile

    try:
        # By descriptor: names go nowhere near libsndfile, which guesses formats from their endings.
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError):
        file.seek(0)
        return decode_with_ffmpeg(file, sink, shown)
    failure = ""
    with sound:
        rate, frames = sound.samplerate, 0
        # A frame of FLAC holds 65,535 samples at most and is never shorter than ten bytes: more is a damaged header.
        if MAX_SECONDS * max(rate, RATES[0]) < sound.frames < 6_554 * os.fstat(file.fileno()).st_size:
            raise too_long(shown)
        buffer = np.empty((max(1, BLOCK_VALUES // sound.channels), sound.channels), dtype=np.float32)
        try:
            while count := len(sound.read(out=buffer)):
                sink.add(buffer[:count], rate)
                frames += count
        except soundfile.SoundFileError as error:
            # What came before the fault lies in the buffer; only libsndfile's own position says how much.
            failure = f" ({one_line(str(error)).removeprefix('Error : ').rstrip('.')})"
            with contextlib.suppress(soundfile.SoundFileError):
                sink.add(buffer[: max(0, sound.tell() - frames)], rate)
        # A stream may declare no length, which libsndfile gives as its largest integer.
        declared = sound.frames if sound.frames < MAX_SECONDS * rate else frames
        # libsndfile reads a truncated WAV in silence, but notes both sizes of its data in bytes in its log.
        cut = re.search(r"^data : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if cut and 0 < int(cut[2]) < int(cut[1]) < 0x7FFF_0000:
        declared = max(declared, frames * int(cut[1]) // int(cut[2]))
    return Reading(declared / rate, failure)


class Patched(QuietFile):
    """The same file with some bytes of its header replaced."""

    def __init__(self, file: FileIO, place: int, content: bytes) -> None:
        super().__init__(os.dup(file.fileno()), "rb")
        self._place, self._content = place, content
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = bytearray(super().read(size))
        for offset, byte in enumerate(self._content, self._place - start):
            if 0 <= offset < len(data):
                data[offset] = byte
        return bytes(data)


def _missing_end(file: FileIO) -> str:
    """In brackets that an Ogg stream stops without its last page (RFC 3533, section 6: flag 4), or nothing.

    Ogg states no length, and its readers end in silence wherever the pages do.
    """
    file.seek(0)
    if file.read(4) != b"OggS":
        return ""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 65_307))  # the largest page
    tail = file.read()
    page = tail.rfind(b"OggS")
    ended = 0 <= page < len(tail) - 5 and tail[page + 5] & 4
    return "" if ended else " (the end of the Ogg stream is missing)"


def work_through(parent: Parent, order: Several) -> None:
    """Decode several files, each as far as that can be done."""
    parent.commands()
    total = 0
    with FileIO(order.target, "rb+", closefd=False) as target:
        for index, (source, shown) in enumerate(zip(order.sources, order.shown, strict=True)):
            try:
                with QuietFile(source, "rb") as file:
                    decoded = decode(file, shown)
            except UserError as error:
                parent.send(Taken(index, what=error.advice.what, todo=error.advice.todo))
                continue
            data = decoded.samples.astype("<f4", copy=False).data.cast("B")
            while data:
                data = data[target.write(data) :]
            total += len(decoded.samples)
            parent.send(Taken(index, len(decoded.samples), decoded.warnings))
        parent.send(Written(total, ()))
        os._exit(0)


def work(parent: Parent) -> None:
    """Carry out one order."""
    facts = parent.order
    if "sources" in facts:
        work_through(parent, Several(tuple(facts["sources"]), facts["target"], tuple(facts["shown"])))
    order = Order(**parent.order)
    parent.commands()  # whose end ends this process
    told = 0.0

    def tell(seconds: float) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            parent.send(Reached(seconds))

    with QuietFile(order.source, "rb") as file:
        with FileIO(order.target, "rb+", closefd=False) as target:
            decoded = decode(file, order.shown, order.track, tell, target)
        parent.send(Written(decoded.count, decoded.warnings))
        # Without closing anything: what has damaged the heap crashes only then.
        os._exit(0)


if __name__ == "__main__":
    serve(work)
