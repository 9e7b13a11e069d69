"""What is to be raced: decided before the first child starts, and kept with the result."""

from __future__ import annotations

from dataclasses import dataclass

from backends.base import BackendEntry
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.race.schedule import Order
from speedtest_tui.core.race.watch import DEFAULT_STALL_S
from speedtest_tui.core.settings import DEFAULT_RUNS, MAX_RUNS

DEFAULT_WARMUP = 1


@dataclass(frozen=True)
class Plan:
    """One race, a row for each candidate.

    stall_s: how long a backend may go without progress, in seconds
    """

    candidates: tuple[Candidate, ...]
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
        if not self.candidates:
            raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")

    @property
    def backends(self) -> tuple[BackendEntry, ...]:
        """The backends that take part, each once."""
        return tuple(dict.fromkeys(one.entry for one in self.candidates))

    @property
    def size(self) -> str:
        """What the models are called: one name today, as all candidates of a race are of one size."""
        return ", ".join(dict.fromkeys(one.size for one in self.candidates))

    @property
    def options(self) -> tuple[str, ...]:
        """What single backends are set to, as people type it: "parakeet-mlx.beam=4"."""
        return tuple(f"{one.backend}.{name}={value}" for one in self.candidates for name, value in one.options)
