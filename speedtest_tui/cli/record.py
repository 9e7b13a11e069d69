"""`speedtest-tui record`: a recording into a file, stopped by Enter, Ctrl-C, a time or a silence.

`speedtest-tui devices`: the microphones that can be recorded from.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import select
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from speedtest_tui.cli import console, on_signals
from speedtest_tui.cli.arguments import Parser, add_json, check_seconds, describe
from speedtest_tui.cli.console import Column, LiveRow
from speedtest_tui.core import disk
from speedtest_tui.core.audio.clip import MIN_SECONDS
from speedtest_tui.core.audio.devices import scan_devices
from speedtest_tui.core.audio.level import Finding
from speedtest_tui.core.audio.recorder import DEFAULT_MAX_S, Recorder, RecorderState
from speedtest_tui.core.audio.recording import Recording, leftovers
from speedtest_tui.core.audio.view import view_of_recording
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import spool_folder

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip


FORMATS = {".wav": "WAV", ".flac": "FLAC"}

METER_FLOOR_DB = -60.0


class Devices:
    """The command `devices`."""

    @staticmethod
    def add_arguments(parser: Parser) -> None:
        describe(parser, "List the microphones, the default one first.", "devices", "devices --json")
        add_json(parser)

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Exit code 1 where there is none."""
        report = scan_devices()
        if options.json:
            console.print_json({"schema": 1, **report.to_json()})
        elif report.devices:
            columns = (
                Column("no.", right=True),
                Column("name"),
                Column("rate", right=True),
                Column("channels", rank=1),
            )
            rows = [
                (str(one.index), one.name, f"{one.rate / 1000:g} kHz", f"{one.channels} ch", one.host_api,
                 "default" if one.is_default else "")
                for one in report.devices
            ]  # fmt: skip
            console.print_table((*columns, Column("system", rank=2), Column("")), rows)
        elif report.advice:
            console.complain(str(report.advice))
        return console.EXIT_OK if report.devices else console.EXIT_FAILED


def add_arguments(parser: Parser) -> None:
    describe(
        parser,
        "Record from a microphone into a file. Enter or Ctrl-C stops and keeps the recording.",
        "record talk.wav",
        "record talk.flac --silence-stop 2 --device usb",
    )
    parser.add_argument("out", type=Path, metavar="OUT.wav", help="a .wav or .flac file, 16 kHz mono")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds")
    parser.add_argument("--device", metavar="NAME", help="name, part of a name or number; see `speedtest-tui devices`")
    parser.add_argument("--silence-stop", type=float, metavar="S", help="stop after S seconds of silence")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--recover", action="store_true", help="save an unsaved recording of a killed program instead")


def run(options: argparse.Namespace) -> int:
    """Record and write. 0: done; 1: it broke off, or nothing but zeros came; 130: ended by SIGTERM or SIGHUP.

    Whatever the code, what was recorded has been written, or else the message says where it is.
    """
    target = _target(options.out, force=options.force)
    if options.recover:
        return _recover(target)
    check_seconds("--seconds", options.seconds)
    check_seconds("--silence-stop", options.silence_stop)
    stop = threading.Event()
    cancelled: list[int] = []

    def ended(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C is how a person ends a recording; the others come from a system that wants us gone.
        if number != signal.SIGINT:
            cancelled.append(number)
        stop.set()

    on_signals(ended)
    recorder = Recorder(device=options.device, max_s=options.seconds or DEFAULT_MAX_S, silence_s=options.silence_stop)
    recorder.start()
    try:
        _watch(recorder, stop)
        recording = recorder.stop()
    except UserError:
        if not stop.is_set():
            raise
        console.complain("cancelled: nothing was recorded")
        return console.EXIT_CANCELLED
    finally:
        recorder.close()
    if stop.is_set() and recording.seconds < MIN_SECONDS:
        recording.discard()
        console.complain("cancelled: nothing was recorded")
        return console.EXIT_CANCELLED
    findings = _keep(recording, target)
    for earlier in leftovers():
        console.complain(
            f"there is an unsaved recording of {earlier.seconds:.1f} s: "
            "get it with `speedtest-tui record OUT.wav --recover`"
        )
        break
    failed = recorder.state.how == "lost" or any(finding.kind == "digital-silence" for finding in findings)
    return console.EXIT_CANCELLED if cancelled else console.EXIT_FAILED if failed else console.EXIT_OK


def _target(out: Path, *, force: bool) -> Path:
    """Where to write. Raises UserError for what can be known to fail before anybody has spoken."""
    target = out.absolute()
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"{out} is neither .wav nor .flac", "choose a name that ends in one of them")
    if not target.parent.is_dir():
        raise UserError(f"cannot write {out}", "its folder does not exist")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"cannot write {out}", "its folder is write-protected")
    if target.is_dir():
        raise UserError(f"{out} is a folder", "name a file")
    if target.exists() and not force:
        raise UserError(f"{out} already exists", "choose another name, or use --force")
    return target


def _recover(target: Path) -> int:
    """Write the newest unsaved recording of a killed program."""
    disk.check(spool_folder())
    found = leftovers()
    if not found:
        raise UserError("there is no unsaved recording", "record without --recover")
    _keep(found[0], target)
    return console.EXIT_OK


def _watch(recorder: Recorder, stop: threading.Event) -> None:
    """Show the level until it is over or somebody stops it."""
    keyboard = sys.stdin.isatty()
    if sys.stderr.isatty():
        console.say("recording: Enter or Ctrl-C stops and keeps it", error=True)
    with console.live_view() as view:
        while not stop.is_set() and not recorder.wait(0.1):
            view.show([_meter(recorder.state)])
            if keyboard and select.select([sys.stdin], [], [], 0)[0]:
                sys.stdin.readline()
                break


def _meter(state: RecorderState) -> LiveRow:
    if state.phase != "recording":
        return LiveRow("waiting", f"opening {state.device or 'the microphone'}")
    share = min(1.0, max(0.0, 1 - state.rms_db / METER_FLOOR_DB))
    clipped = f"  {state.clipped} clipped" if state.clipped else ""
    return LiveRow("active", f"REC {state.seconds:6.1f} s", f"{state.rms_db:4.0f} dB{clipped}  {state.device}", share)


def _keep(recording: Recording, target: Path) -> tuple[Finding, ...]:
    """Write a recording, print what it is, and only then discard its spool. Raises UserError."""
    view = view_of_recording(recording, target.name)
    clip = view.clip
    try:
        disk.write_where_asked(target, encoded(clip, FORMATS[target.suffix.lower()]))
    except OSError as error:
        # The spool stays, and after this process's end it is a leftover.
        todo = "free some space, then get it with `speedtest-tui record OUT.wav --recover`"
        raise UserError(f"{target} cannot be written ({error.strerror or error})", todo) from None
    with contextlib.suppress(OSError):
        recording.discard()
    console.say(f"{target}: {clip.seconds:.1f} s from {recording.facts.device!r}")
    for finding in view.findings:
        console.complain(str(finding.advice))
    return view.findings


def encoded(clip: Clip, form: str) -> bytes:
    """The clip as a file of `form`, "WAV" or "FLAC": 16 kHz, mono, 16 bits."""
    import soundfile

    from backends.base import SAMPLE_RATE

    file = io.BytesIO()
    soundfile.write(file, clip.samples, SAMPLE_RATE, format=form, subtype="PCM_16")
    return file.getvalue()
