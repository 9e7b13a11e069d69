"""The child process: loads and runs one backend in its main thread and reports each step.

    python -m speedtest_tui.core.race.child          (an Assignment on stdin, then commands; messages on stdout)

See `core.race.events` for both, and `core.process.child` for how it begins and ends.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE, Backend, LoadOptions, Location, ModelSpec, RequiredFile, TranscribeOptions
from speedtest_tui.core import darwin
from speedtest_tui.core.process.child import Parent, read_samples, serve
from speedtest_tui.core.race.events import PULSE_S, Entered, Imported, ModelLoaded, Transcribed

if TYPE_CHECKING:
    from backends.base import Samples


def peak_rss() -> int:
    """Largest resident set size of this process so far, in bytes.

    Linux keeps it per address space (VmHWM); its `ru_maxrss` would begin at the size of the parent that forked.
    """
    with suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_footprint() -> int | None:
    """The same as macOS counts it, GPU memory and what is compressed among it; None elsewhere."""
    found = darwin.usage(os.getpid())
    return found.peak_footprint if found else None


def observed(backend: Backend) -> tuple[tuple[str, str], ...]:
    """What an Observant backend says of its device. It is a look beside, which never costs the row."""
    with suppress(Exception):
        return tuple((str(name), str(value)) for name, value in getattr(backend, "observed", tuple)())
    return ()


def read_spec(fields: dict[str, Any]) -> ModelSpec:
    """Rebuild a ModelSpec from JSON; a fallback is resolved by the parent and never sent."""
    files = tuple(RequiredFile(tuple(file["names"]), file["sha256"]) for file in fields["files"])
    return ModelSpec(**{**fields, "files": files, "fallback": None})


def read_location(fields: dict[str, Any]) -> Location:
    """Rebuild a Location from JSON."""
    return Location(**{**fields, "path": Path(fields["path"]) if fields["path"] else None})


def timed(action: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds that a call took, and what it returned."""
    begin = time.perf_counter()
    result = action(*arguments)
    return time.perf_counter() - begin, result


def load(parent: Parent, backend: Backend) -> None:
    """Import the library, then load the model; each timed on its own."""
    parent.send(Entered("importing"))
    seconds, _ = timed(backend.import_library)
    parent.send(Imported(seconds))
    parent.send(Entered("loading"))
    spec, location = read_spec(parent.order["spec"]), read_location(parent.order["location"])
    seconds, facts = timed(backend.load, spec, location, LoadOptions(**parent.order["load_options"]))
    # For the record only, and so whatever a backend had at hand.
    facts = replace(facts, options=tuple((str(name), str(value)) for name, value in facts.options))
    parent.send(ModelLoaded(seconds, facts, peak_rss(), backend.device_memory(), peak_footprint()))


def run(parent: Parent, backend: Backend, samples: Samples, options: TranscribeOptions, command: Any) -> None:
    """One transcription. The clock stops when the device has nothing left to do."""

    def transcribe(clip: Samples) -> Any:
        result = backend.transcribe(clip, options)
        backend.synchronize()
        return result

    kind, index = command["kind"], command["index"]
    if command["pulse"]:
        parent.send(Entered("warming"))
        transcribe(samples[: PULSE_S * SAMPLE_RATE].copy())
    parent.send(Entered("warming" if kind == "warm-up" else "running"))
    seconds, transcription = timed(transcribe, samples)
    if (reported_s := getattr(transcription, "reported_s", None)) is not None:
        seconds = min(seconds, reported_s)  # no work takes longer than all of it
    memory = peak_rss(), backend.device_memory(), peak_footprint()
    facts = observed(backend) if (kind, index) == ("warm-up", 0) else ()
    parent.send(Transcribed(kind, index, seconds, transcription, *memory, facts))


def work(parent: Parent) -> None:
    """Carry out the assignment, then commands until one that asks for nothing."""
    from backends.registry import create

    darwin.ask_for_fast_cores()
    commands = parent.commands()
    descriptor = parent.order["clip_descriptor"]
    samples = read_samples(descriptor)
    backend = create(parent.order["reference"])
    parent.send(Entered("starting"))
    load(parent, backend)
    options = TranscribeOptions(**parent.order["transcribe_options"])
    while command := commands.get():
        if command["clip"]:
            samples = read_samples(descriptor, *command["clip"])
        run(parent, backend, samples, options, command)
    backend.close()
    parent.send(Entered("ended"))


if __name__ == "__main__":
    serve(work)
