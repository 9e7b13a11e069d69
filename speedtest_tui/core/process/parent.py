"""The parent's side of one child process: its events, its last words, its vital signs, its end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from dataclasses import dataclass

from speedtest_tui.core.process.launch import end, launch
from speedtest_tui.core.process.lines import (
    Assignment,
    Event,
    LineSplitter,
    ProtocolError,
    encode,
    excerpt,
    parse_event,
)

STDERR_KEPT = 64 * 1024
MAX_EVENTS = 100_000
"""More events than the longest plan can cause; a child that sends more has gone wild."""

CHILD_MODULE = "speedtest_tui.core.race.child"


@dataclass(frozen=True)
class Vitals:
    """What the system says of a process: processor seconds so far, bytes read from disk so far, resident bytes."""

    cpu_s: float
    read_bytes: int
    rss: int


@dataclass(frozen=True)
class Ended:
    """The child's event pipe is closed; `reason` says in words what became of it, empty for a plain exit 0."""

    reason: str
    exit_code: int | None


Report = tuple[int, Event | ProtocolError | Ended]
"""What a child's reader puts into the supervisor's queue: the entrant's index and what happened."""


class ChildHandle:
    """A running child and the two threads that drain its pipes, so that it can never block on a full one."""

    def __init__(self, entrant: int, assignment: Assignment, reports: queue.SimpleQueue[Report]) -> None:
        """Start the child. Raises OSError where the system refuses."""
        import psutil

        self.entrant = entrant
        self.rss = 0
        self._reports = reports
        self._process = launch(CHILD_MODULE, pass_fds=(assignment.clip_descriptor,))
        self._system = psutil.Process(self._process.pid)
        self._stderr = bytearray()
        self._readers = (
            threading.Thread(target=self._read_events, name=f"events of {entrant}", daemon=True),
            threading.Thread(target=self._read_stderr, name=f"stderr of {entrant}", daemon=True),
        )
        for reader in self._readers:
            reader.start()
        self.send(assignment)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, command: object) -> None:
        """Hand over a command; a child that is gone says so through its event pipe."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), encode(command))

    def vitals(self) -> Vitals | None:
        """Processor time, bytes read and memory, or None once the child is gone."""
        import psutil

        try:
            with self._system.oneshot():
                times, memory = self._system.cpu_times(), self._system.memory_info()
                # macOS keeps no per-process count of bytes read; memory that grows stands in for it.
                read = self._system.io_counters().read_bytes if hasattr(self._system, "io_counters") else 0
        except (psutil.Error, OSError):
            return None
        return Vitals(times.user + times.system, read, memory.rss)

    def last_words(self, limit: int = 300) -> str:
        """The last line that the child wrote to stderr, for an error report."""
        lines = [line for line in bytes(self._stderr).splitlines() if line.strip()]
        return excerpt(lines[-1], limit)[1:-1] if lines else ""

    def end(self) -> None:
        """End the child and everything it started, and wait for the readers."""
        end(self._process)
        for reader in self._readers:
            reader.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read_events(self) -> None:
        assert self._process.stdout
        splitter = LineSplitter()
        sent = 0
        try:
            while data := os.read(self._process.stdout.fileno(), 65536):
                for line in splitter.feed(data):
                    event = parse_event(line)
                    if event.name == "memory":
                        self.rss = _rss(event)
                        continue
                    sent += 1
                    if sent > MAX_EVENTS:
                        raise ProtocolError(f"sent more than {MAX_EVENTS} events")
                    self._reports.put((self.entrant, event))
        except ProtocolError as error:
            self._reports.put((self.entrant, error))
            self._drain()
        except OSError:
            pass
        self._reports.put((self.entrant, self._obituary(splitter.rest)))

    def _drain(self) -> None:
        """Read on without looking, so that a child that went wild is not blocked while it is being ended."""
        assert self._process.stdout
        with contextlib.suppress(OSError):
            while os.read(self._process.stdout.fileno(), 65536):
                pass

    def _read_stderr(self) -> None:
        assert self._process.stderr
        with contextlib.suppress(OSError):
            while data := os.read(self._process.stderr.fileno(), 65536):
                self._stderr += data
                del self._stderr[:-STDERR_KEPT]

    def _obituary(self, rest: bytes) -> Ended:
        try:
            code = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return Ended("closed its event pipe and went on running", None)
        if rest:
            return Ended(f"{describe_exit(code) or 'ended'} in the middle of a line: {excerpt(rest)}", code)
        return Ended(describe_exit(code), code)


def _rss(event: Event) -> int:
    rss = event.fields.get("rss")
    if not isinstance(rss, int):
        raise ProtocolError(f"sent an unreadable memory event ({rss!r:.60})")
    return rss


def describe_exit(code: int) -> str:
    """An exit status in words, empty for 0; negative numbers are signals, as in subprocess."""
    if code == 0:
        return ""
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = {
        "SIGSEGV": "crashed (segmentation fault, SIGSEGV)",
        "SIGBUS": "crashed (bus error, SIGBUS)",
        "SIGABRT": "aborted (SIGABRT)",
        "SIGILL": "crashed (this processor lacks an instruction that the library uses, SIGILL)",
        "SIGKILL": "was killed (SIGKILL); the system does that when memory runs out",
    }
    return meaning.get(name, f"was ended by {name}")
