"""Where a converted model goes: a folder of its own among the converted ones, or wherever a person wants it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.caches.locations import converted_folder, existing_parent

USUAL = "bfloat16"
ALLOWED = "._-"
LONGEST = 80


@dataclass(frozen=True)
class Target:
    """A folder and whether a conversion may fill it. problem: why not, with what to do, or empty; free: bytes there."""

    path: Path
    problem: str = ""
    free: int = 0


def suggested(source: Path, form: str) -> Path:
    """A free folder for `source` in a number format ("bfloat16", "8-bit").

    Only the usual format takes the bare name: a folder that is called as a published model is run in its place.
    """
    stem = "".join(sign if sign.isalnum() or sign in ALLOWED else "-" for sign in source.stem)
    name = stem.strip(ALLOWED)[:LONGEST] or "model"
    name += "" if form == USUAL else f"-{form.replace('-', '')}"
    folder, number = converted_folder() / name, 2
    while _there(folder):
        folder, number = converted_folder() / f"{name}-{number}", number + 1
    return folder


def named(text: str) -> Path:
    """The folder that a person typed: a bare name is one among the converted models."""
    try:
        path = Path(text.strip()).expanduser()
    except RuntimeError:  # ~somebody who does not exist
        path = Path(text.strip())
    return path if path.is_absolute() else converted_folder() / path


def look_at(path: Path) -> Target:
    """See whether a folder may be filled, and how much room there is. Never raises."""
    if "\0" in str(path):
        return Target(path, "no folder can be called that: choose another name")
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            return Target(path, "that is no folder: choose another one")
        if path.is_dir() and any(path.iterdir()):
            return Target(path, "that folder is not empty: choose another one, or remove it first")
        return Target(path, free=shutil.disk_usage(existing_parent(path)).free)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Target(path, f"it cannot be used ({reason}): choose another folder")


def _there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return False
