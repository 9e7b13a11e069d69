"""What is to be raced: decided before the first child starts, and kept with the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import BackendEntry
from backends.catalogue import SIZES
from backends.registry import create, default_backends
from speedtest_tui.core.errors import UserError, unknown
from speedtest_tui.core.race.schedule import Order
from speedtest_tui.core.race.watch import DEFAULT_STALL_S
from speedtest_tui.core.settings import DEFAULT_RUNS, MAX_RUNS

DEFAULT_WARMUP = 1


@dataclass(frozen=True)
class Plan:
    """One race.

    stall_s: how long a backend may go without progress, in seconds
    options: what single backends are set to, as (backend, name, value); they have looked at it already
    """

    backends: tuple[BackendEntry, ...]
    size: str = SIZES[0]
    runs: int = DEFAULT_RUNS
    warmup: int = DEFAULT_WARMUP
    order: Order = "interleaved"
    language: str | None = None
    stall_s: float = DEFAULT_STALL_S
    options: tuple[tuple[str, str, str], ...] = ()

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

    def options_of(self, backend: str) -> tuple[tuple[str, str], ...]:
        """Names and values that are set for one backend."""
        return tuple((name, value) for named, name, value in self.options if named == backend)


def choose(
    names: Sequence[str] | None, entries: Sequence[BackendEntry], size: str | None = None
) -> tuple[BackendEntry, ...]:
    """The entries that `names` asks for, each once and in that order.

    Where it is None, all usual ones, or with a `size` all but those that have no model of it: nobody asked for these.
    Raises UserError for a name that no entry has.
    """
    if names is None:
        return tuple(entry for entry in default_backends(entries) if size is None or may_have(entry, size))
    known = {entry.name: entry for entry in entries}
    for name in names:
        if name not in known:
            raise unknown("backend", name, known)
    return tuple(known[name] for name in dict.fromkeys(names))


def may_have(entry: BackendEntry, size: str) -> bool:
    """Whether a backend has a model of a size; one whose own code fails may have, so that its failure is seen."""
    from speedtest_tui.core.models.sizes import model_of

    try:
        return model_of(create(entry.reference), size) is not None
    except Exception:
        return True
