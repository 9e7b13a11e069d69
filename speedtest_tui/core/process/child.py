"""A child process's side: `serve` begins and ends it, `Parent` is its end of the conversation.

The order and the commands come as JSON lines on stdin, messages go out as JSON lines. The library's own prints must not
mix with them: descriptor 1 is duplicated for the messages alone and then made to point where stderr goes. The end of
stdin means that the parent is gone, and ends the process with everything that it has started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from backends.base import Advice, BackendError
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.lines import Failed, LineSplitter, Message, encode_message

POLL_MS = 1000
"""How often the watchdog looks whether its own process is still there; the end of stdin it notices at once."""

_FINISHED = b"."
_GUARD_WAIT_S = 0.1
"""Until the last of what was killed has let go of the folder."""

Commands = queue.SimpleQueue[dict[str, Any]]


class Parent:
    """The child's view of its parent. `order` is the first line that came down, and was read without any thread."""

    def __init__(self) -> None:
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

    def _pass_on(self, commands: Commands) -> None:
        try:
            lines = self._early
            while True:
                for line in lines:
                    commands.put(json.loads(line))
                lines = self._read()
        finally:
            end_own_group()

    def _read(self) -> list[bytes]:
        # Without a buffer object: one that a daemon thread holds at exit is a fatal error.
        if not (data := os.read(0, 65536)):
            end_own_group()
        return list(self._lines.feed(data))


def serve(work: Callable[[Parent], object]) -> NoReturn:
    """Do a child's work and end the process: exit code 0, or 1 behind a last message that says what failed.

    The process does not end through the interpreter: there PortAudio closes its streams, which hangs where a device is
    gone, and threads of MLX and torch may abort.
    """
    die_with_parent()
    parent = Parent()
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
        os._exit(code)


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


def die_with_parent() -> None:
    """Leave a watchdog beside this process that kills its whole group once stdin, a pipe from the parent, has ended.

    A thread cannot do that while a library holds the interpreter lock, and Linux's own signal on a parent's death ends
    one process only, and already when the thread that started it returns. Call this first of all: the fork must
    happen before there are threads. A process that leads no group of its own was started by hand and is left alone.
    """
    guarded = os.getpid()
    if os.getpgrp() != guarded or os.fork() != 0:
        return
    try:
        # The watchdog must hold no pipe open whose end somebody waits for.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.closerange(3, 64)
        waiting = select.poll()
        waiting.register(0, 0)  # no event but the end, which is always reported: commands are not its business
        while os.getppid() == guarded:
            if waiting.poll(POLL_MS):
                os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(0)


class FolderGuard:
    """A process of its own group that removes a folder, unless it is told that the work was finished.

    Nothing else could: a process that is killed together with its parent leaves what it has written.
    """

    def __init__(self, folder: Path) -> None:
        """Fork; call it before there are threads."""
        reading, self._writing = os.pipe()
        if os.fork():
            os.close(reading)
            return
        try:
            os.setsid()
            os.dup2(reading, 3)
            # Pipes that it held open would keep others waiting for their end.
            os.closerange(4, 64)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            if os.read(3, 1) != _FINISHED:
                time.sleep(_GUARD_WAIT_S)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os._exit(0)

    def finished(self) -> None:
        """Let the folder stay: its parent takes it over."""
        os.write(self._writing, _FINISHED)


def end_own_group() -> NoReturn:
    """End this process at once, and with it everything that it started, if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
