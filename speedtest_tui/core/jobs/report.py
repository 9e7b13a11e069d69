"""`doctor --report`: what a person who looks into a problem wants to know of a machine, as one block of plain text.

Nothing private is in it: no user, host or network name, the home folder as ~, no token, no name of a device, no text or
sound. Each probe that loads a library runs in a child with a limit.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import locale
import math
import os
import platform
import queue
import re
import resource
import shutil
import signal
import sys
import sysconfig
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from speedtest_tui import __version__
from speedtest_tui.core import conditions, darwin, disk, host, locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.jobs.report_child import Facts, Found, Probe
from speedtest_tui.core.process.lines import Message

if TYPE_CHECKING:
    from speedtest_tui.core.process.parent import Ended

    Reports = queue.SimpleQueue[Message | Ended]

M = TypeVar("M", bound=Message)

CHILD = "speedtest_tui.core.jobs.report_child"

LIMIT_S, WHOLE_S = 20.0, 28.0
"""For each probe, and for all of the report: what comes later is left out."""

LIVES_ON_S = 10.0
"""After it a child that has no program any more counts as left behind."""

NOBODY = ("root", "user", "admin", "runner", "localhost", "macbook", "home")
"""Names that say nothing of anybody."""

PACKAGES = (
    "mlx", "mlx-metal", "mlx-whisper", "parakeet-mlx", "whisper-mps", "torch", "transformers", "numpy", "pocketsphinx",
    "av", "sounddevice", "soxr", "textual", "huggingface_hub",
)  # fmt: skip

SYSCTLS = (
    "hw.model", "machdep.cpu.brand_string", "hw.memsize", "hw.perflevel0.physicalcpu", "hw.perflevel1.physicalcpu",
    "sysctl.proc_translated", "iogpu.wired_limit_mb", "vm.swapusage", "kern.memorystatus_vm_pressure_level",
)  # fmt: skip


def sections(*, microphone: bool = False) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Title and facts of each section, as soon as it is known. microphone: open it for a second."""
    end = time.monotonic() + WHOLE_S

    def probed(name: str) -> list[tuple[str, str]]:
        left = min(LIMIT_S, end - time.monotonic())
        if left < 1:
            return [("", f"left out: the report's {WHOLE_S:g} s were over")]
        return _private(functools.partial(PARTS.get(name) or functools.partial(_probed, name), limit_s=left))

    for title, gather in (
        ("system", _system), ("python", _python), ("packages", _packages), ("terminal", _terminal),
        ("folders", _folders), ("last race", _last_race), ("crash reports", _crashes),
    ):  # fmt: skip
        yield title, _private(gather)
    for title, name in (("mlx", "mlx"), ("torch", "torch")):
        installed = _version(title) is not None
        yield title, probed(name) if installed else [("", "not installed")]
    yield "lifeline", probed("lifeline")
    yield "microphone", probed("microphone") + (probed("level") if microphone else [])


def text(*, microphone: bool = False) -> str:
    """The whole block."""
    lines = [f"speedtest-tui {__version__}"]
    for title, facts in sections(microphone=microphone):
        lines += [f"[{title}]", *(f"{name}: {value}" if name else value for name, value in facts)]
    return "\n".join(lines)


def _private(gather: Callable[[], Facts]) -> list[tuple[str, str]]:
    """The facts without the home folder's name, one line each. What cannot be found out is said, and ends nothing."""
    found: list[tuple[str, str]] = []
    try:
        names = owners()
        found.extend((name, anonymous(value, names)) for name, value in gather())
    except UserError as error:
        found.append(("", error.advice.what))
    except Exception as error:
        found.append(("", f"cannot be found out ({type(error).__name__})"))
    return found


def anonymous(text: str, names: Iterable[str]) -> str:
    """A text on one line, without the home folder and these names."""
    home, user = str(Path.home()), Path.home().name
    text = text.replace(home, "~") if len(home) > 1 else text
    text = text.replace(f"/{user}/", "/~/") if len(user) > 2 else text
    return one_line(without_names(text, names))


def owners() -> tuple[str, ...]:
    """What this machine and its user are called, the parts of a full name among them; the longest first."""
    import pwd

    found = {Path.home().name, platform.node(), *platform.node().split(".")[:1]}
    with contextlib.suppress(KeyError):
        one = pwd.getpwuid(os.getuid())
        found |= {one.pw_name, *one.pw_gecos.split(",")[0].split()}
    return tuple(
        sorted((name for name in found if len(name) > 2 and name.lower() not in NOBODY), key=len, reverse=True)
    )


