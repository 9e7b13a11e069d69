"""`speedtest-tui record`: a recording into a file, stopped by Enter, Ctrl-C, a time or a silence."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import select
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from speedtest_tui.cli.main import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.core import disk as atomic
from speedtest_tui.core.audio.clip import MIN_SECONDS
from speedtest_tui.core.audio.diagnosis import Finding, diagnose
from speedtest_tui.core.audio.recorder import DEFAULT_MAX_S, Recorder, RecorderState
from speedtest_tui.core.audio.recording import Recording, leftovers
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip


FORMATS = {".wav": "WAV", ".flac": "FLAC"}

METER_CELLS = 30
METER_FLOOR_DB = -60.0


def record(options: argparse.Namespace) -> int:
    """Record and write. 0: done; 1: it broke off, or nothing but zeros came; 130: ended by SIGTERM or SIGHUP.

    Whatever the code, what was recorded has been written, or else the message says where it is.
    """
    target = _target(options.out, force=options.force)
    if options.recover:
        return _recover(target)
    for option, value in (("--seconds", options.seconds), ("--silence-stop", options.silence_stop)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"{option} {value:g}", "give a number of seconds above 0")
    stop = threading.Event()
    cancelled: list[int] = []

    def ended(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C is how a person ends a recording; the others come from a system that wants us gone.
        if number != signal.SIGINT:
            cancelled.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)
    recorder = Recorder(device=options.device, max_s=options.seconds or DEFAULT_MAX_S, silence_s=options.silence_stop)
    recorder.start()
    try:
        _watch(recorder, stop)
        recording = recorder.stop()
    except UserError:
        if not stop.is_set():
            raise
        complain("cancelled: nothing had been recorded yet")
        return EXIT_CANCELLED
    finally:
        recorder.close()
    if stop.is_set() and recording.seconds < MIN_SECONDS:
        recording.discard()
        complain("cancelled: nothing had been recorded yet")
        return EXIT_CANCELLED
    findings = _keep(recording, target)
    for earlier in leftovers():
        complain(
            f"an earlier recording of {earlier.seconds:.1f} s was left behind: get it by `record OUT.wav --recover`"
        )
        break
    failed = recorder.state.how == "lost" or any(finding.kind == "digital-silence" for finding in findings)
    return EXIT_CANCELLED if cancelled else EXIT_FAILED if failed else EXIT_OK


def _target(out: Path, *, force: bool) -> Path:
    """Where to write. Raises UserError for what can be known to fail before anybody has spoken."""
    target = out.absolute()
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"{out} is neither .wav nor .flac", "give the file one of these endings")
    if not target.parent.is_dir():
        raise UserError(f"cannot write {out}", "its folder does not exist")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"cannot write {out}", "its folder may not be written")
    if target.is_dir():
        raise UserError(f"{out} is a folder", "name a file")
    if target.exists() and not force:
        raise UserError(f"{out} already exists", "choose another name, or use --force")
    return target


def _recover(target: Path) -> int:
    """Write the newest recording that a killed program left."""
    found = leftovers()
    if not found:
        raise UserError("no recording was left behind", "record without --recover")
    _keep(found[0], target)
    return EXIT_OK


def _watch(recorder: Recorder, stop: threading.Event) -> None:
    """Show the level until it is over or somebody stops it."""
    live = sys.stderr.isatty()
    keyboard = sys.stdin.isatty()
    if live:
        print("recording: Enter or Ctrl-C stops and keeps it", file=sys.stderr)
    while not stop.is_set() and not recorder.wait(0.1):
        if live:
            sys.stderr.write(f"\r{_meter(recorder.state)}\x1b[K")
            sys.stderr.flush()
        if keyboard and select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
            break
    if live:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _meter(state: RecorderState) -> str:
    """One line for a terminal of 80 columns, plain ASCII."""
    if state.phase != "recording":
        return f"opening {state.device or 'the microphone'} ..."
    share = min(1.0, max(0.0, 1 - state.rms_db / METER_FLOOR_DB))
    bar = "#" * round(share * METER_CELLS)
    clipped = f"  {state.clipped} clipped" if state.clipped else ""
    return f"REC {state.seconds:6.1f} s [{bar:<{METER_CELLS}}] {state.rms_db:4.0f} dB{clipped}  {state.device[:16]}"


def _keep(recording: Recording, target: Path) -> tuple[Finding, ...]:
    """Write a recording, say what it is, and only then let go of its spool. Raises UserError."""
    clip = recording.clip(target.name)
    try:
        atomic.write_bytes(target, encoded(clip, FORMATS[target.suffix.lower()]))
    except OSError as error:
        # The spool stays, and after this process's end it is a leftover.
        todo = "make room, then get it by `speedtest-tui record OUT.wav --recover`"
        raise UserError(f"{target} cannot be written ({error.strerror or error})", todo) from None
    findings = diagnose(clip, recording.facts)
    with contextlib.suppress(OSError):
        recording.discard()
    print(f"{target}: {clip.seconds:.1f} s from {recording.facts.device!r}")
    for finding in findings:
        complain(finding.sentence())
    return findings


def encoded(clip: Clip, form: str) -> bytes:
    """The clip as a file of `form`, "WAV" or "FLAC": 16 kHz, mono, 16 bits."""
    import soundfile

    from backends.base import SAMPLE_RATE

    file = io.BytesIO()
    soundfile.write(file, clip.samples, SAMPLE_RATE, format=form, subtype="PCM_16")
    return file.getvalue()
