"""One probe of `doctor --report` or `--selftest` in a process of its own: `python -m` this module, its name.

Events: found(facts) · measured(figures) · failed(message, hint). A probe loads a library that may hang, crash
or be missing: that costs its own lines of the report.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from speedtest_tui.core.process.child import Parent, serve
from speedtest_tui.core.process.lines import Message

SIDE = 512
"""Of the square matrices that are multiplied: enough for a GPU to be used, and some milliseconds on any processor."""

IDLE_S = 2.0
"""After it macOS 26 has taken GPU memory that nobody uses off its wired list, and clocks have gone down."""

WEIGHTS_BYTES = 1 << 29
"""About those of a model whose re-wiring would show."""


@dataclass(frozen=True)
class Probe:
    name: str


@dataclass(frozen=True)
class Found(Message):
    """What was found, in order: what it is and its value, for people."""

    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Measured(Message):
    """Figures by name; seconds, or bytes."""

    figures: dict[str, float]


Facts = Iterator[tuple[str, str]]


def _mlx(_: Parent) -> Facts:
    import mlx.core as mx

    from backends.mlx_runtime import matmul_precision

    yield "default device", str(mx.default_device())
    info = mx.device_info() if mx.metal.is_available() else {}
    for name in ("device_name", "architecture", "max_recommended_working_set_size", "memory_size"):
        if name in info:
            yield name, str(info[name])
    yield "fp32 matmul", matmul_precision()
    a = mx.random.normal((SIDE, SIDE)).astype(mx.float16)

    def once() -> float:
        started = time.perf_counter()
        mx.eval(a @ a)
        return (time.perf_counter() - started) * 1000

    cold, hot = once(), min(once() for _ in range(5))
    time.sleep(IDLE_S)
    yield "fp16 matmul", f"cold {cold:.2f} ms, hot {hot:.2f} ms, after {IDLE_S:g} s idle {once():.2f} ms"
    yield "memory", f"active {mx.get_active_memory() / 1e6:.0f} MB, cache {mx.get_cache_memory() / 1e6:.0f} MB"


def _torch(_: Parent) -> Facts:
    import torch

    yield "MPS", "available" if torch.backends.mps.is_available() else "not available"
    yield "CUDA", "available" if torch.cuda.is_available() else "not available"
    if torch.backends.mps.is_available():
        q = torch.randn(1, 4, 64, 64)
        attention = torch.nn.functional.scaled_dot_product_attention
        there = attention(*(q.to("mps", torch.float16) for _ in range(3)))
        torch.mps.synchronize()
        difference = (there.float().cpu() - attention(q, q, q)).abs().max().item()
        yield "MPS fp16 attention against CPU", f"{difference:.1e}" if math.isfinite(difference) else "not finite"
        yield "MPS driver memory", f"{torch.mps.driver_allocated_memory() / 1e6:.0f} MB"


def _level(_: Parent) -> Facts:
    """One second of the default microphone: its level, and whether it is nothing but zeros."""
    import numpy as np
    import sounddevice

    rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
    taken = sounddevice.rec(rate, samplerate=rate, channels=1, dtype="float32", blocking=True)[:, 0]
    peak = float(np.abs(taken).max())
    yield "one second", "exact zeros" if peak == 0 else f"peak {20 * math.log10(peak):.1f} dB"


def _wiring(parent: Parent) -> None:
    """How long a GPU takes to use WEIGHTS_BYTES: at once, after idling, and after idling and a pulse."""
    import mlx.core as mx

    side = 4096
    weights = [mx.ones((side, side), mx.float16) for _ in range(WEIGHTS_BYTES // (2 * side * side))]
    vector = mx.ones((1, side), mx.float16)
    mx.eval(weights, vector)

    def once() -> float:
        started = time.perf_counter()
        mx.eval([vector @ weight for weight in weights])
        return time.perf_counter() - started

    once()
    hot = sorted(once() for _ in range(5))[2]
    time.sleep(IDLE_S)
    idle = once()
    time.sleep(IDLE_S)
    once()
    parent.send(Measured({"hot": hot, "idle": idle, "pulse": once()}))


def _memory(parent: Parent) -> None:
    """Tell the largest size so far, take so many bytes as the next command says, and tell it again."""
    from speedtest_tui.core.race.child import peak_footprint, peak_rss

    commands, taken = parent.commands(), []
    while True:
        parent.send(Measured({"peak": peak_footprint() or peak_rss()}))
        taken.append(b"\xa5" * int(commands.get()["bytes"]))


def _holds_the_lock(parent: Parent) -> Facts:
    """Say that it is there, then keep the interpreter lock for a minute: no thread of this process gets to run."""
    parent.send(Found((("ready", ""),)))
    ctypes.PyDLL(None).sleep(60)
    yield "ended", "by itself"


def _parent_of_it(parent: Parent) -> Facts:
    """Start a child that holds the lock, and tell its process id. Whoever asked kills this process and looks."""
    from speedtest_tui.core.process.parent import Child, Ended

    ready = threading.Event()

    def told(message: Message | Ended) -> None:
        if isinstance(message, Found):
            ready.set()

    child = Child("speedtest_tui.core.jobs.report_child", Probe("holds the lock"), (Found,), told)
    ready.wait(15)
    time.sleep(0.5)  # until it is in the call that does not let go
    parent.send(Found((("pid", str(child.pid)),)))
    time.sleep(60)
    yield "ended", "by itself"


PROBES: dict[str, Callable[[Parent], Facts]] = {
    "mlx": _mlx, "torch": _torch, "level": _level, "holds the lock": _holds_the_lock, "parent": _parent_of_it,
}  # fmt: skip


MEASURES: dict[str, Callable[[Parent], None]] = {"wiring": _wiring, "memory": _memory}
"""Those that send what they measure themselves."""


def main(parent: Parent) -> None:
    name = str(parent.order["name"])
    if name in MEASURES:
        MEASURES[name](parent)
    else:
        parent.send(Found(tuple(PROBES[name](parent))))


if __name__ == "__main__":
    serve(main)
