"""Audio that only FFmpeg's libraries read (m4a, mp4, webm, ...), through PyAV and without FFmpeg's program."""

from __future__ import annotations

import os
from io import FileIO
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.audio.conform import Conformer, as_float, one_line
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speedtest_tui.core.audio.conform import Block


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

USE = "use a WAV, FLAC, OGG, MP3, M4A, MP4 or WebM file"


class QuietFile(FileIO):
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


def decode_with_ffmpeg(file: FileIO, sink: Conformer, shown: str) -> tuple[float, str]:
    """Feed the audio track of `file` to `sink`; return the seconds that its header declares and how it failed.

    Seconds are 0 where unknown. Raises UserError where there is no audio in it.
    """
    # PyAV costs 18 MB of memory and is imported only for files that libsndfile cannot read.
    import av
    import av.error
    import av.logging

    av.logging.set_level(None)
    try:
        container = av.open(file, container_options={"format_whitelist": FORMATS}, metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError):
        raise UserError(f"{shown} is not audio that can be read{_looks_like(file)}", USE) from None
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
                    sink.add(frame_samples(frame), frame.sample_rate)
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


def frame_samples(frame: Any) -> Block:
    """The samples of one decoded frame, shape (frames, channels)."""
    import av

    channels = frame.layout.nb_channels
    # PyAV (18.1) walks past the eight plane pointers that a frame holds itself, and crashes. Packed there is but one.
    if frame.format.is_planar and channels >= 8:
        (frame,) = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate).resample(frame)
    values: NDArray[Any] = frame.to_ndarray()
    # Planar formats come as (channels, n), packed ones as (1, n * channels).
    return as_float(values.T if frame.format.is_planar else values.reshape(-1, channels))


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
