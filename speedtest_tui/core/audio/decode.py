"""Audio of any kind to a clip: files through libsndfile or FFmpeg's libraries, samples in memory, the bundled demo.

Decoding, mixing down and resampling go block by block, so that memory is that of the resulting clip. Nothing in a
header is believed: no array is sized by one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import stat
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.audio.conform import AGAIN, MAX_SECONDS, RATES, Conformer, as_float, one_line
from speedtest_tui.core.audio.ffmpeg import QuietFile, Reading, decode_with_ffmpeg
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.base import Samples


BLOCK_VALUES = 1 << 16
"""Values (frames x channels) decoded at a time; what a decoder loses where it fails is at most this."""


def load_clip(path: Path, *, reference: str | None = None, track: int | None = None) -> Clip:
    """Read an audio file, or an audio track of a video, as a clip with what is wrong with it in its warnings.

    reference: what is really said in it; track: its number among the audio tracks, from 1
    Raises UserError where no clip can be made of it: missing, not a plain file, unreadable, empty, not audio, without
    samples, shorter than MIN_SECONDS, longer than MAX_SECONDS, or with NaN or infinite samples.
    """
    shown = one_line(str(path))
    with _open(path, shown) as file:
        decoded = decode(file, shown, track)
    return _clip(decoded.samples, shown, path, reference, list(decoded.warnings))


def from_samples(samples: NDArray[Any], rate: float, name: str, *, reference: str | None = None) -> Clip:
    """Make a clip of samples in memory, shape (n,) or (n, channels), int16, int32, uint8 or float, `rate` in Hz.

    Integers are scaled by their full range. Raises UserError as `load_clip` does, ValueError for another shape or rate
    and TypeError for another dtype.
    """
    if samples.ndim not in {1, 2} or (samples.ndim == 2 and samples.shape[1] == 0):
        raise ValueError(f"samples must have shape (n,) or (n, channels), not {samples.shape}")
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"rate must be from {RATES[0]} to {RATES[1]} Hz, not {rate}")
    shown = one_line(name)
    sink = Conformer(shown)
    frames = samples if samples.ndim == 2 else samples[:, None]
    step = max(1, BLOCK_VALUES // frames.shape[1])
    for start in range(0, len(frames), step):
        sink.add(as_float(frames[start : start + step]), rate)
    conformed = sink.finish()
    return _clip(conformed, shown, None, reference, sink.warnings())


def _clip(samples: Samples, shown: str, path: Path | None, reference: str | None, warnings: list[str]) -> Clip:
    from speedtest_tui.core.audio import level

    if not len(samples):
        raise UserError(f"{shown} has no samples", AGAIN)
    if len(samples) < MIN_SECONDS * SAMPLE_RATE:
        milliseconds = len(samples) / SAMPLE_RATE * 1000
        raise UserError(f"{shown} is only {milliseconds:.0f} ms long", f"use at least {MIN_SECONDS} s of speech")
    measured = level.measure(samples)
    name = one_line(path.name) if path else shown
    return Clip(samples, name, path, reference, (*warnings, *level.warnings(measured)), measured.speech, measured)


def _open(path: Path, shown: str) -> FileIO:
    """Open a plain file for reading, never waiting: a FIFO without a writer would block an ordinary open."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"{shown} is a folder", "name one audio file in it")
        if not stat.S_ISREG(mode):
            raise UserError(f"{shown} is not a plain file", "save the audio in a file first")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{shown} does not exist", "check the path") from None
    except PermissionError:
        raise UserError(f"{shown} may not be read", "change its permissions, or copy it elsewhere") from None
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name.
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{shown} cannot be opened ({one_line(reason)})", "check the path") from None
    file = QuietFile(descriptor, "rb")
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    raise UserError(f"{shown} is empty (0 bytes)", AGAIN)


@dataclass(frozen=True)
class Decoded:
    """The samples of a file, float32 at 16 kHz, and what is to be said of them."""

    samples: Samples
    warnings: tuple[str, ...]


def decode(file: FileIO, shown: str, track: int | None = None) -> Decoded:
    """Decode an open file. It may be anything, and the libraries that read it may crash on it.

    track: the number of an audio track, from 1. Raises UserError.
    """
    sink = Conformer(shown)
    reading = _read(file, sink, shown, track)
    warnings = list(reading.remarks)
    if (channel := sink.loudest()) is not None:
        warnings.append(f"its channels cancel each other: channel {channel + 1}, the loudest, was taken")
        sink = Conformer(shown, channel)
        file.seek(0)
        _read(file, sink, shown, track)
    samples = sink.finish()
    warnings += sink.warnings()
    failure, seconds = reading.failure or _missing_end(file), len(samples) / SAMPLE_RATE
    # A hundredth and a quarter of a second leave room for encoder delay and rounded durations.
    if failure or reading.declared - seconds > 0.25 + reading.declared / 100:
        of = f" of {reading.declared:.1f} s" if reading.declared > seconds else ""
        warnings.append(f"the file is damaged or cut short: only {seconds:.1f} s{of} could be decoded{failure}")
    return Decoded(samples, tuple(warnings))


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


NAME = "demo"


def demo_clip() -> Clip:
    """Load the bundled clip with what is said in it as its reference; `path` is None.

    Raises UserError where the installed package lacks it.
    """
    folder = files("backends") / "embedded"
    try:
        reference = " ".join((folder / "demo.txt").read_text(encoding="utf-8").split())
        # A file of its own only for as long as it is read: the package may lie in a zip.
        with as_file(folder / "demo.flac") as path:
            clip = load_clip(path, reference=reference)
    except (OSError, UserError) as error:
        raise UserError(f"the bundled demo clip cannot be read ({error})", "reinstall speedtest-tui") from None
    return dataclasses.replace(clip, name=NAME, path=None)
