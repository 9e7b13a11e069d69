"""The parent's end of a child process that makes or takes sound: commands down, events up, its end in words."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from speedtest_tui.core.process.launch import end, launch
from speedtest_tui.core.process.lines import LineSplitter, ProtocolError, encode, excerpt
from speedtest_tui.core.process.parent import describe_exit

Event = dict[str, Any]

STDERR_KEPT = 4096


class ChildLink:
    """Starts the child in a thread of its own and reads from it until it ends.

    Linux ends the child with the *thread* that started it (PR_SET_PDEATHSIG), so that thread must live as long: this
    one does, whoever asked for it.
    """

    def __init__(
        self,
        module: str,
        order: Event,
        on_event: Callable[[Event], None],
        on_end: Callable[[str], None],
        descriptor: int | None = None,
    ) -> None:
        """on_event: gets each event; on_end: called once, last, with what went wrong or "". Both in the link's thread.

        order: the first line for the child; descriptor: inherited by the child and closed here
        """
        self._module = module
        self._pending: list[Event] | None = [order]
        self._on_event = on_event
        self._on_end = on_end
        self._descriptor = descriptor
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._stderr = bytearray()
        self._thread = threading.Thread(target=self._live, name=module.rsplit(".", 1)[-1], daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The child's, once it has been started."""
        return self._process.pid if self._process else None

    def send(self, command: Event) -> None:
        """Hand over a command, at once or as soon as the child is there; one that is gone gets none."""
        with self._lock:
            if self._pending is not None:
                self._pending.append(command)
            else:
                self._write(command)

    def close(self, wait_s: float = 2.0) -> None:
        """End the child, if it has not ended, and wait for the thread. Does not wait when called by that thread."""
        with self._lock:
            self._closing = True
            process = self._process
        # One that has been waited for has no number any more: the system may have given it to another process.
        if process is not None and process.poll() is None:
            end(process)
        if threading.current_thread() is not self._thread:
            self._thread.join(wait_s)

    def _write(self, command: Event) -> None:
        assert self._process and self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            os.write(self._process.stdin.fileno(), encode(command))

    def _live(self) -> None:
        problem = "it could not be started"
        try:
            with self._lock:
                if not self._closing:
                    self._process = self._start()
            if self._process is not None:
                problem = self._listen(self._process)
        except OSError as error:
            problem = f"it could not be started ({error.strerror or error})"
        finally:
            self._on_end("" if self._closing else problem)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = launch(self._module, pass_fds=() if self._descriptor is None else (self._descriptor,))
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
        self._process = process
        for command in self._pending or ():
            self._write(command)
        self._pending = None
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> str:
        """Read all events; return in words how the child ended, "" where that was well."""
        assert process.stdin and process.stdout and process.stderr
        errors = threading.Thread(target=self._read_stderr, args=(process.stderr.fileno(),), daemon=True)
        errors.start()
        splitter = LineSplitter()
        problem = ""
        try:
            while data := os.read(process.stdout.fileno(), 65536):
                for line in splitter.feed(data):
                    self._on_event(_parse(line))
        except ProtocolError as error:
            problem = str(error)
        end(process)
        errors.join(1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        return problem or self._obituary(process.returncode)

    def _obituary(self, code: int) -> str:
        if not (how := describe_exit(code)):
            return ""
        lines = [line for line in bytes(self._stderr).splitlines() if line.strip()]
        return f"{how}: {excerpt(lines[-1], 200)[1:-1]}" if lines and code > 0 else how

    def _read_stderr(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(descriptor, 65536):
                self._stderr += data
                del self._stderr[:-STDERR_KEPT]


def _parse(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise ProtocolError(f"it sent a line that is no event: {excerpt(line)}")
    return event
