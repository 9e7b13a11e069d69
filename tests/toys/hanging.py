"""Toy backends that never come back, each in its own way."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from toys.well import Well, journal

from backends.base import Loaded, LoadOptions, Location, ModelSpec, TranscribeOptions, Transcription


def hang() -> None:
    """Wait for ever, letting other threads run; first tell the test so."""
    journal("hangs")
    threading.Event().wait()


def hold_the_lock() -> None:
    """Wait for ever inside C without letting go of the interpreter lock: no other Python thread runs again."""
    journal("hangs")
    ctypes.PyDLL(None).sleep(3600)


class HangsInImport(Well):
    def import_library(self) -> None:
        hang()


class HangsInLoad(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        hang()
        return super().load(spec, location, options)


class HangsInWarmup(Well):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        hang()
        return super().transcribe(samples, options)


class HangsInRun(Well):
    """Warm-up and first run are good, and the pulse before that run where there is one."""

    calls = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        from speedtest_tui.core.race.plan import PULSE

        self.calls += 1
        if self.calls > 2 + PULSE:
            hang()
        return super().transcribe(samples, options)


class HoldsTheLockInImport(Well):
    def import_library(self) -> None:
        hold_the_lock()


class HoldsTheLockInRun(Well):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        hold_the_lock()
        return super().transcribe(samples, options)


class IsHeldUp(Well):
    """Is stopped in its second run until the test lets it go on."""

    calls = 0

    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        self.calls += 1
        if self.calls == 3:
            journal("hangs", os.getpid())
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().transcribe(samples, options)


class LoopsForEver(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        journal("hangs")
        while True:
            pass


class IgnoresSigterm(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hang()
        return super().load(spec, location, options)


class LeavesAGrandchild(Well):
    """Starts a program that outlives it, and finishes."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL)
        return super().load(spec, location, options)


class HangsWithAGrandchild(LeavesAGrandchild):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        hang()
        return super().transcribe(samples, options)


def leave_daemons() -> None:
    """Start processes in sessions of their own, in every way there is, and tell the test their numbers.

    One without parent and mark is found by Linux alone, which has whoever asks adopt it (PR_GET_CHILD_SUBREAPER is 37).
    """
    adopts = ctypes.c_int(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(37, ctypes.byref(adopts))
    apart: Any = {"start_new_session": True, "stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for environment in (None, {}):
        once = subprocess.Popen(["/bin/sleep", "3600"], env=environment, stdout=subprocess.DEVNULL, **apart)
        journal("daemons", once.pid)
        if environment is not None and not adopts.value:
            continue
        twice = subprocess.run(
            ["/bin/sh", "-c", "/bin/sleep 3600 >/dev/null & echo $!"],
            env=environment, stdout=subprocess.PIPE, check=True, **apart,
        )  # fmt: skip
        journal("daemons", int(twice.stdout))
    if not (forked := os.fork()):
        os.setsid()
        time.sleep(3600)
    journal("daemons", forked)


class LeavesDaemons(Well):
    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        leave_daemons()
        return super().load(spec, location, options)


class HangsWithDaemons(LeavesDaemons):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        hang()
        return super().transcribe(samples, options)


class HoldsTheLockWithDaemons(LeavesDaemons):
    def transcribe(self, samples: Any, options: TranscribeOptions) -> Transcription:
        hold_the_lock()
        return super().transcribe(samples, options)


class CrashesWithADaemon(Well):
    """What it started is known by its mark alone: a crash leaves no time to look for it."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        daemon = subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL)
        journal("daemons", daemon.pid)
        os.kill(os.getpid(), signal.SIGKILL)
        return super().load(spec, location, options)
