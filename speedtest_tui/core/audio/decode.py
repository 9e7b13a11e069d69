"""Audio of any kind to a clip: files through libsndfile or FFmpeg's libraries, and samples already in memory.

Decoding, mixing down and resampling go block by block, so that memory is that of the resulting clip. Nothing in a
header is believed: no array is sized by one.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Samples

    Block = NDArray[np.float32]
    """Decoded samples, float32, shape (frames, channels)."""

MAX_SECONDS = 4 * 3600
"""Longer audio is refused: four hours are 0.9 GB of samples here and again in every backend's process."""

RATES = (4_000, 768_000)
"""Lowest and highest sampling rate believed, in Hz: the lowest of the VOC format and the highest of converters sold.
A header that claims 1 Hz would turn each decoded block into gigabytes."""

BLOCK_VALUES = 1 << 16
"""Values (frames x channels) decoded at a time; what a decoder loses where it fails is at most this."""

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,aac,loas,flac,wav,w64,aiff,caf,au,asf,avi,flv,mpegts,mpeg,amr,amrnb,"
    "amrwb,ac3,eac3,dts,wv,ape,tta,tak,mpc,mpc8,dsf,iff,rm,voc,latm"
)
"""FFmpeg demuxers that may open a file. Playlists (hls, concat, dash) are not among them: they name other files and
addresses to open. Nor are text, images and raw formats, which FFmpeg finds in almost anything."""

_KINDS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"RIFF", "a damaged WAV or AVI file"),
    (b"fLaC", "a damaged FLAC file"),
    (b"OggS", "a damaged Ogg file"),
    (b"\x1aE\xdf\xa3", "a damaged WebM or Matroska file"),
)

_USE = "use a WAV, FLAC, OGG, MP3, M4A, MP4 or WebM file"
_AGAIN = "record or export it again"


def load_clip(path: Path, *, reference: str | None = None) -> Clip:
    """Read an audio file, or the audio track of a video, as a clip with what is wrong with it in its warnings.

    reference: what is really said in it
    Raises UserError where no clip can be made of it: missing, not a plain file, unreadable, empty, not audio, without
    samples, shorter than MIN_SECONDS, longer than MAX_SECONDS, or with NaN or infinite samples.
    """
    shown = one_line(str(path))
    with _open(path, shown) as file:
        sink = _Conformer(shown)
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
    sink = _Conformer(shown)
    frames = samples if samples.ndim == 2 else samples[:, None]
    step = max(1, BLOCK_VALUES // frames.shape[1])
    for start in range(0, len(frames), step):
        sink.add(_as_float(frames[start : start + step]), rate)
    conformed = sink.finish()
    return _clip(conformed, shown, None, reference, sink.warnings())


def one_line(text: str) -> str:
    """`text` with everything escaped that would break a line or steer a terminal; lone surrogates too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _clip(samples: Samples, shown: str, path: Path | None, reference: str | None, warnings: list[str]) -> Clip:
    from speedtest_tui.core.audio import level

    if not len(samples):
        raise UserError(f"{shown} has no samples", _AGAIN)
    if len(samples) < MIN_SECONDS * SAMPLE_RATE:
        milliseconds = len(samples) / SAMPLE_RATE * 1000
        raise UserError(f"{shown} is only {milliseconds:.0f} ms long", f"use at least {MIN_SECONDS} s of speech")
    measured = level.measure(samples)
    name = one_line(path.name) if path else shown
    return Clip(samples, name, path, reference, (*warnings, *level.warnings(measured)), measured.speech)


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
    file = _QuietFile(descriptor, "rb")
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    raise UserError(f"{shown} is empty (0 bytes)", _AGAIN)


def _decode(file: FileIO, sink: _Conformer, shown: str) -> tuple[float, str]:
    """Feed all of `file` to `sink`; return the seconds that its header declares (0: unknown) and how it failed."""
    import numpy as np
    import soundfile

    start = file.read(3)
    file.seek(0)
    # libsndfile 1.2.2 reads MP3 through mpg123, which prints its warnings on the terminal: those go to FFmpeg.
    if start == b"ID3" or (start[:1] == b"\xff" and start[1:] >= b"\xe0"):
        return _decode_with_ffmpeg(file, sink, shown)
    try:
        # By descriptor: names go nowhere near libsndfile, which guesses formats from their endings.
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError):
        file.seek(0)
        return _decode_with_ffmpeg(file, sink, shown)
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


def _decode_with_ffmpeg(file: FileIO, sink: _Conformer, shown: str) -> tuple[float, str]:
    # PyAV costs 18 MB of memory and is imported only for files that libsndfile cannot read.
    import av
    import av.error
    import av.logging

    av.logging.set_level(None)
    try:
        container = av.open(file, container_options={"format_whitelist": FORMATS}, metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError):
        raise UserError(f"{shown} is not audio that can be read{_looks_like(file)}", _USE) from None
    failed = 0
    with container:
        stream = container.streams.best("audio")
        if stream is None:
            raise UserError(f"{shown} has no audio track", "use a file with sound")
        declared = _declared_seconds(container, stream, file)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                for frame in packet.decode():
                    sink.add(_frame_samples(frame), frame.sample_rate)
            except StopIteration:
                break
            except av.error.InvalidDataError:
                failed += 1  # One bad packet; the next may well decode, as FFmpeg's own program assumes too.
            except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
                return declared, f" ({one_line(str(getattr(error, 'strerror', None) or error))})"
    return declared, f" ({failed} damaged packets skipped)" if failed else ""


def _declared_seconds(container: Any, stream: Any, file: FileIO) -> float:
    """The duration that the header states; 0 where it states none and FFmpeg only guesses from the file's size."""
    name = container.format.name
    if "matroska" in name and len(container.streams) == 1:
        return (container.duration or 0) / 1_000_000
    stated = "mov" in name
    if name == "mp3":
        position = file.seek(0, os.SEEK_CUR)
        file.seek(0)
        head = file.read(4096)
        file.seek(position)
        stated = b"Xing" in head or b"Info" in head
    return float(stream.duration * stream.time_base) if stated and stream.duration and stream.time_base else 0.0


def _frame_samples(frame: Any) -> Block:
    import av

    channels = frame.layout.nb_channels
    # PyAV (18.1) walks past the eight plane pointers that a frame holds itself, and crashes. Packed there is but one.
    if frame.format.is_planar and channels >= 8:
        (frame,) = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate).resample(frame)
    values: NDArray[Any] = frame.to_ndarray()
    # Planar formats come as (channels, n), packed ones as (1, n * channels).
    return _as_float(values.T if frame.format.is_planar else values.reshape(-1, channels))


