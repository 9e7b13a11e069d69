"""A program in a pseudo-terminal of 120x40 that answers what Textual asks, as a modern terminal does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

COLUMNS, ROWS = 120, 40

ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",  # synchronised output: known, and off
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",  # resizes in band: not known
    b"\x1b[c": b"\x1b[?62;c",  # which terminal: a VT220
}
KEPT = 4096
"""Bytes of output that a marker or a question may be spread over."""

SHOWN = 400
"""Characters of what was drawn last that an error message quotes."""


class Terminal:
    """Runs a command in a session of its own; its output must be read by `wait_for` or `drain`, or it blocks."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        # These two would count for more than the terminal's own size.
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )
        os.close(slave)
        self._seen = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def wait_for(self, marker: str, timeout: float) -> float:
        """Seconds from the start of the program until `marker` is on the screen. Raises TimeoutError."""
        wanted = marker.encode()
        while wanted not in self._seen:
            left = self.started + timeout - time.perf_counter()
            if left <= 0 or not self.drain(left):
                raise TimeoutError(f"{marker!r} did not appear within {timeout:g} s; {self.last_words()}")
        return time.perf_counter() - self.started

    def reply(self, key: str, marker: str, timeout: float) -> float:
        """Seconds from a key until `marker` is drawn, which must not be drawn otherwise. Raises TimeoutError."""
        wanted = marker.encode()
        self._seen = b""
        begin = time.perf_counter()
        self.press(key)
        while wanted not in self._seen:
            left = begin + timeout - time.perf_counter()
            if left <= 0 or not self.drain(left):
                raise TimeoutError(f"{marker!r} did not follow {key!r} within {timeout:g} s; {self.last_words()}")
        return time.perf_counter() - begin

    def last_words(self) -> str:
        """What was drawn last, as text: for a person who asks why something did not appear."""
        text = re.sub(rb"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|[\x00-\x1f\x7f]", b" ", self._seen).decode(errors="replace")
        text = " ".join("".join(" " if "\u2500" <= letter <= "\u257f" else letter for letter in text).split())
        state = "the program has ended" if self.process.poll() is not None else "it runs"
        return f"{state}; last drawn: {text[-SHOWN:] or 'nothing'}"

    def rest(self, seconds: float) -> None:
        """Let the program live on for some time, reading what it draws."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.drain(left)

    def drain(self, timeout: float) -> bool:
        """Read what comes within `timeout` seconds, at most one piece; False where the program has ended."""
        if not select.select([self._master], [], [], timeout)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        # Only the end of the old output is searched again, so that no question is answered twice.
        rest = self._seen[-16:]
        for question, answer in ANSWERS.items():
            if question in rest + data and question not in rest:
                os.write(self._master, answer)
        self._seen = (self._seen + data)[-max(KEPT, len(data) + 64) :]
        return bool(data)

    def press(self, key: str) -> None:
        """Type a key."""
        with contextlib.suppress(OSError):
            os.write(self._master, key.encode())

    def end(self) -> None:
        """Press q, and use force after two seconds."""
        self.press("q")
        deadline = time.monotonic() + 2
        while self.process.poll() is None and time.monotonic() < deadline:
            self.drain(0.05)
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._master)
