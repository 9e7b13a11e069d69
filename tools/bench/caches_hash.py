"""How fast files are hashed, against sha256sum: one on one core, and several on all cores against `xargs -P`."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.report import Line, in_turns
from speedtest_tui.core.models.hashes import HashJob, cores, hash_files
from speedtest_tui.core.race.statistics import ratio_interval

TARGET = 0.9
BLOCK = 1 << 16
PER_CORE = 3
"""Files for each core where all are busy."""


def fill(path: Path, size: int) -> None:
    """Write a file of `size` bytes, no two blocks of which are alike, and leave it in the system's cache."""
    block = bytearray(random.Random(1).randbytes(BLOCK))
    with path.open("wb") as file:
        for number in range(0, size, BLOCK):
            block[:8] = number.to_bytes(8, "little")
            file.write(block[: size - number])
        file.flush()
        # What is still to be written would be written while somebody is measured.
        os.fsync(file.fileno())


@contextmanager
def one_core() -> Iterator[bool]:
    """Keep this process and those it starts on one core; yields whether the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


def ours(paths: Sequence[Path], processor: list[float], digests: set[str]) -> Callable[[], float]:
    """An action: hash all files and return the seconds that it took. Raises RuntimeError."""

    def action() -> float:
        begin, used = time.perf_counter(), time.process_time()
        found = hash_files([HashJob(path) for path in paths], lambda _done, _total: None, threading.Event())
        taken = time.perf_counter() - begin
        processor.append(time.process_time() - used)
        for digest in found.values():
            if isinstance(digest, OSError):
                raise RuntimeError(f"a file could not be hashed: {digest}")
            digests.add(digest)
        return taken

    return action


def theirs(paths: Sequence[Path], at_once: int, processor: list[float], digests: set[str]) -> Callable[[], float]:
    """An action: the same with sha256sum, so many at once. Raises RuntimeError where there is none."""
    program = shutil.which("sha256sum")
    if program is None:
        raise RuntimeError("sha256sum is not here: install coreutils")
    many = ["xargs", "-0", "-n", "1", "-P", str(at_once), program]
    command = [program, str(paths[0])] if len(paths) == 1 else many
    names = b"\0".join(bytes(path) for path in paths)

    def action() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        said = subprocess.run(command, input=names, check=True, stdout=subprocess.PIPE).stdout
        taken = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
        digests.update(line.split()[0] for line in said.decode().splitlines())
        return taken

    return action


def compared(what: str, paths: Sequence[Path], at_once: int, rounds: int) -> Line:
    """Our throughput as a share of sha256sum's on the same files."""
    mine_processor: list[float] = []
    floor_processor: list[float] = []
    mine_found: set[str] = set()
    floor_found: set[str] = set()
    actions = ours(paths, mine_processor, mine_found), theirs(paths, at_once, floor_processor, floor_found)
    for action in actions:
        action()
    mine, floor = in_turns(rounds, *actions)
    if mine_found != floor_found:
        raise RuntimeError("the hashes are not those of sha256sum")
    total = sum(path.stat().st_size for path in paths)
    ratio = ratio_interval(floor, mine)
    interval = f"[{ratio.low:.2f}, {ratio.high:.2f}]; " if ratio else ""
    return Line(
        what=f"{what}, {rounds} times",
        measured=f"{total / median(mine) / 1e6:,.0f} MB/s",
        floor=f"{total / median(floor) / 1e6:,.0f} MB/s",
        result=median(floor) / median(mine),
        low=TARGET,
        form="{:.2f}",
        note=f"{interval}by processor time {median(floor_processor) / median(mine_processor):.2f}",
    )


def hash_lines(folder: Path, size: int, rounds: int) -> list[Line]:
    """Both comparisons. `size` is that of each file, in bytes; they are made in `folder` and removed."""
    count = cores()
    paths = [folder / f"weights-{number}" for number in range(PER_CORE * count)]
    try:
        for path in paths:
            fill(path, size)
        with one_core() as pinned:
            where = "on one core" if pinned else "alone"
            one = compared(f"hashing {size >> 20} MiB / sha256sum, {where}", paths[:1], 1, rounds)
        files = f"{len(paths)} files of {size >> 20} MiB"
        return [one, compared(f"hashing {files} / xargs -P {count} sha256sum", paths, count, rounds)]
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
