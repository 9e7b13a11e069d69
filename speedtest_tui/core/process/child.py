"""A child process's side: `serve` begins and ends it, `Parent` is its end of the conversation.

The order and the commands come as JSON lines on stdin, messages go out as JSON lines. The library's own prints must not
mix with them: descriptor 1 is duplicated for the messages alone and then made to point where stderr goes. The end of
stdin, or of the lifeline, means that the parent is gone, and ends the process with everything that it has started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backends.base import Advice, BackendError
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.lines import LIFELINE, MARK, Failed, LineSplitter, Message, encode_message

if TYPE_CHECKING:
    from backends.base import Samples

LINGER_S = 1.0
"""How long a watchdog waits after the end of its process for that of the program, in which both may have ended."""

LET_GO_S = 0.1
"""Until the last of what was killed has let go of a folder."""

_NOW = b"!"
"""Tells a watchdog to do its work. What else it is told are folders, absolute or none; a zero byte ends each word."""

_READ_BYTES = 1 << 20

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of linux/prctl.h."""

Commands = queue.SimpleQueue[dict[str, Any]]


class Parent:
    """The child's view of its parent. `order` is the first line that came down, and was read without any thread.

    watchdog: where to tell the watchdog something, None without one
    """

    def __init__(self, watchdog: int | None = None) -> None:
        self._watchdog = watchdog
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._lines = LineSplitter()
        self._early: list[bytes] = []
        while not self._early:
            self._early += self._read()
        self.order: dict[str, Any] = json.loads(self._early.pop(0))

    def send(self, message: Message) -> None:
        """Tell something. May be called by any thread; raises OSError where nobody listens any more."""
        data = encode_message(message)
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def commands(self) -> Commands:
        """What comes down after the order, from now on read by a thread of its own. To be called once."""
        commands: Commands = queue.SimpleQueue()
        threading.Thread(target=self._pass_on, args=(commands,), name="commands", daemon=True).start()
        return commands

    def unfinished(self, folder: Path | None) -> None:
        """Should parent and child be killed together, this folder is to be removed; None: nothing any more."""
        if self._watchdog is not None:
            os.write(self._watchdog, (os.fsencode(folder) if folder else b"") + b"\0")

    def _pass_on(self, commands: Commands) -> None:
        try:
            lines = self._early
            while True:
                for line in lines:
                    commands.put(json.loads(line))
                lines = self._read()
        finally:
            self._end_all()

    def _read(self) -> list[bytes]:
        # Without a buffer object: one that a daemon thread holds at exit is a fatal error.
        if not (data := os.read(0, 65536)):
            self._end_all()
        return list(self._lines.feed(data))

    def _end_all(self) -> NoReturn:
        """End this process at once, and with it everything that it started, if it leads a group of its own."""
        if os.getpgrp() == os.getpid():
            if self._watchdog is not None:
                # It finds what is in other groups, as long as this process is there to be their parent.
                with contextlib.suppress(OSError):
                    os.write(self._watchdog, _NOW + b"\0")
                    time.sleep(LINGER_S)
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def serve(work: Callable[[Parent], object]) -> NoReturn:
    """Do a child's work and end the process: exit code 0, or 1 behind a last message that says what failed.

    The process does not end through the interpreter: there PortAudio closes its streams, which hangs where a device is
    gone, and threads of MLX and torch may abort.
    """
    parent = Parent(die_with_parent())
    code = 1
    try:
        work(parent)
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            parent.send(_failed(error))
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if mark := os.environ.get(MARK):
            from speedtest_tui.core.process.launch import end_kin

            end_kin(os.getpid(), mark)
        os._exit(code)


def read_samples(descriptor: int, place: int = 0, size: int | None = None) -> Samples:
    """A private, writable copy of an inherited file of little-endian float32, shape (n,).

    place, size: of the part to read, in bytes; the whole is read by default

    It is read and not mapped: for a map macOS first flushes the whole disk (F_FULLFSYNC in CPython's mmapmodule.c).
    And it is read by place: all children have one position in it.
    """
    import numpy as np

    samples = np.empty((os.fstat(descriptor).st_size if size is None else size) // 4, "<f4")
    content, done = samples.view(np.uint8), 0
    while done < len(content) and (data := os.pread(descriptor, _READ_BYTES, place + done)):
        content[done : done + len(data)] = np.frombuffer(data, np.uint8)[: len(content) - done]
        done += len(data)
    return samples


def _failed(error: BaseException) -> Failed:
    if isinstance(error, BackendError):
        return Failed(Advice(error.message, error.hint), error.kind)
    if isinstance(error, UserError):
        return Failed(error.advice)
    if isinstance(error, MemoryError):
        return Failed(Advice("ran out of memory", "close other programs or take a smaller size"), "memory")
    import traceback

    traceback.print_exception(error)
    first_line = (str(error).strip().splitlines() or [""])[0]
    return Failed(Advice(f"{type(error).__name__}: {first_line}".rstrip(": ")), "exception")


def die_with_parent() -> int | None:
    """Leave a watchdog beside this process that kills all that belongs to it once the lifeline has ended.

    Returns the descriptor that tells it of a folder. A thread cannot do that while a library holds the interpreter
    lock, and Linux's own signal on a parent's death ends one process only, and already when the thread that started it
    returns. Call this first of all: the fork must happen before there are threads. A process that leads no group of its
    own was started by hand and is left alone.
    """
    guarded, line = os.getpid(), os.environ.pop(LIFELINE, "")
    if not line or os.getpgrp() != guarded:
        return None
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)  # what daemons leave behind stays below this process
    reading, writing = os.pipe()
    if os.fork():
        os.close(int(line))
        os.close(reading)
        return writing
    try:
        _watch(guarded, int(line), reading)
    finally:
        os._exit(0)


def _watch(guarded: int, line: int, told: int) -> None:
    """The watchdog's life, in a session of its own: what ends the group must not end it half-way.

    It waits until something can be read, which the end of a pipe is on every system; macOS tells nobody of an end who
    asks for nothing else.
    """
    import select

    os.setsid()
    # It must hold no pipe open whose end somebody waits for.
    line, told = os.dup(line), os.dup(told)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    low, high = sorted((line, told))
    for begin, end in ((3, low), (low + 1, high), (high + 1, 4096)):
        os.closerange(begin, end)
    said = b""
    while _NOW not in _words(said) and line not in select.select([line, told], [], [])[0]:
        if not (data := os.read(told, 65536)):
            if not select.select([line], [], [], LINGER_S)[0]:
                return
            break
        said += data
    while select.select([told], [], [], 0)[0] and (data := os.read(told, 65536)):
        said += data
    from speedtest_tui.core.process.launch import end_kin, kin

    mark = os.environ[MARK]
    related = kin(guarded, mark)
    if os.getppid() == guarded:
        os.killpg(guarded, signal.SIGKILL)
    end_kin(guarded, mark, related)
    folder = ([b""] + [word for word in _words(said) if word != _NOW])[-1]
    if folder:
        import shutil

        time.sleep(LET_GO_S)
        shutil.rmtree(os.fsdecode(folder), ignore_errors=True)


def _words(said: bytes) -> list[bytes]:
    """What a watchdog was told; a word that has not yet ended is none."""
    return said.split(b"\0")[:-1]
