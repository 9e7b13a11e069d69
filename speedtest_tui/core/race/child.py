"""The child process: loads and runs one backend in its main thread and reports each step as a JSON line.

    python -m speedtest_tui.core.race.child          (an Assignment on stdin, then commands; events on stdout)

Commands:  {"command": "run", "kind": "warm-up" | "run", "index": i}      {"command": "close"}
Events:    ready · importing · imported(seconds) · loading · loaded(seconds, facts, peak_rss, device_memory) ·
           warming or run_started(index) · run_finished(kind, index, seconds, transcription, peak_rss, device_memory) ·
           memory(rss) · finished · failed(kind, message, hint)

The library's own prints must not mix with the events: file descriptor 1 is duplicated for the events alone and then
made to point where stderr goes. When stdin ends the parent is gone and so, at once, is this process with its group.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import Backend, BackendError, LoadOptions, Location, ModelSpec, RequiredFile, TranscribeOptions
from speedtest_tui.core.process.child import EventPipe, die_with_parent, read_commands

if TYPE_CHECKING:
    from backends.base import Samples


MEMORY_INTERVAL_S = 0.1


def watch_memory(pipe: EventPipe) -> None:
    """Send the resident set size in bytes every MEMORY_INTERVAL_S, for as long as the process lives."""
    import psutil

    process = psutil.Process()
    with contextlib.suppress(OSError):  # the parent closed its end: the reader of stdin ends the process
        while True:
            pipe.send("memory", rss=process.memory_info().rss)
            time.sleep(MEMORY_INTERVAL_S)


def peak_rss() -> int:
    """Largest resident set size of this process so far, in bytes.

    Linux keeps it per address space (VmHWM); its `ru_maxrss` would begin at the size of the parent that forked.
    """
    if sys.platform == "linux":
        with Path("/proc/self/status").open(encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory_facts(backend: Backend) -> dict[str, Any]:
    """What a step has cost in memory: the process's peak, and the device's own counters."""
    return {"peak_rss": peak_rss(), "device_memory": asdict(backend.device_memory())}


def read_spec(fields: dict[str, Any]) -> ModelSpec:
    """Rebuild a ModelSpec from JSON; a fallback is resolved by the parent and never sent."""
    files = tuple(RequiredFile(tuple(file["names"]), file["sha256"]) for file in fields["files"])
    return ModelSpec(**{**fields, "files": files, "fallback": None})


def read_location(fields: dict[str, Any]) -> Location:
    """Rebuild a Location from JSON."""
    return Location(**{**fields, "path": Path(fields["path"]) if fields["path"] else None})


def read_samples(descriptor: int) -> Samples:
    """A private, writable copy of the clip, shape (n,), float32."""
    import mmap

    import numpy as np

    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as shared:
        samples = np.frombuffer(shared, dtype="<f4").astype(np.float32)
    os.close(descriptor)
    return samples


def timed(action: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds that a call took, and what it returned."""
    begin = time.perf_counter()
    result = action(*arguments)
    return time.perf_counter() - begin, result


def load(pipe: EventPipe, backend: Backend, assignment: dict[str, Any]) -> None:
    """Import the library, then load the model; each timed on its own."""
    pipe.send("importing")
    seconds, _ = timed(backend.import_library)
    pipe.send("imported", seconds=seconds)
    pipe.send("loading")
    spec, location = read_spec(assignment["spec"]), read_location(assignment["location"])
    seconds, facts = timed(backend.load, spec, location, LoadOptions(**assignment["load_options"]))
    pipe.send("loaded", seconds=seconds, facts=asdict(facts), **memory_facts(backend))


def run(
    pipe: EventPipe, backend: Backend, samples: Samples, options: TranscribeOptions, command: dict[str, Any]
) -> None:
    """One transcription. The clock stops when the device has nothing left to do."""

    def transcribe() -> Any:
        result = backend.transcribe(samples, options)
        backend.synchronize()
        return result

    kind, index = command["kind"], command["index"]
    pipe.send("warming" if kind == "warm-up" else "run_started", index=index)
    seconds, transcription = timed(transcribe)
    pipe.send(
        "run_finished",
        kind=kind,
        index=index,
        seconds=seconds,
        transcription=asdict(transcription),
        **memory_facts(backend),
    )


def work(pipe: EventPipe, commands: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Carry out the assignment, then commands until `close`."""
    from backends.registry import create

    assignment = commands.get()
    samples = read_samples(assignment["clip_descriptor"])
    backend = create(assignment["reference"])
    pipe.send("ready")
    load(pipe, backend, assignment)
    options = TranscribeOptions(**assignment["transcribe_options"])
    while (command := commands.get())["command"] == "run":
        run(pipe, backend, samples, options, command)
    backend.close()
    pipe.send("finished")


def main() -> int:
    die_with_parent()
    pipe = EventPipe()
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=read_commands, args=(commands,), name="commands", daemon=True).start()
    threading.Thread(target=watch_memory, args=(pipe,), name="memory", daemon=True).start()
    try:
        work(pipe, commands)
    except BackendError as error:
        pipe.send("failed", kind=error.kind, message=error.message, hint=error.hint)
        return 1
    except MemoryError:
        pipe.send(
            "failed", kind="memory", message="ran out of memory", hint="close other programs or take a smaller size"
        )
        return 1
    except BaseException as error:
        import traceback

        traceback.print_exc()
        first_line = (str(error).strip().splitlines() or [""])[0]
        pipe.send("failed", kind="exception", message=f"{type(error).__name__}: {first_line}".rstrip(": "), hint="")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
