"""`doctor --selftest`: what a program can find out about a machine by doing it, step after step, each within a limit.

A step is a function in a thread of its own, and what may hang for good is in a child of that. It returns its figures,
or raises `Skipped`, or `Wrong` where the machine does not do what the program relies on. It looks at its event, and
ends soon after that is set.
"""

from __future__ import annotations

import math
import os
import queue
import re
import select
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core import darwin, host, locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import PAIRS
from speedtest_tui.core.jobs.report import CHILD, anonymous, lifeline_s, next_of, owners
from speedtest_tui.core.jobs.report_child import Measured, Probe

if TYPE_CHECKING:
    from speedtest_tui.core.jobs.report import Reports

AGAIN_S = 2.0
"""A second Ctrl-C within it ends all."""

GRACE_S = 5.0
"""How long a step may take to end its children once its time is over; then it is left alone."""

GONE_S, OFF_S, SLOWER, TAKEN_BYTES, SHARE, FREE_FILES, ANSWER_S = 2.0, 0.02, 1.5, 200_000_000, 0.1, 32, 2.0
"""What is asked for: an orphan's end, clocks that agree over a second, a run after a pulse against a hot one, memory
that is taken and how exactly it is told, descriptors that a race of six backends needs, a terminal's answers."""

LISTED_S = 5.0
"""Until the system lists what has just begun to keep it awake."""

SYSTEMS = {"darwin": "macOS"}

Stop = threading.Event


class Skipped(Exception):
    """Why a step has nothing to say here."""


class Wrong(Exception):
    """What the machine does not do."""


@dataclass(frozen=True)
class Step:
    """only_on: a value of sys.platform; eyes: what people have to look at themselves"""

    name: str
    test: Callable[[Stop], str]
    limit_s: float
    only_on: str = ""
    eyes: str = ""


@dataclass(frozen=True)
class Result:
    """What became of a step; `figures` are words for people, and say why where it is not ok."""

    name: str
    state: Literal["ok", "failed", "timeout", "skipped", "cancelled"]
    figures: str
    seconds: float = 0.0
    eyes: str = ""

    @property
    def bad(self) -> bool:
        return self.state in ("failed", "timeout")


