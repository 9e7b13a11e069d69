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
from importlib.resources import as_file, files
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.audio.conform import AGAIN, MAX_SECONDS, RATES, Conformer, as_float, one_line
from speedtest_tui.core.audio.ffmpeg import QuietFile, decode_with_ffmpeg
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.base import Samples


BLOCK_VALUES = 1 << 16
"""Values (frames x channels) decoded at a time; what a decoder loses where it fails is at most this."""


def load_clip(path: Path, *, reference: str | None = None) -> Clip:
    """Read an audio file, or the audio track of a video, as a clip with what is wrong with it in its warnings.

    reference: what is really said in it
    Raises UserError where no clip can be made of it: missing, not a plain file, unreadable, empty, not audio, without
    samples, shorter than MIN_SECONDS, longer than MAX_SECONDS, or with NaN or infinite samples.
    """
    shown = one_line(str(path))
    with _open(path, shown) as file:
        sink = Conformer(shown)
        declared, failure = _decode(file, sink, shown)
        failure = failure or _missing_end(file)
        samples = sink.finish()
    warnings = sink.warnings()
    seconds = len(samples) / SAMPLE_RATE
    # A hundredth and a quarter of a second leave room for encoder delay and rounded durations.
    if failure or declared - seconds > 0.25 + declared / 100:
        of = f" of {declared:.1f} s" if declared > seconds else ""
        warnings.append(f"the file is damaged or cut short: only {seconds:.1f} s{of} could be decoded{failure}")
    return _clip(samples, shown, path, reference, warnings)


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


def _decode(file: FileIO, sink: Conformer, shown: str) -> tuple[float, str]:
    """Feed all of `file` to `sink`; return the seconds that its header declares (0: unknown) and how it failed."""
    import numpy as np
    import soundfile

    start = file.read(3)
    file.seek(0)
    # libsndfile 1.2.2 reads MP3 through mpg123, which prints its warnings on the terminal: those go to FFmpeg.
    if start == b"ID3" or (start[:1] == b"\xff" and start[1:] >= b"\xe0"):
        return decode_with_ffmpeg(file, sink, shown)
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
        # A streamed FLAC may declare no length, which libsndfile gives as its largest integer.
        declared = sound.frames if sound.frames < MAX_SECONDS * rate else frames
        # libsndfile reads a truncated WAV in silence, but notes both sizes of its data in bytes in its log.
        cut = re.search(r"^data : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if cut and 0 < int(cut[2]) < int(cut[1]) < 0x7FFF_0000:
        declared = max(declared, frames * int(cut[1]) // int(cut[2]))
    return declared / rate, failure


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