def _as_float(values: NDArray[Any]) -> Block:
    """Samples of any PCM type as float32 with full scale at 1; unsigned types have their zero in the middle."""
    import numpy as np

    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(np.float32, copy=False)
    if values.dtype.kind not in "iu":
        raise TypeError(f"samples must be integers or floats, not {values.dtype}")
    scale = np.float32(2.0 ** (8 * values.dtype.itemsize - 1))
    floats = values.astype(np.float32)
    if values.dtype.kind == "u":
        floats -= scale
    floats /= scale
    return floats


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


def _looks_like(file: FileIO) -> str:
    """In brackets what a file without audio seems to be, or nothing."""
    file.seek(0)
    start = file.read(512)
    if start[4:8] == b"ftyp":
        return " (it looks like an MP4 or M4A file that was cut short)"
    for signature, kind in _KINDS:
        if start.startswith(signature):
            return f" (it looks like {kind})"
    # Up to three bytes of a cut-off UTF-8 character may stand at the end.
    text = start.decode("utf-8", "replace").rstrip("\N{REPLACEMENT CHARACTER}")
    readable = all(c.isprintable() or c.isspace() for c in text) and "\N{REPLACEMENT CHARACTER}" not in text
    return " (it looks like text)" if text and readable else ""


class _QuietFile(FileIO):
    """A file whose failures FFmpeg gets as its own: PyAV prints a traceback for an exception in a callback."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):
            return -1

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size) or b""
        except OSError:
            return b""


class _Conformer:
    """Mixes blocks down to mono, resamples them to 16 kHz and keeps them in one growing array.

    The mean of the channels is what a single microphone would have got of a speaker between them, and cannot clip.
    """

    def __init__(self, shown: str) -> None:
        import numpy as np

        self._shown = shown
        self._samples: Samples = np.empty(0, dtype=np.float32)
        self._used = 0
        self._rate = 0.0
        self._resampler: Any = None
        self._above = 0
        self._peak = 0.0

    def add(self, block: Block, rate: float) -> None:
        """Append a block, shape (frames, channels). Raises UserError for samples or rates that no speech has."""
        import numpy as np

        if not RATES[0] <= rate <= RATES[1]:
            allowed = f"from {RATES[0]} to {RATES[1]} Hz"
            raise UserError(f"{self._shown} has a sampling rate of {rate:.0f} Hz", f"use a file with a rate {allowed}")
        if not block.size:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            # Channel by channel: numpy's mean over so short an axis takes four times as long.
            mono: Samples = block[:, 0].copy()
            for channel in range(1, block.shape[1]):
                mono += block[:, channel]
            mono *= np.float32(1 / block.shape[1])
        peak = float(np.abs(mono).max())
        if not np.isfinite(peak):
            raise UserError(f"{self._shown} has samples that are NaN or infinite", _AGAIN)
        if peak > 1:
            self._peak = max(self._peak, peak)
            self._above += int(np.count_nonzero(np.abs(mono) > 1))
            np.clip(mono, -1, 1, out=mono)
        for samples in self._resample(mono, rate):
            self._append(samples)

    def finish(self) -> Samples:
        """Flush the resampler and return all samples; nothing can be added afterwards."""
        for samples in self._flush():
            self._append(samples)
        self._samples.resize(self._used, refcheck=False)
        return self._samples

    def warnings(self) -> list[str]:
        times = f"the largest {self._peak:.4g} times full scale"
        return [f"{self._above} samples above full scale were clamped, {times}"] if self._above else []

    def _resample(self, mono: Samples, rate: float) -> Iterator[Samples]:
        if rate != self._rate:
            # A broadcast or chained stream may change its rate on the way.
            yield from self._flush()
            self._rate = rate
            if rate != SAMPLE_RATE:
                import soxr

                # HQ is exact to 20 bits (soxr.h), finer than any 16-bit recording.
                self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        yield mono if self._resampler is None else self._resampler.resample_chunk(mono)

    def _flush(self) -> Iterator[Samples]:
        if self._resampler is not None:
            import numpy as np

            yield self._resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
            self._resampler = None

    def _append(self, samples: Samples) -> None:
        import numpy as np

        end = self._used + len(samples)
        if end > MAX_SECONDS * SAMPLE_RATE:
            raise UserError(f"{self._shown} is longer than {MAX_SECONDS // 3600} hours", "use a shorter part of it")
        if end > len(self._samples):
            # Reallocated in place where the system can (mremap); an eighth more keeps the peak near the clip's size.
            self._samples.resize(end + end // 8 + SAMPLE_RATE, refcheck=False)
        # Resampling overshoots at steep edges, so that full scale in the file may come out slightly above it.
        np.clip(samples, -1, 1, out=self._samples[self._used : end])
        self._used = end
