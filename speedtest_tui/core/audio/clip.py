"""The one form of audio that everything here works on.

A clip's outline for drawing: few enough values for one line of a terminal.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backends.base import SAMPLE_RATE

if TYPE_CHECKING:
    from backends.base import Samples


MIN_SECONDS = 0.1
"""Shorter clips are refused: no speech fits in them, and some libraries fail on them."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono float32 samples at 16 kHz, shape (n,), values in [-1, 1], and where they came from.

    name: for people, usually the file's name
    path: the file it was read from, or None
    reference: what was really said, or None where unknown
    warnings: what is wrong with the audio, in words; they stay with every result
    speech: False where the clip is silence, so that empty text is the right answer
    """

    samples: Samples
    name: str
    path: Path | None = None
    reference: str | None = None
    warnings: tuple[str, ...] = field(default=())
    speech: bool = True

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def sha256(self) -> str:
        """Hash of the little-endian float32 samples, in lower-case hex."""
        return hashlib.sha256(self.data()).hexdigest()

    def data(self) -> memoryview:
        """The samples as little-endian float32 bytes, without a copy: an hour of them is 230 MB."""
        return self.samples.astype("<f4", order="C", copy=False).data.cast("B")


POINTS = 240
"""More than the cells of any pane that draws it."""


def envelope(samples: Samples, points: int = POINTS) -> tuple[float, ...]:
    """Largest absolute sample in each of `points` equal stretches, 0 to 1; fewer points for a shorter clip.

    Works on views: an hour-long clip is not copied.
    """
    import numpy as np

    points = min(points, len(samples))
    edges = np.linspace(0, len(samples), points + 1).astype(np.int64)[:-1]
    high = np.maximum.reduceat(samples, edges)
    low = np.minimum.reduceat(samples, edges)
    return tuple(float(value) for value in np.maximum(high, -low))
