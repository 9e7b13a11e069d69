"""What is to be raced: decided before the first child starts, and kept with the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import BackendEntry
from backends.catalogue import SIZES
from speedtest_tui.core.bench.schedule import Order
from speedtest_tui.core.bench.stall import DEFAULT_STALL_S
from speedtest_tui.core.errors import UserError

DEFAULT_RUNS = 5
DEFAULT_WARMUP = 1
MAX_RUNS = 1_000


@dataclass(frozen=True)
class Plan:
    """One race. `stall_s` is how long a backend may go without progress, in seconds."""

    backends: tuple[BackendEntry, ...]
    size: str = SIZES[0]
    runs: int = DEFAULT_RUNS
    warmup: int = DEFAULT_WARMUP
    order: Order = "interleaved"
    language: str | None = None
    stall_s: float = DEFAULT_STALL_S

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= MAX_RUNS:
            raise UserError(f"{self.runs} runs", f"choose 1 to {MAX_RUNS}")
        if not 1 <= self.warmup <= MAX_RUNS:
            raise UserError(
                f"{self.warmup} warm-up transcriptions",
                "choose 1 or more; the first one compiles kernels and is always reported apart",
            )
        if not self.stall_s > 0:
            raise UserError(f"a time-out of {self.stall_s:g} s", "choose more than 0")
        if not self.backends:
            raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")


def choose(names: Sequence[str] | None, entries: Sequence[BackendEntry]) -> tuple[BackendEntry, ...]:
    """The entries that `names` asks for, each once and in that order; all where it is None.

    Raises UserError for a name that no entry has.
    """
    if names is None:
        return tuple(entries)
    known = {entry.name: entry for entry in entries}
    for name in names:
        if name not in known:
            raise UserError(f"no backend is called {name!r}", f"choose from {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))
