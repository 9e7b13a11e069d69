"""What `doctor` finds: the machine, the backends' libraries, the microphones, the folders, and what is wrong with them.

found = examine()
found.problems(); found.to_json()
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
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
    """One backend: whether it can run, and the sizes whose model is on this machine."""

    name: str
    provider: str
    ok: bool
    version: str = ""
    device: str = ""
    advice: Advice = NOTHING
    sizes: tuple[str, ...] = ()


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
            "backends": [_plain(backend) for backend in self.backends],
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


def _backend(entry: BackendEntry) -> BackendCheck:
    try:
        availability = create(entry.reference).availability()
    except BackendError as error:
        advice = Advice(f"cannot run ({error.message})", error.hint)
        return BackendCheck(entry.name, entry.provider, False, advice=advice)
    except Exception as error:
        return BackendCheck(entry.name, entry.provider, False, advice=broken(error).advice)
    asked = (one for size in SIZES for one in candidates((entry,), size))
    there = {size for report in inspect_models(asked) if report.usable for size in report.sizes}
    return BackendCheck(
        entry.name,
        entry.provider,
        availability.ok,
        availability.version,
        availability.device,
        NOTHING if availability.ok else Advice("not installed", availability.fix),
        tuple(size for size in SIZES if size in there),
    )


def _plain(backend: BackendCheck) -> dict[str, Any]:
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
