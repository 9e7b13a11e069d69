"""Audio of any kind to a clip: files, samples already in memory, and the clip that comes with the package."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from importlib.resources import as_file, files
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core import darwin
from speedtest_tui.core.audio import decoder
from speedtest_tui.core.audio.clip import MIN_SECONDS, Clip
from speedtest_tui.core.audio.conform import AGAIN, RATES, Conformer, as_float
from speedtest_tui.core.audio.ffmpeg import QuietFile
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import ask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.base import Samples
    from speedtest_tui.core.audio.conform import Block


STALL_S = 30.0
"""A decoder that says nothing for so long is caught in a loop, or its disk is gone."""


def load_clip(
    path: Path,
    *,
    reference: str | None = None,
    track: int | None = None,
    apart: bool = True,
    cancelled: threading.Event | None = None,
    shown: str = "",
) -> Clip:
    """Read an audio file, or an audio track of a video, as a clip with what is wrong with it in its warnings.

    reference: what is really said in it; track: its number among the audio tracks, from 1
    apart: decode in a child process, as the libraries may crash on a file of unknown origin
    cancelled: ends it early; then UserError is raised, too
    shown: what errors call it instead of its path

    Raises UserError where no clip can be made of it: missing, not a plain file, unreadable, empty, not audio, without
    samples, shorter than MIN_SECONDS, longer than MAX_SECONDS, or with NaN or infinite samples.
    """
    shown = shown or one_line(str(path))
    with _open(path, shown) as file:
        decoded = _decoded_apart(file, shown, track, cancelled) if apart else decoder.decode(file, shown, track)
    return _clip(decoded.samples, shown, path, reference, list(decoded.warnings))


def load_several(
    paths: Sequence[Path], target: FileIO, cancelled: threading.Event | None = None
) -> list[Clip | UserError]:
    """Clips of several files, whose samples lie one after another in `target` from its beginning, little-endian.

    Much cheaper than one after another: one process reads them all. Where it crashes on a file, those that are left are
    read one at a time. Each is a clip, or what is wrong with it as `load_clip` raises it; their samples are a copy.
    """
    import numpy as np

    found: list[Clip | UserError] = []
    opened: dict[int, FileIO] = {}
    taken: dict[int, decoder.Taken] = {}
    for index, path in enumerate(paths):
        try:
            opened[index] = _open(path, one_line(str(path)))
        except UserError as error:
            taken[index] = decoder.Taken(index, what=error.advice.what, todo=error.advice.todo)
    places = list(opened)

    def note(message: Message) -> None:
        assert isinstance(message, decoder.Taken)
        taken[places[message.index]] = message

    target.seek(0)
    target.truncate()
    try:
        descriptors = tuple(file.fileno() for file in opened.values())
        with contextlib.suppress(UserError):  # it crashed, or got stuck: the others are read apart
            ask(
                decoder.__name__,
                decoder.Several(descriptors, target.fileno(), tuple(one_line(str(paths[at])) for at in places)),
                decoder.Written,
                "reading the corpus",
                cancelled,
                progress=(decoder.Taken,),
                on_progress=note,
                pass_fds=(*descriptors, target.fileno()),
                stall_s=STALL_S,
            )
    finally:
        for file in opened.values():
            file.close()
    place = 0
    for index, path in enumerate(paths):
        if cancelled is not None and cancelled.is_set():
            break
        known = taken.get(index)
        try:
            if known is not None and known.what:
                raise UserError(known.what, known.todo)
            if known is None:
                clip = load_clip(path, cancelled=cancelled)
                os.pwrite(target.fileno(), clip.data(), place)
            else:
                data = os.pread(target.fileno(), 4 * known.count, place)
                samples = np.frombuffer(data, "<f4").astype(np.float32)
                clip = _clip(samples, one_line(str(path)), path, None, list(known.warnings))
            place += 4 * len(clip.samples)
            found.append(clip)
        except UserError as error:
            place += 4 * known.count if known is not None else 0
            found.append(error)
    return found


def load_named(name: str, *, reference: str | None = None, track: int | None = None) -> Clip:
    """The clip of what a person typed: a path, or - for standard input. Raises UserError as `load_clip`."""
    if re.match(r"[a-z][a-z0-9+.-]+:/", name, re.IGNORECASE):
        raise UserError(f"{one_line(name)} is an address", "download it first, then name the file")
    if name != "-":
        return load_clip(Path(name).expanduser(), reference=reference, track=track)
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("nothing comes from standard input", "pipe an audio file into it, or name one")
    with tempfile.NamedTemporaryFile(prefix="stdin-") as file:
        try:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
            file.flush()
        except OSError as error:
            raise UserError(f"standard input cannot be kept ({error.strerror})", "save it in a file first") from None
        clip = load_clip(Path(file.name), reference=reference, track=track, shown="standard input")
    return dataclasses.replace(clip, name="standard input", path=None)


def _decoded_apart(file: FileIO, shown: str, track: int | None, cancelled: threading.Event | None) -> decoder.Decoded:
    import numpy as np

    with tempfile.TemporaryFile() as target:
        descriptors = file.fileno(), target.fileno()
        written = ask(
            decoder.__name__,
            decoder.Order(*descriptors, shown, track),
            decoder.Written,
            f"reading {shown}",
            cancelled,
            progress=(decoder.Reached,),
            pass_fds=descriptors,
            stall_s=STALL_S,
            otherwise="convert it to WAV or FLAC with another program",
        )
        if written is None:
            raise UserError(f"reading {shown} was cancelled", "open it again")
        target.seek(0)
        samples = np.empty(written.count, "<f4")
        if target.readinto(samples.data.cast("B")) != samples.nbytes:
            raise UserError(f"the samples of {shown} could not be kept", "free some space for temporary files")
    return decoder.Decoded(samples.astype(np.float32, copy=False), written.warnings, written.count)


def from_samples(samples: NDArray[Any], rate: float, name: str, *, reference: str | None = None) -> Clip:
    """Make a clip of samples in memory, shape (n,) or (n, channels), int16, int32, uint8 or float, `rate` in Hz.

    Integers are scaled by their full range. Raises UserError as `load_clip` does, ValueError for another shape or rate
    and TypeError for another dtype.
    """
    if samples.ndim not in {1, 2} or (samples.ndim == 2 and samples.shape[1] == 0):
        raise ValueError(f"samples must have shape (n,) or (n, channels), not {samples.shape}")
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"rate must be from {RATES[0]} to {RATES[1]} Hz, not {rate}")
    frames = samples if samples.ndim == 2 else samples[:, None]
    step = max(1, decoder.BLOCK_VALUES // frames.shape[1])
    blocks = (as_float(frames[start : start + step]) for start in range(0, len(frames), step))
    return from_blocks(blocks, rate, name, reference=reference)


def from_blocks(blocks: Iterable[Block], rate: float, name: str, *, reference: str | None = None) -> Clip:
    """Make a clip of blocks of frames, of which no more than one is kept. Raises UserError as `load_clip` does."""
    shown = one_line(name)
    sink = Conformer(shown)
    for block in blocks:
        sink.add(block, rate)
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
    darwin.check_here(path, shown)
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
            clip = load_clip(path, reference=reference, apart=False)
    except (OSError, UserError) as error:
        raise UserError(f"the bundled demo clip cannot be read ({error})", "reinstall speedtest-tui") from None
    return dataclasses.replace(clip, name=NAME, path=None, demo=True)