class Selftest:
    """Iterate over `results`. `interrupt`, which a signal's handler may call, ends the step that runs, or all."""

    def __init__(self, steps: Sequence[Step] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._steps = steps or STEPS
        self._clock, self._interrupted = clock, -math.inf
        self._stop = Stop()
        self.ended = False

    def interrupt(self) -> None:
        now = self._clock()
        self.ended = self.ended or now - self._interrupted <= AGAIN_S
        self._interrupted = now
        self._stop.set()

    def results(self, begun: Callable[[Step], None] = lambda _: None) -> Iterator[Result]:
        """One for each step; those that come after the end of all are cancelled, too."""
        names = owners()
        for step in self._steps:
            if self.ended:
                yield Result(step.name, "cancelled", "not begun", eyes=step.eyes)
                continue
            begun(step)
            started = time.monotonic()
            state, figures = self._carry_out(step)
            yield Result(step.name, state, anonymous(figures, names), time.monotonic() - started, step.eyes)

    def _carry_out(self, step: Step) -> tuple[Literal["ok", "failed", "timeout", "skipped", "cancelled"], str]:
        if step.only_on not in ("", sys.platform):
            return "skipped", f"only on {SYSTEMS[step.only_on]}"
        stop = self._stop = Stop()
        found: list[tuple[Literal["ok", "failed", "skipped"], str]] = []

        def work() -> None:
            try:
                found.append(("ok", step.test(stop)))
            except Skipped as why:
                found.append(("skipped", str(why)))
            except (Wrong, UserError) as error:
                found.append(("failed", str(error)))
            except Exception as error:
                found.append(("failed", f"{type(error).__name__}: {error}"))

        thread = threading.Thread(target=work, name=step.name, daemon=True)
        end = time.monotonic() + step.limit_s
        thread.start()
        while thread.is_alive() and not stop.is_set() and time.monotonic() < end:
            thread.join(0.05)
        if found and not stop.is_set():
            return found[0]
        state: Literal["timeout", "cancelled"] = "cancelled" if stop.is_set() else "timeout"
        stop.set()
        thread.join(GRACE_S)
        return state, "ended by Ctrl-C" if state == "cancelled" else f"not done within {step.limit_s:g} s"


def _lifeline(stop: Stop) -> str:
    lived = lifeline_s(20.0, stop)
    if lived > GONE_S:
        raise Wrong("a child outlives the program, which was killed while the child held the interpreter lock")
    return f"a child that holds the interpreter lock is gone {lived:.1f} s after the program was killed"


def _wiring(stop: Stop) -> str:
    from speedtest_tui.core.process.parent import ask

    found = ask(CHILD, Probe("wiring"), Measured, "the measurement of the GPU", stop)
    hot, idle, pulse = (found.figures[name] for name in ("hot", "idle", "pulse")) if found else (0.0, 0.0, 0.0)
    words = f"hot {hot * 1e3:.1f} ms, after 2 s idle {idle * 1e3:.1f} ms, after a pulse {pulse * 1e3:.1f} ms"
    if pulse > SLOWER * hot:
        raise Wrong(f"a pulse does not warm up: {words}")
    return words


def _clocks() -> list[float]:
    """Monotonic, processing and wall clock, and the time asleep, read within a millisecond of each other."""
    from speedtest_tui.core.race.watch import slept

    for _ in range(1000):
        found = [time.monotonic(), time.perf_counter(), time.time(), slept()]
        if time.monotonic() - found[0] < 0.001:
            return found
    raise Skipped("the machine is too busy to read two clocks together")


def _clock(stop: Stop) -> str:
    before = _clocks()
    stop.wait(1.0)
    took, exact, wall, asleep = (round(now - then, 4) + 0 for now, then in zip(_clocks(), before, strict=True))
    words = f"in {took:.3f} s: timing {exact - took:.4f} s, wall {wall - took:.4f} s, asleep {asleep:.4f} s"
    if max(abs(exact - took), abs(wall - took), abs(asleep)) > OFF_S:
        raise Wrong(f"the clocks disagree {words}")
    return words


def _memory(stop: Stop) -> str:
    """What a child says of its own size and what is seen from here, before and after it takes TAKEN_BYTES."""
    from speedtest_tui.core.process.parent import Child

    reports: Reports = queue.SimpleQueue()
    child = Child(CHILD, Probe("memory"), (Measured,), reports.put)
    try:
        seen = []
        for _ in range(2):
            own = next_of(reports, Measured, 20.0, stop).figures["peak"]
            vitals = child.vitals()
            seen.append((own, vitals.memory if vitals else 0.0))
            child.send({"bytes": TAKEN_BYTES})
    finally:
        child.end()
    own, beside = (after - before for before, after in zip(*seen, strict=True))
    words = (
        f"of {TAKEN_BYTES / 1e6:.0f} MB taken, {own / 1e6:.0f} MB in its own figure, {beside / 1e6:.0f} MB from outside"
    )
    if max(abs(own - TAKEN_BYTES), abs(beside - TAKEN_BYTES)) > SHARE * TAKEN_BYTES:
        raise Wrong(f"memory is told wrongly: {words}")
    return words


def _permission(_: Stop) -> str:
    match darwin.microphone_permission():
        case "allowed":
            return "allowed"
        case "not-asked":
            raise Skipped("not asked yet: record once, then try again")
        case None:
            raise Wrong("the system does not say")
        case refused:
            raise UserError(refused, "allow it in System Settings, Privacy & Security, Microphone")


def _widths(terminal: int, glyphs: str, stop: Stop) -> Iterator[tuple[str, int]]:
    """How many cells a terminal moves on for each glyph, by where it says its cursor is; modes are restored."""
    import termios
    import tty

    if os.tcgetpgrp(terminal) != os.getpgrp():
        raise Skipped("the program runs in the background")
    modes = termios.tcgetattr(terminal)
    end = time.monotonic() + ANSWER_S
    try:
        tty.setcbreak(terminal)
        for glyph in glyphs:
            os.write(terminal, f"\r{glyph}\x1b[6n".encode())
            answer = b""
            while not (found := re.search(rb"\x1b\[\d+;(\d+)R", answer)):
                left = end - time.monotonic()
                if left <= 0 or stop.is_set():
                    raise Skipped("the terminal does not say where its cursor is")
                if select.select([terminal], [], [], min(left, 0.1))[0]:
                    answer += os.read(terminal, 64)
            yield glyph, int(found[1]) - 1
    finally:
        os.write(terminal, b"\r\x1b[K")
        termios.tcsetattr(terminal, termios.TCSAFLUSH, modes)


def _glyphs(stop: Stop) -> str:
    glyphs = "".join(PAIRS)
    shown = f"look whether these are in line: {glyphs}"
    if not sys.stdout.isatty():
        raise Skipped(f"no terminal; {shown}")
    if "utf" not in (sys.stdout.encoding or "").lower():
        raise Skipped("the terminal's encoding has ASCII only")
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise Skipped(f"no terminal of its own; {shown}") from None
    try:
        wide = [f"{glyph} takes {cells}" for glyph, cells in _widths(terminal, glyphs, stop) if cells != 1]
    except Skipped as why:
        raise Skipped(f"{why}; {shown}") from None
    finally:
        os.close(terminal)
    if wide:
        raise UserError(f"not one cell: {', '.join(wide)}", "use --ascii")
    return f"{len(glyphs)} glyphs take one cell each; {shown}"


def _descriptors(_: Stop) -> str:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    there = len(os.listdir("/dev/fd"))  # noqa: PTH208
    limits = ["unlimited" if value == resource.RLIM_INFINITY else f"{value}" for value in (soft, hard)]
    words = f"{there} open, limit {limits[0]} of {limits[1]}"
    if soft != resource.RLIM_INFINITY and soft - there < FREE_FILES:
        raise UserError(f"too few open files are allowed: {words}", "raise the limit, `ulimit -n 256`")
    return words


def _names(_: Stop) -> str:
    """Case, and two spellings of one letter, where sessions are kept. A file must be found by the name it was given."""
    nearest = locations.existing_parent(locations.sessions_folder())
    composed, apart = (unicodedata.normalize(form, "\N{LATIN SMALL LETTER E WITH ACUTE}") for form in ("NFC", "NFD"))
    with tempfile.TemporaryDirectory(prefix=".speedtest-selftest-", dir=nearest) as name:
        folder = Path(name)
        for one in ("Aa", composed):
            (folder / one).write_text(one, encoding="utf-8")
            if (folder / one).read_text(encoding="utf-8") != one:
                raise Wrong(f"a file is not found by its name {one!r}")
        listed = {path.name for path in folder.iterdir()}
        case = "ignored" if (folder / "aA").exists() else "kept apart"
        accents = "one name" if (folder / apart).exists() else "two names"
        kept = "as written" if composed in listed else "in another spelling"
        if {unicodedata.normalize("NFC", one) for one in listed} != {"Aa", composed}:
            raise Wrong("a folder lists other names than were written")
    return f"upper and lower case are {case}, two spellings of é are {accents}, kept {kept}"


def _temporary(stop: Stop) -> str:
    """A sound file is decoded, in a child, from behind a link in the temporary folder."""
    from speedtest_tui.core.audio.decode import load_clip

    place = Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="speedtest-selftest-") as name:
        (folder := Path(name) / "real").mkdir()
        (Path(name) / "link").symlink_to(folder)
        with as_file(files("backends") / "embedded" / "demo.flac") as demo:
            (folder / "demo.flac").write_bytes(demo.read_bytes())
        clip = load_clip(Path(name) / "link" / "demo.flac", cancelled=stop)
    links = f"is behind a link ({os.path.realpath(place)})" if Path(os.path.realpath(place)) != place else "is no link"
    return f"{place} {links}; {len(clip.samples) / 16_000:.1f} s of sound were decoded through one"


