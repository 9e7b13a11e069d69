"""Download from the local hub: throughput of one stream against curl's, and what being killed costs in bytes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.caches_hash import fill
from bench.caches_hub import (
    PATIENCE_S,
    REPOSITORY,
    WEIGHTS,
    hub_module,
    load_ballast,
    request,
    serving,
    serving_apart,
    transfers,
)
from bench.report import Line, in_turns
from speedtest_tui.core.download.incoming import BUFFER_BYTES
from speedtest_tui.core.download.queue import Downloads
from speedtest_tui.core.download.request import DownloadRow
from speedtest_tui.core.race.statistics import ratio_interval

THROUGHPUT = 0.8
KILLS = 10
RESUMED_BYTES = 8 << 20
RATE = 1_500_000
"""Bytes a second while it is killed: what the system itself holds between server and client stays below a chunk."""

ON_ITS_WAY_S = 0.05
"""The slowed server sends in steps of this length."""

SEED = 4


def by_us(folder: Path, size: int) -> Callable[[], float]:
    """An action: download into an empty cache; seconds from before the file is asked for until it is published.

    Raises RuntimeError.
    """

    def action() -> float:
        marks: dict[str, float] = {}
        load_ballast(folder, size)

        def listen(rows: tuple[DownloadRow, ...]) -> None:
            if rows[0].state == "downloading" and rows[0].file == WEIGHTS:
                marks.setdefault("begin", time.perf_counter())
            if rows[0].state == "done":
                marks["end"] = time.perf_counter()

        downloads = Downloads(listen)
        try:
            downloads.add(request(folder / "cache"))
            downloads.join(PATIENCE_S)
            if "end" not in marks:
                raise RuntimeError(f"the download failed: {downloads.rows[0].advice}")
            return marks["end"] - marks["begin"]
        finally:
            downloads.cancel_all()
            downloads.join()
            shutil.rmtree(folder / "cache", ignore_errors=True)

    return action


def by_curl(url: str, folder: Path, size: int, verified: bool = False) -> Callable[[], float]:
    """An action: download the same with curl; seconds from the first byte to the last, as curl itself says.

    verified: with sha256sum and fsync, which ours includes
    """
    program = shutil.which("curl")
    if program is None:
        raise RuntimeError("curl is not here: install it")
    target = folder / "by-curl"
    address = f"{url}/{REPOSITORY}/resolve/main/{WEIGHTS}"
    command = [program, "--silent", "--fail", "--location", "--noproxy", "*", "--output", str(target)]
    command += ["--write-out", "%{time_total} %{time_starttransfer}", address]

    def action() -> float:
        load_ballast(folder, size)
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
            total, first = map(float, done.stdout.split())
            begin = time.perf_counter()
            if verified:
                subprocess.run(["sha256sum", str(target)], check=True, stdout=subprocess.DEVNULL)
                with target.open("rb") as file:
                    os.fsync(file.fileno())
            return total - first + time.perf_counter() - begin
        finally:
            target.unlink(missing_ok=True)

    return action


def second(action: Callable[[], float]) -> Callable[[], float]:
    """An action: do it twice and return the seconds of the second time, which finds memory as its like has left it."""

    def both() -> float:
        action()
        return action()

    return both


def throughput_line(folder: Path, size: int, rounds: int) -> Line:
    """Download a file of `size` bytes in turns; its place and both targets are on the same disk.

    The fastest of each are compared, as timeit advises: what else the machine does can only add time, and where its
    memory has to be asked for from a host, the processor time of the same writes was seen to be 0.07 to 0.65 s.
    """
    source = folder / "source"
    fill(source, size)
    try:
        with serving_apart(source, folder) as url:
            actions = by_us(folder, size), by_curl(url, folder, size), by_curl(url, folder, size, verified=True)
            mine, floor, verified = in_turns(rounds, *map(second, actions))
    finally:
        source.unlink()
    ratio = ratio_interval(floor, mine)
    interval = f" [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
    return Line(
        what=f"download of {size >> 20} MiB / curl, fastest of {rounds}",
        measured=f"{size / min(mine) / 1e6:,.0f} MB/s",
        floor=f"{size / min(floor) / 1e6:,.0f} MB/s",
        result=min(floor) / min(mine),
        low=THROUGHPUT,
        form="{:.2f}",
        note=f"of medians {median(floor) / median(mine):.2f}{interval}; "
        f"of curl + sha256sum + fsync {min(verified) / min(mine):.2f}",
    )


def resume_line(folder: Path, kills: int) -> Line:
    """Kill -9 a download at random points of its flight and continue it; bytes that were sent more than once."""
    child = hub_module("child")
    source, root = folder / "source", folder / "resumed"
    fill(source, RESUMED_BYTES)
    points = sorted(random.Random(SEED).sample(range(1, RESUMED_BYTES), kills))
    try:
        with serving(folder, source) as hub:
            hub.misbehave("/lfs/*", hub_module("misbehaviour").Slow(RATE))
            for point in points:
                process = child.start(request(root))
                arrived = hub.wait(lambda hub, point=point: reached(hub) >= point, PATIENCE_S)
                process.kill()
                child.finish(process)
                if not arrived:
                    raise RuntimeError(f"the download did not come as far as byte {point:,}")
                hub.wait(lambda hub: all(entry.ended for entry in transfers(hub)))
            hub.behave()
            last = child.finish(child.start(request(root)))
            if last.get("event") != "Finished":
                raise RuntimeError(f"the last download failed: {last}")
            log = transfers(hub)
    finally:
        source.unlink()
        shutil.rmtree(root, ignore_errors=True)
    starts = [entry.start for entry in log] + [RESUMED_BYTES]
    twice = [entry.sent - (end - entry.start) for entry, end in zip(log, starts[1:], strict=True)]
    return Line(
        what=f"kill -9 at {kills} points, resumed: sent twice for one kill",
        measured=f"{sum(entry.sent for entry in log) / 1e6:.2f} MB",
        floor=f"{RESUMED_BYTES / 1e6:.2f} MB",
        result=max(twice) / 1024,
        # A buffer that is not written yet, and what the slowed server had on its way at that moment.
        high=(BUFFER_BYTES + RATE * ON_ITS_WAY_S) / 1024,
        form="{:.0f} KiB",
        note=f"at most, median {median(twice[:-1]) / 1024:.0f}",
    )


def reached(hub: Any) -> int:
    """Up to which byte of the file the newest transfer has been sent; 0 before the first."""
    log = transfers(hub)
    return log[-1].start + log[-1].sent if log else 0
