"""The layouts that the nano model can be written in, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import layout_hf, layout_mlx, layout_openai

FORMAT = 1
"""Raise it when any layout's files change for the same compact model: folders unpacked before are then made again."""

WRITERS: dict[str, tuple[tuple[str, ...], Callable[[Path], tuple[str, ...]]]] = {
    "hf": (layout_hf.FILES, layout_hf.write),
    "mlx": (layout_mlx.FILES, layout_mlx.write),
    "openai": (layout_openai.FILES, layout_openai.write),
}
LAYOUTS = ("hf", "mlx", "openai")


def files(layout: str) -> tuple[str, ...]:
    """Return the names of the files that `write` makes. Raises ValueError for an unknown layout."""
    if layout not in WRITERS:
        raise ValueError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
    return WRITERS[layout][0]


def write(layout: str, folder: Path) -> tuple[str, ...]:
    """Write one layout into `folder`, which exists and is empty, and return the names of its files.

    Raises ValueError for an unknown layout, OSError, and ImportError where "openai" is asked for without torch.
    """
    files(layout)
    return WRITERS[layout][1](folder)
