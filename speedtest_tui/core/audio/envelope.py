"""A clip's outline for drawing: few enough values for one line of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.base import Samples

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
