"""In which order backends transcribe, and whether they may all be loaded at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backends.base import Engine
from speedtest_tui.core.race.events import TurnKind

Order = Literal["interleaved", "sequential"]

LIBRARY_BYTES: dict[Engine, int] = {"mlx": 400 << 20, "torch": 800 << 20, "cpu": 200 << 20}
"""Resident size of a child with its library imported and no model yet, rounded up from what was measured on Linux."""

WEIGHTS_FACTOR = 2.0
"""Weights may be read, converted (fp16 file to fp32) and kept: twice the file is the usual high-water mark."""

AVAILABLE_SHARE = 0.8
"""The rest is left to the system and to activations."""


@dataclass(frozen=True)
class Turn:
    """One transcription: `row` is an index into the plan's backends, `index` counts from 0 within its kind."""

    row: int
    kind: TurnKind
    index: int


def interleaved(rows: Sequence[int], warmup: int, runs: int) -> tuple[Turn, ...]:
    """Rounds in which everybody transcribes once, the last of one round first in the next: A B C, C A B, B C A.

    Heat, clock drift and the position in a round then fall on all alike.
    """
    turns = [Turn(row, "warm-up", index) for index in range(warmup) for row in rows]
    for index in range(runs):
        shift = -index % len(rows) if rows else 0
        turns += [Turn(row, "run", index) for row in (*rows[shift:], *rows[:shift])]
    return tuple(turns)


def expected_bytes(engine: Engine, model_bytes: int) -> int:
    """An estimate of a child's peak memory from the size of its model's files."""
    return int(LIBRARY_BYTES[engine] + WEIGHTS_FACTOR * model_bytes)


def order_for(wanted: Order, expected: Sequence[int], available_bytes: int) -> tuple[Order, str]:
    """The order to use, and why in words where it is not the wanted one."""
    needed = sum(expected)
    if wanted == "sequential" or len(expected) < 2 or needed <= AVAILABLE_SHARE * available_bytes:
        return wanted, ""
    return "sequential", (
        f"ran one after another: all {len(expected)} models together need about {needed / 1e9:.1f} GB, "
        f"{available_bytes / 1e9:.1f} GB are free"
    )