def without_names(text: str, names: Iterable[str]) -> str:
    """A text with each name as a word of its own taken out, in whatever case and spelling of accents."""
    for name in names:
        for form in {name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}:
            text = re.sub(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", "~", text, flags=re.IGNORECASE)
    return text


def _system() -> Facts:
    machine = host.describe()
    yield "machine", machine.sentence()
    yield "cores", machine.cores_words
    if sys.platform == "darwin":
        versions, values, limits = host.answers(
            ("/usr/bin/sw_vers",), ("/usr/sbin/sysctl", *SYSCTLS), ("/usr/bin/pmset", "-g", "therm")
        )
        for line in (*versions.splitlines(), *values.splitlines(), *limits.splitlines()):
            name, _, value = line.partition(":")
            if value.strip():
                yield name.strip(), value.strip()
    else:
        yield "kernel", platform.release()
        yield "C library", " ".join(platform.libc_ver())
    yield "conditions", conditions.read().sentence or "unknown"
    yield "load", " ".join(f"{value:.2f}" for value in os.getloadavg())
    with contextlib.suppress(Exception):
        import psutil

        yield "up", f"{(time.time() - psutil.boot_time()) / 3600:.1f} h"
        yield "swap", f"{psutil.swap_memory().used / 1e9:.1f} GB used"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield "open files", f"{soft} of {hard}"


def _python() -> Facts:
    yield "python", f"{platform.python_version()} {platform.python_implementation()} {platform.machine()}"
    yield "build", " ".join(platform.python_build())
    yield "executable", sys.executable
    yield "framework", str(sysconfig.get_config_var("PYTHONFRAMEWORK") or "no")
    yield "environment", "virtual" if sys.prefix != sys.base_prefix else "none"
    for name in ("python3", "ffmpeg", "speedtest-tui"):
        there = [shutil.which(name, path=folder) for folder in os.get_exec_path()]
        yield f"{name} on PATH", ", ".join(filter(None, dict.fromkeys(there))) or "none"


def _version(name: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return None


def _packages() -> Facts:
    for name in PACKAGES:
        if version := _version(name):
            wheel = importlib.metadata.distribution(name).read_text("WHEEL") or ""
            tags = [line.partition(": ")[2] for line in wheel.splitlines() if line.startswith("Tag")]
            yield name, f"{version} {' '.join(tags[:1])}".strip()
        else:
            yield name, "not installed"


def _terminal() -> Facts:
    for name in ("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "NO_COLOR", "LANG", "LC_ALL"):
        if value := os.environ.get(name):
            yield name, value
    yield "tmux", "yes" if "TMUX" in os.environ else "no"
    size = shutil.get_terminal_size((0, 0))
    yield "size", f"{size.columns}x{size.lines}" if size.columns else "no terminal"
    yield "encoding", f"{locale.getpreferredencoding(False)}, output {sys.stdout.encoding}"


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on, "apfs", "ext4"."""
    import psutil

    real = Path(os.path.realpath(folder))
    mounted = [one for one in psutil.disk_partitions(all=True) if real.is_relative_to(one.mountpoint)]
    return max(mounted, key=lambda one: len(one.mountpoint)).fstype if mounted else "unknown file system"


def _folders() -> Facts:
    for name, path in (
        ("HF cache", locations.hf_cache()), ("local cache", locations.local_cache()),
        ("whisper cache", locations.whisper_cache()), ("sessions", locations.sessions_folder()),
    ):  # fmt: skip
        nearest = locations.existing_parent(path)
        facts = [str(path), "there" if disk.is_folder(path) else "not there"]
        facts.append(f"{(disk.free(nearest) or 0) / 1e9:.1f} GB free")
        facts.append(file_system(nearest))
        if any(part.is_symlink() for part in (path, *path.parents)):
            facts.append("behind a link")
        if "Mobile Documents" in path.parts or "com~apple~CloudDocs" in str(path):
            facts.append("in iCloud")
        if nearest.is_dir() and Path(str(nearest).swapcase()).exists():
            facts.append("case is ignored")
        yield name, ", ".join(facts)


def _last_race() -> Facts:
    from speedtest_tui.core.sessions import store

    try:
        document = store.find("last").document
    except UserError:
        yield "", "none is kept"
        return
    yield "race", f"{document.program}, {document.state}, {document.clip.seconds:.1f} s, {document.plan.order_words}"
    for result in document.ordered:
        times = " ".join(f"{run:.3f}" for run in result.runs_s[:20])
        model = f"{result.model.dtype}" if result.model else ""
        facts = (result.status, result.device or "", model, times and f"runs {times} s", *result.warnings)
        yield result.candidate, ", ".join(fact for fact in facts if fact)
    for note in document.notes:
        yield "note", note


def _crashes() -> Facts:
    folder = Path.home() / "Library/Logs/DiagnosticReports"
    there = folder.glob("[Pp]ython*.ips") if sys.platform == "darwin" and folder.is_dir() else ()
    found = sorted(there, key=lambda path: path.stat().st_mtime)[-1:]
    if not found:
        yield "", "none" if sys.platform == "darwin" else "not on this system"
    for report in found:
        with disk.opened_plain(report) as file:
            head = file.read(1 << 24).decode(errors="replace")
        kinds = [line.strip().strip(",") for line in head.splitlines() if '"exception"' in line]
        yield report.name.split("-")[0], (kinds or ["unknown exception"])[0][:120]


def _probed(name: str, limit_s: float = LIMIT_S) -> Facts:
    from speedtest_tui.core.process.parent import ask

    answer = ask(CHILD, Probe(name), Found, f"the probe of {name}", stall_s=limit_s)
    yield from answer.facts if answer else ()


def lifeline_s(limit_s: float, stop: threading.Event) -> float:
    """Kill a process whose child holds the interpreter lock; how long that child lives on, infinite above LIVES_ON_S.

    Raises UserError where neither could be started within the limit, or it was stopped.
    """
    import psutil

    from speedtest_tui.core.process.parent import Child

    reports: Reports = queue.SimpleQueue()
    parent = Child(CHILD, Probe("parent"), (Found,), reports.put)
    try:
        pid = int(next_of(reports, Found, limit_s, stop).facts[0][1])
        child = psutil.Process(pid)
        os.kill(parent.pid or pid, signal.SIGKILL)
        started = time.monotonic()
        with contextlib.suppress(psutil.NoSuchProcess):
            while child.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() - started > LIVES_ON_S or stop.wait(0.02):
                    return math.inf
        return time.monotonic() - started
    finally:
        parent.end()


def next_of(reports: Reports, kind: type[M], limit_s: float, stop: threading.Event) -> M:
    """The next thing that a child says. Raises UserError where it says something else, or nothing in time."""
    from speedtest_tui.core.process.parent import Ended

    end = time.monotonic() + limit_s
    while time.monotonic() < end and not stop.is_set():
        with contextlib.suppress(queue.Empty):
            report = reports.get(timeout=0.1)
            if isinstance(report, kind):
                return report
            why = report.told() if isinstance(report, Ended) else getattr(report, "advice", report)
            raise UserError(f"its child ended early: {why}", "try again")
    raise UserError(f"no answer within {limit_s:.0f} s", "try again")


def _lifeline(limit_s: float = LIMIT_S) -> Facts:
    lived = lifeline_s(limit_s, threading.Event())
    verdict = "STILL THERE" if math.isinf(lived) else "gone"
    yield "a child that holds the interpreter lock", f"{verdict} after {min(lived, LIVES_ON_S):.1f} s"


def _microphone(limit_s: float = LIMIT_S) -> Facts:
    from speedtest_tui.core.audio.devices import scan_devices

    if sys.platform == "darwin":
        yield "permission", darwin.microphone_permission() or "unknown"
    late = threading.Event()
    timer = threading.Timer(limit_s, late.set)
    timer.daemon = True
    timer.start()
    found = scan_devices(late)
    timer.cancel()
    if found.advice:
        yield "", found.advice.what
    for number, device in enumerate(found.devices, 1):
        default = ", default" if device.is_default else ""
        yield f"device {number}", f"{device.channels} channels, {device.rate:g} Hz, {device.host_api}{default}"


PARTS: dict[str, Callable[..., Facts]] = {"lifeline": _lifeline, "microphone": _microphone}
