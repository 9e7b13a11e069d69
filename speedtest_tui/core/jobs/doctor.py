"""What `doctor` finds: the machine, the backends' libraries, the microphones, the folders, and what is wrong with them.

found = examine()
found.problems(); found.to_json()
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any

from backends.base import Advice, BackendEntry, BackendError
from backends.catalogue import SIZES
from backends.registry import create, default_backends, entries
from speedtest_tui import __version__
from speedtest_tui.core import darwin, disk, host, locations
from speedtest_tui.core.audio.devices import DeviceReport, input_devices
from speedtest_tui.core.audio.recording import refusal
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.sizes import broken, candidates

NOTHING = Advice("")


@dataclass(frozen=True)
class BackendCheck:
    """One backend: whether it can run, the sizes whose model is here, whether it must be named to take part."""

    name: str
    provider: str
    ok: bool
    version: str = ""
    device: str = ""
    advice: Advice = NOTHING
    sizes: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class CacheCheck:
    """One cache folder. `free_bytes` is the space left on the disk that holds it or would hold it."""

    name: str
    path: str
    exists: bool
    writable: bool
    free_bytes: int


@dataclass(frozen=True)
class Installation:
    """Everything that `doctor` examines. permission: to use the microphone, where the system says."""

    program: str
    host: host.Host
    backends: tuple[BackendCheck, ...]
    microphones: DeviceReport
    caches: tuple[CacheCheck, ...]
    permission: darwin.Permission | None = None

    def problems(self) -> tuple[str, ...]:
        """One line each: the thing and what is wrong with it, then what to do."""
        found = [f"{backend.name}: {backend.advice}" for backend in self.backends if not backend.ok]
        if self.microphones.advice:
            found.append(str(self.microphones.advice))
        if refused := refusal(self.permission, os.environ):
            found.append(str(refused))
        found += [f"{c.path} is not writable: change its permissions" for c in self.caches if not c.writable]
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            **asdict(self),
            "backends": [plain(backend) for backend in self.backends],
            "microphones": self.microphones.to_json(),
            "problems": list(self.problems()),
        }


def examine() -> Installation:
    """Examine everything; imports no machine-learning library and uses no network."""
    return Installation(
        program=f"speedtest-tui {__version__}",
        host=host.describe(),
        backends=tuple(map(_backend, default_backends(entries()))),
        microphones=input_devices(),
        caches=_caches(),
        permission=darwin.microphone_permission(),
    )


def backends() -> tuple[BackendCheck, ...]:
    """All of them, those included that race only where they are named."""
    return tuple(map(_backend, entries()))


def _backend(entry: BackendEntry) -> BackendCheck:
    about = BackendCheck(entry.name, entry.provider, False, optional=entry.optional)
    try:
        backend = create(entry.reference)
        availability = backend.availability()
    except BackendError as error:
        return replace(about, advice=Advice(f"cannot run ({error.message})", error.hint))
    except Exception as error:
        return replace(about, advice=broken(error).advice)
    names = dict.fromkeys((*SIZES, *getattr(backend, "models", ())))
    asked = (one for size in names for one in candidates((entry,), size))
    there = {size for report in inspect_models(asked) if report.usable for size in report.sizes}
    return replace(
        about,
        ok=availability.ok,
        version=availability.version,
        device=availability.device,
        advice=NOTHING if availability.ok else Advice("not installed", availability.fix),
        sizes=tuple(size for size in names if size in there),
    )


def plain(backend: BackendCheck) -> dict[str, Any]:
    """The same for JSON."""
    return {**asdict(backend), "advice": str(backend.advice), "fix": backend.advice.todo}


def _caches() -> tuple[CacheCheck, ...]:
    places = (
        ("HF", locations.hf_cache()),
        ("local", locations.local_cache()),
        ("whisper", locations.whisper_cache()),
        ("sessions", locations.sessions_folder()),
    )
    checks = []
    for name, path in places:
        nearest = locations.existing_parent(path)
        free = disk.free(nearest) or 0
        checks.append(CacheCheck(name, str(path), disk.is_folder(path), os.access(nearest, os.W_OK), free))
    return tuple(checks)