def _awake(stop: Stop, program: str = "", listed: Sequence[str] = ("/usr/bin/pmset", "-g", "assertions")) -> str:
    """Whether the system lists our caffeinate among what prevents sleep, for as long as it is to.

    `pmset -g assertions` has lines such as "pid 77(caffeinate): [0x01] 00:00:01 PreventUserIdleSystemSleep named: ...".
    """
    import psutil

    from speedtest_tui.core.process.background import awake

    def holders() -> set[int]:
        (text,) = host.answers(listed)
        return {int(pid) for pid in re.findall(r"pid (\d+)\(.*PreventUserIdleSystemSleep", text)}

    with awake(program):
        end, ours = time.monotonic() + LISTED_S, set[int]()
        while not ours and time.monotonic() < end and not stop.is_set():
            ours = holders() & {process.pid for process in psutil.Process().children()}
            stop.wait(0.1)
    if not ours:
        raise Wrong("the machine is not kept awake: `pmset -g assertions` does not list this program's caffeinate")
    if holders() & ours:
        raise Wrong("the machine is kept awake for too long")
    return "idle sleep is prevented while a job runs, and not after it"


def _race(stop: Stop) -> str:
    """Nano models on the demo clip, one run each; nothing is kept."""
    from backends.registry import default_backends, entries
    from speedtest_tui.core.audio.decode import demo_clip
    from speedtest_tui.core.models.sizes import candidates
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.core.race.supervisor import Race

    race = Race(Plan(candidates(default_backends(entries()), "nano"), runs=1), demo_clip())
    race.start()
    while not race.snapshot.ended:
        if stop.wait(0.1):
            race.cancel()
            race.join(GRACE_S)
            break
    rows = race.snapshot.rows
    words = [
        f"{row.label} {row.runs_s[0]:.3f} s on {row.loaded.device if row.loaded else None}"
        for row in rows
        if row.status == "ok"
    ]
    absent = [row.label for row in rows if row.status in ("unavailable", "missing-model")]
    words += [f"not installed: {', '.join(absent)}"] if absent else []
    failed = [row for row in rows if row.status != "ok" and row.label not in absent]
    words += [f"{row.label} {row.error.advice.what if row.error else row.status}" for row in failed]
    if failed or len(absent) == len(rows):
        raise Wrong("; ".join(words))
    return "; ".join(words)


STEPS = (
    Step("lifeline", _lifeline, 40),
    Step("GPU wiring", _wiring, 60, "darwin"),
    Step("clocks", _clock, 10),
    Step("memory", _memory, 45, eyes="Activity Monitor's memory beside ours, while a race runs"),
    Step("microphone", _permission, 10, "darwin", "permission asked for and refused; a plug pulled; AirPods"),
    Step("glyphs", _glyphs, 5, eyes="borders and glyphs in line, light and dark"),
    Step("open files", _descriptors, 5),
    Step("file names", _names, 10),
    Step("temporary folder", _temporary, 30),
    Step("kept awake", _awake, 20, "darwin", "a download goes on with the display asleep"),
    Step("nano race", _race, 300, eyes="a large model's times, interleaved and alone"),
)
