"""The parent's side of one child process: its messages, its last words, its vital signs, its end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from speedtest_tui.core import codec, darwin
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.process.launch import Started, describe_exit, end, launch
from speedtest_tui.core.process.lines import Failed, LineSplitter, Message, ProtocolError, encode

if TYPE_CHECKING:
    import psutil

OBITUARY_S = 10.0 if sys.platform == "darwin" else 2.0
"""How long the end of a child may take once its pipe has ended; macOS holds one that crashed for its report."""

STDERR_KEPT = 64 * 1024
TICK_S = 0.1

MAX_MESSAGES_S = 5000
"""In one second. None of ours sends a hundredth of that, so a child that does has gone wild; what waits in a full pipe
while nobody reads is some 300."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Vitals:
    """What the system says of a process: processor seconds and bytes read from disk so far, bytes resident now.

    footprint: bytes that macOS counts as this process's, its compressed and GPU memory among them; None elsewhere
    stopped: by a signal or a debugger
    """

    cpu_s: float
    read_bytes: int
    rss: int
    footprint: int | None = None
    stopped: bool = False

    @property
    def memory(self) -> int:
        """The footprint, else the resident bytes."""
        return self.rss if self.footprint is None else self.footprint


@dataclass(frozen=True)
class Ended:
    """The last report of every child.

    kind: "done" for a plain exit 0, "closed" where we ended it, "launch" where it could not be started, "protocol"
        where it sent something that is no message, else "crash"
    reason: a clause to follow the child's name, "was killed (SIGKILL)"; empty for "done" and "closed"
    last_words: the last line that it wrote to stderr
    """

    kind: Literal["done", "closed", "launch", "protocol", "crash"]
    reason: str = ""
    last_words: str = ""

    def told(self, when: str = "") -> str:
        """The reason with `when` and the last words behind it; for a child that ended too early."""
        words = f"; its last words: {self.last_words}" if self.last_words else ""
        return f"{self.reason or 'ended without a word'}{when and ' '}{when}{words}"


def read_message(line: bytes, kinds: Sequence[type[Message]]) -> Message:
    """What a child sent, validated against its type. Raises ProtocolError."""
    try:
        fields = json.loads(line)
        kind = next(kind for kind in kinds if kind.__name__ == fields["event"])
    except (ValueError, RecursionError, KeyError, TypeError, StopIteration):
        raise ProtocolError(f"sent a line that is no message: {excerpt(line)}") from None
    try:
        return codec.typed(kind, fields)
    except (codec.Damaged, OverflowError) as error:
        raise ProtocolError(f"sent an unreadable message ({kind.__name__}: {str(error)[:200]})") from None


def excerpt(data: bytes, limit: int = 60) -> str:
    """The beginning of some bytes, printable on one line."""
    text = one_line(data[: limit * 4].decode("utf-8", "replace").strip(), "\N{REPLACEMENT CHARACTER}")
    return repr(text[:limit] + ("…" if len(text) > limit else ""))


