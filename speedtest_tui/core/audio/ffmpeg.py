"""Audio that FFmpeg's libraries read (m4a, mp4, webm, ...), through PyAV and without FFmpeg's program.

PyAV crashes on some damaged and some odd files: call this in a process that may end by it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.audio.conform import MAX_SECONDS, Conformer, as_float, too_long
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speedtest_tui.core.audio.conform import Block


FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,aac,loas,flac,wav,w64,aiff,caf,au,asf,avi,flv,mpegts,mpeg,amr,amrnb,"
    "amrwb,ac3,eac3,dts,wv,ape,tta,tak,mpc,mpc8,dsf,iff,rm,voc,latm,adx,ast,dfpwm,dss,dtshd,gxf,ircam,kux,live_flv,lxf,"
    "mlp,mmf,mpegtsraw,mxf,nsv,nut,oma,ogv,paf,psp,pva,qcp,rso,sbc,shn,siff,smjpeg,sol,sox,swf,truehd,ty,vqf,wsd,"
    "wtv,wve,xa,xwma,argo_asf,argo_cvg,brstm,bfstm,apc,film_cpk,ivr,nistsphere,pvf,epaf,avr,hcom,svs,sds,apac,osq,qoa,"
    "rka,wady,wavarc,bonk,mods"
)
"""FFmpeg demuxers that may open a file. Playlists (hls, concat, dash) are not among them: they name other files and
addresses to open. Nor are text and images, nor raw formats, which FFmpeg finds in almost anything."""

BY_ENDING = {
    ".gsm": "gsm", ".g722": "g722", ".g726": "g726", ".g729": "g729", ".al": "alaw", ".alaw": "alaw", ".ul": "mulaw",
    ".ulaw": "mulaw", ".mulaw": "mulaw", ".sln": "sln", ".aptx": "aptx", ".aptxhd": "aptx_hd", ".sbc": "sbc",
    ".dfpwm": "dfpwm", ".c2": "codec2",
}  # fmt: skip
"""Headerless formats of telephony and voicemail, which nothing but the file's name tells."""

PROTECTED = ("drms", "enca", "drmi", "encv")
"""Sample entries of MP4 whose content is encrypted."""

SILENT = 1e-6
"""Mean square below which a track says nothing: -60 dBFS."""

FAR_BELOW = 1e-2
"""A track this far below the loudest one (20 dB) is not the one that somebody speaks in."""

EDGE_BYTES = 4 << 20
"""Looked at on each end of a file for what it says of itself."""

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


@dataclass(frozen=True)
class Reading:
    """What came of a file beside its samples.

    declared: seconds that its header states, 0 where unknown; failure: in brackets, or empty
    remarks: what a person should know, such as which track was taken
    """

    declared: float
    failure: str = ""
    remarks: tuple[str, ...] = ()


def decode_with_ffmpeg(
    file: FileIO, sink: Conformer, shown: str, *, track: int | None = None, ignore_length: bool = False
) -> Reading:
    """Feed an audio track of `file` to `sink`.

    track: its number among the audio tracks, from 1; without it the first that can be decoded and is not silent
    ignore_length: read a WAV to its end, whatever its header says
    Raises UserError where there is no audio in it that can be decoded.
    """
    # PyAV costs 18 MB of memory and is imported only for files that libsndfile cannot read.
    import av
    import av.logging

    av.logging.set_level(None)
    options = {"format_whitelist": FORMATS, **({"ignore_length": "1"} if ignore_length else {})}
    container = _opened(file, shown, options)
    tracks = container.streams.audio
    if not tracks:
        raise UserError(f"{shown} has no audio track", "use a file with sound")
    if track is not None and not 1 <= track <= len(tracks):
        raise UserError(f"{shown} has {_count(len(tracks))}", f"choose --track 1 to {len(tracks)}")
    if min(_declared_seconds(container, one, file) for one in tracks) > MAX_SECONDS:
        raise too_long(shown)  # before all tracks are read, to choose one
    chosen, remarks = _chosen(container, track, sink)
    if remarks:  # every track has been read: begin anew
        container = _opened(file, shown, options)
    stream = container.streams.audio[chosen]
    if _codec(stream) in PROTECTED:
        raise UserError(f"{shown} is protected (DRM), so that it cannot be decoded", "use a copy without protection")
    if stream.codec_context is None:
        name = _sample_entry(file) if "mov" in container.format.name else "unknown"
        raise UserError(f"{shown} holds sound in a format that cannot be decoded ({name})", USE)
    if container.format.name in ("wav", "w64") and "speex" in stream.codec_context.name:
        raise UserError(
            f"{shown} holds Speex in a {container.format.name.upper()}, which comes out as noise", "export it as Ogg"
        )
    declared = _declared_seconds(container, stream, file)
    if declared > MAX_SECONDS:
        raise too_long(shown)
    failed, failure, last = 0, "", 0
    for block, rate in _blocks(container, stream):
        if isinstance(block, str):
            failed, failure = failed + (block == ""), failure or block
            last += 1
            continue
        sink.add(block, rate)
        last = 0
    if failed and not failure:
        # What stands behind the last frame of an MP3 (Lyrics3, APE and ID3 tags) is not damage.
        failed -= last if _has_tags(file) else 0
        failure = f" ({failed} damaged packets skipped)" if failed else ""
    if not sink.seconds and failed:
        raise UserError(f"{shown} holds sound that cannot be decoded ({_codec(stream)})", USE)
    return Reading(declared, failure, remarks)


