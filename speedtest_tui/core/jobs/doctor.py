"""What `doctor` finds: the machine, the libraries, the microphones, the caches, and what is to be mended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from backends.base import BackendEntry, BackendError
from backends.catalogue import SIZES
from backends.registry import create, default_backends, entries
from speedtest_tui import __version__
from speedtest_tui.core import disk, host, locations
from speedtest_tui.core.audio.devices import DeviceReport, input_devices
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.sizes import broken, candidates


@dataclass(frozen=True)
class BackendCheck:
    """One backend: whether its library is installed, and the sizes whose model is on this machine."""

    name: str
    provider: str
    ok: bool
    version: str
    device: str
    fix: str
    sizes: tuple[str, ...]


@dataclass(frozen=True)
class CacheCheck:
    """One cache folder. `free_bytes` is the space left on the disk that holds it or would hold it."""

    name: str
    path: str
    exists: bool
    writable: bool
    free_bytes: int


@dataclass(frozen=True)
class Checkup:
    """Everything that was looked at."""

    program: str
    host: host.Host
    backends: tuple[BackendCheck, ...]
    microphones: DeviceReport
    caches: tuple[CacheCheck, ...]

    def problems(self) -> tuple[str, ...]:
        """What to mend, one line each: the thing, then what to do."""
        found = [f"{b.name} is not installed: {b.fix}" for b in self.backends if not b.ok]
        if self.microphones.advice:
            found.append(str(self.microphones.advice))
        found += [f"{c.path} cannot be written: change its permissions" for c in self.caches if not c.writable]
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            **asdict(self),
            "microphones": self.microphones.to_json(),
            "problems": list(self.problems()),
        }


def examine() -> Checkup:
    """Look at everything; imports no machine-learning library and uses no network."""
    return Checkup(
        program=f"speedtest-tui {__version__}",
        host=host.describe(),
        backends=tuple(map(_backend, default_backends(entries()))),
        microphones=input_devices(),
        caches=_caches(),
    )


def _backend(entry: BackendEntry) -> BackendCheck:
    try:
        availability = create(entry.reference).availability()
    except BackendError as error:
        return BackendCheck(entry.name, entry.provider, False, "", "", f"{error.message}: {error.hint}", ())
    except Exception as error:
        return BackendCheck(entry.name, entry.provider, False, "", "", str(broken(error).advice), ())
    asked = (one for size in SIZES for one in candidates((entry,), size))
    there = {size for report in inspect_models(asked) if report.usable for size in report.sizes}
    return BackendCheck(
        entry.name,
        entry.provider,
        availability.ok,
        availability.version,
        availability.device,
        availability.fix,
        tuple(size for size in SIZES if size in there),
    )


def _caches() -> tuple[CacheCheck, ...]:
    import os

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
        checks.append(CacheCheck(name, str(path), path.is_dir(), os.access(nearest, os.W_OK), free))
    return tuple(checks)