class Child:
    """A running child and the two threads that drain its pipes, so that it can never block on a full one.

    `report` is called in one of them with each message, and last with an `Ended`; by then the child has been ended
    with everything that it had started.
    """

    def __init__(
        self,
        module: str,
        order: object,
        messages: Sequence[type[Message]],
        report: Callable[[Message | Ended], None],
        *,
        pass_fds: Sequence[int] = (),
        online: bool = False,
    ) -> None:
        """Start it and give it its order, a dataclass or what JSON has.

        messages: what it may send, beside `Failed`; pass_fds, online: as for `launch`
        """
        self._kinds: tuple[type[Message], ...] = (Failed, *messages)
        self._report = report
        self._closing = self._killed = False
        self._lock = threading.Lock()
        self._stderr = bytearray()
        self._process: Started | None = None
        self._system: psutil.Process | None = None
        problem = ""
        try:
            self._process = launch(module, pass_fds=pass_fds, online=online)
        except OSError as error:
            problem = f"could not be started ({error.strerror or error})"
        name = module.removeprefix("speedtest_tui.core.")
        self._reader = threading.Thread(target=self._live, args=(problem,), name=f"{name}: messages", daemon=True)
        self._errors = threading.Thread(target=self._read_stderr, name=f"{name}: stderr", daemon=True)
        self._errors.start()
        self._reader.start()
        self.send(order)

    @property
    def pid(self) -> int | None:
        """None where it could not be started."""
        return self._process.pid if self._process else None

    def send(self, command: object) -> None:
        """Hand over a command; a child that is gone says so through its report."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), encode(command))

    def vitals(self) -> Vitals | None:
        """Processor time, bytes read and memory, or None once the child is gone."""
        import psutil

        try:
            process = self._system = self._system or psutil.Process(self.pid or -1)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
                stopped = process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
                read = process.io_counters().read_bytes if hasattr(process, "io_counters") else 0
        except (psutil.Error, OSError, ValueError):
            return None
        # psutil has neither of the two on macOS.
        mac = darwin.usage(process.pid)
        read, footprint = (mac.read_bytes, mac.footprint) if mac else (read, None)
        return Vitals(times.user + times.system, read, memory.rss, footprint, stopped)

    def end(self, wait_s: float = 2.0) -> None:
        """End the child and everything it started, and wait for its threads, unless called by one of them."""
        self._closing = True
        self._kill()
        if threading.current_thread() is not self._reader:
            self._reader.join(wait_s)

    def _kill(self) -> None:
        with self._lock:
            # Once only: what has been waited for has no number any more, and another process may get it.
            if self._process and not self._killed:
                self._killed = True
                end(self._process)

    def _live(self, problem: str) -> None:
        ended = Ended("launch", problem)
        try:
            if self._process:
                ended = self._follow(self._process)
        finally:
            self._kill()
            self._report(Ended("closed") if self._closing else ended)

    def _follow(self, process: Started) -> Ended:
        assert process.stdin and process.stdout and process.stderr
        splitter, wild, code = LineSplitter(), "", None
        try:
            self._read_messages(process.stdout.fileno(), splitter)
        except ProtocolError as error:
            wild = str(error)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(OBITUARY_S)
        self._kill()
        self._errors.join(1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        if wild:
            return Ended("protocol", wild, self._last_words())
        if code is None:
            return Ended("crash", "closed its event pipe and went on running", self._last_words())
        if splitter.rest:
            how = f"{describe_exit(code) or 'ended'} in the middle of a line: {excerpt(splitter.rest)}"
            return Ended("crash", how, self._last_words())
        return Ended("crash", describe_exit(code), self._last_words()) if code else Ended("done")

    def _read_messages(self, descriptor: int, splitter: LineSplitter) -> None:
        since, count = time.monotonic(), 0
        with contextlib.suppress(OSError):
            while data := os.read(descriptor, 65536):
                for line in splitter.feed(data):
                    now = time.monotonic()
                    since, count = (since, count + 1) if now - since < 1 else (now, 1)
                    if count > MAX_MESSAGES_S:
                        raise ProtocolError(f"sent more than {MAX_MESSAGES_S} messages in a second")
                    self._report(read_message(line, self._kinds))

    def _read_stderr(self) -> None:
        if self._process and self._process.stderr:
            with contextlib.suppress(OSError, ValueError):
                while data := os.read(self._process.stderr.fileno(), 65536):
                    self._stderr += data
                    del self._stderr[:-STDERR_KEPT]

    def _last_words(self, limit: int = 300) -> str:
        # Behind this mark stands what Python's fault handler knows, which is for those who repair libraries.
        words = bytes(self._stderr).partition(b"Fatal Python error: ")[0]
        lines = [line for line in words.splitlines() if line.strip()]
        return excerpt(lines[-1], limit)[1:-1] if lines else ""


def ask(
    module: str,
    order: object,
    answer: type[M],
    what: str,
    cancelled: threading.Event | None = None,
    *,
    progress: Sequence[type[Message]] = (),
    on_progress: Callable[[Message], None] = lambda _: None,
    pass_fds: Sequence[int] = (),
    stall_s: float | None = None,
    otherwise: str = "try again",
) -> M | None:
    """Start a child for one answer and wait for it. None where it was cancelled; by then the child has been ended.

    what: the work, for people: "the conversion"; progress: messages before the answer, for `on_progress`
    stall_s: how long it may say nothing, in seconds; otherwise: what to do where it ends early
    Raises UserError where no answer comes.
    """
    reports: queue.SimpleQueue[Message | Ended] = queue.SimpleQueue()
    child = Child(module, order, (answer, *progress), reports.put, pass_fds=pass_fds)
    silent_s, looked = 0.0, time.monotonic()
    try:
        while cancelled is None or not cancelled.is_set():
            try:
                report = reports.get(timeout=TICK_S)
            except queue.Empty:
                # Not the time in which this program stood still, and could hear nothing.
                silent_s += min(time.monotonic() - looked, 10 * TICK_S)
                looked = time.monotonic()
                if stall_s is not None and silent_s > stall_s:
                    raise UserError(f"{what} got stuck: nothing happened for {stall_s:g} s", otherwise) from None
                continue
            silent_s, looked = 0.0, time.monotonic()
            if isinstance(report, answer):
                return report
            if isinstance(report, Ended):
                raise UserError(f"{what} ended early: {report.told()}", otherwise)
            if isinstance(report, Failed):
                if report.kind == "exception":
                    raise UserError(f"{what} failed ({report.advice.what})", "please report this")
                raise UserError(report.advice.what, report.advice.todo)
            on_progress(report)
    finally:
        child.end()
    return None
