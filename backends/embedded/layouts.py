"""The models that this package carries, and the layouts that each can be written in: "nano/mlx", "canary-nano/mlx"."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import layout_hf, layout_mlx, layout_openai, nano, packed

FORMAT = 1
"""Raise it when any layout's files change for the same compact model: folders unpacked before are then made again."""

PARAKEET = Path(__file__).with_name("parakeet-nano.zip")
CANARY = Path(__file__).with_name("canary-nano.zip")


@dataclass(frozen=True)
class Writer:
    """One model in one layout. `compact`: the file that ships; `files`: the names of those that `write` makes."""

    compact: Path
    files: Callable[[], tuple[str, ...]]
    write: Callable[[Path], tuple[str, ...]]


def _whisper(files: tuple[str, ...], write: Callable[[Path], tuple[str, ...]]) -> Writer:
    return Writer(nano.SOURCE, lambda: files, write)


def _converted(archive: Path) -> Writer:
    return Writer(archive, functools.partial(packed.files, archive), functools.partial(packed.write, archive))


WRITERS: dict[str, Writer] = {
    "nano/hf": _whisper(layout_hf.FILES, layout_hf.write),
    "nano/mlx": _whisper(layout_mlx.FILES, layout_mlx.write),
    "nano/openai": _whisper(layout_openai.FILES, layout_openai.write),
    "parakeet-nano/mlx": _converted(PARAKEET),
    "canary-nano/mlx": _converted(CANARY),
}
LAYOUTS = tuple(WRITERS)


def writer(layout: str) -> Writer:
    """Return what writes "<model>/<layout>". Raises ValueError for an unknown one."""
    if layout not in WRITERS:
        raise ValueError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
    return WRITERS[layout]


def files(layout: str) -> tuple[str, ...]:
    """Return the names of the files that `write` makes. Raises ValueError for an unknown layout, OSError."""
    return writer(layout).files()


@functools.cache
def source_sha256(layout: str) -> str:
    """Hash of the compact file, in lower-case hex: the name of everything that is unpacked from it.

    Raises ValueError for an unknown layout, OSError.
    """
    return hashlib.sha256(writer(layout).compact.read_bytes()).hexdigest()


def write(layout: str, target: Path) -> tuple[str, ...]:
    """Write one layout into the folder `target`, which exists and is empty, and return the names of its files.

    Raises ValueError for an unknown layout, OSError, and ImportError where "nano/openai" is asked for without torch.
    """
    return writer(layout).write(target)