def _opened(file: FileIO, shown: str, options: dict[str, str]) -> Any:
    """Open a container by what it holds, or else by the ending of its name."""
    import av
    import av.error

    by_name = BY_ENDING.get(Path(shown).suffix.lower())
    for format_name in (None, by_name) if by_name else (None,):
        file.seek(0)
        chosen = {} if format_name else options
        try:
            return av.open(file, format=format_name, container_options=chosen, metadata_errors="ignore")
        except Exception:
            continue
    raise UserError(f"{shown} is not audio that can be read{_looks_like(file)}", USE) from None


def _chosen(container: Any, track: int | None, sink: Conformer) -> tuple[int, tuple[str, ...]]:
    """The place of the track to take among the audio tracks, and what to say of it."""
    tracks = container.streams.audio
    if len(tracks) == 1 or track is not None:
        return (track or 1) - 1, ()
    energies = _energies(container, sink)
    order = sorted(range(len(tracks)), key=lambda place: not tracks[place].disposition & 1)
    loudest = max(energies)
    usable = [place for place in order if energies[place] > max(SILENT, FAR_BELOW * loudest)]
    chosen = usable[0] if usable else max(order, key=lambda place: energies[place])
    why = ""
    if chosen != order[0]:
        first = energies[order[0]]
        why = f", as track {order[0] + 1} {'cannot be decoded' if first < 0 else 'is silent or nearly so'}"
    return chosen, (f"it has {_count(len(tracks))}: number {chosen + 1} was taken{why} (--track chooses)",)


def _energies(container: Any, sink: Conformer) -> list[float]:
    """The mean square of each audio track, -1 for those without a sample that can be decoded. Reads everything."""
    import numpy as np

    sums = [0.0] * len(container.streams.audio)
    counts = [0] * len(sums)
    for place, stream in enumerate(container.streams.audio):
        if stream.codec_context is None or _codec(stream) in PROTECTED:
            continue
        with contextlib.suppress(Exception):
            container.seek(0)
        for block, _ in _blocks(container, stream):
            if not isinstance(block, str):
                sums[place] += float(np.vdot(block, block)) if np.isfinite(block).all() else 0.0
                counts[place] += block.size
                sink.tell(0.0)
    return [total / count if count else -1.0 for total, count in zip(sums, counts, strict=True)]


def _blocks(container: Any, stream: Any) -> Iterator[tuple[Block | str, float]]:
    """Every block of a track with its rate; "" for a packet that is damaged, and last the reason where it fails."""
    import av.error

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            for frame in packet.decode():
                yield frame_samples(frame), frame.sample_rate
        except StopIteration:
            return
        except av.error.InvalidDataError:
            yield "", 0.0  # One bad packet; the next may well decode, as FFmpeg's own program assumes too.
        except Exception as error:  # also what PyAV itself stumbles over, as a stream that appears on the way
            reason = getattr(error, "strerror", None) or "what it holds makes no sense"
            yield f" ({one_line(str(reason))})", 0.0
            return


def _codec(stream: Any) -> str:
    """What an MP4 calls a track's format, else FFmpeg's name of it."""
    try:
        tag = str(stream.codec_tag)
    except (UnicodeDecodeError, AttributeError):  # elsewhere these four bytes are a number
        tag = ""
    name = stream.codec_context.name if stream.codec_context else ""
    return tag if len(tag) == 4 and tag.isalnum() else name or "unknown"


def _sample_entry(file: FileIO) -> str:
    """The name of the first audio format that an MP4 or QuickTime file states (ISO 14496-12: stsd), for an error."""
    size = file.seek(0, os.SEEK_END)
    for start in (0, max(0, size - EDGE_BYTES)):
        file.seek(start)
        data = file.read(EDGE_BYTES)
        if (place := data.find(b"stsd")) >= 0:
            return one_line(data[place + 16 : place + 20].decode("latin-1"))
    return "unknown"


def _count(tracks: int) -> str:
    return f"{tracks} audio track{'s' * (tracks > 1)}"


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
    # 64-bit integers have no array type in it.
    if (frame.format.is_planar and channels >= 8) or frame.format.name.startswith("s64"):
        (frame,) = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate).resample(frame)
    values: NDArray[Any] = frame.to_ndarray()
    # Planar formats come as (channels, n), packed ones as (1, n * channels).
    return as_float(values.T if frame.format.is_planar else values.reshape(-1, channels))


def _has_tags(file: FileIO) -> bool:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 256))
    tail = file.read()
    return any(mark in tail for mark in (b"LYRICS200", b"LYRICSEND", b"APETAGEX")) or tail[-128:-125] == b"TAG"


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
