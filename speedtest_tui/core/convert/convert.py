"""Converting a checkpoint: the parent's side, and where a converted model goes.

The work is done in a child process, which may be ended at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedtest_tui.core import darwin, disk, removal
from speedtest_tui.core.convert.archive import LIMIT_BYTES
from speedtest_tui.core.convert.numbers import DType
from speedtest_tui.core.convert.report import Report
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import converted_folder
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import ask

CHILD_MODULE = "speedtest_tui.core.convert.child"

Stage = Literal["starting", "unpacking", "converting", "proving", "saving"]
STAGES: tuple[Stage, ...] = ("starting", "unpacking", "converting", "proving", "saving")
"""In their order; plain archives need no unpacking."""


@dataclass(frozen=True)
class Job:
    """`source` is the .nemo, `folder` the empty folder that becomes the result, `limit` what an archive may hold."""

    source: Path
    folder: Path
    dtype: DType
    bits: int
    limit: int


@dataclass(frozen=True)
class Progress(Message):
    """How far a stage is; `done` and `total` are bytes or layers, both 0 where nobody knows."""

    stage: Stage
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Done(Message):
    """The folder holds the model."""

    report: Report


@dataclass(frozen=True)
class Converted:
    """The folder that was made, and its report."""

    folder: Path
    report: Report


class ConversionCancelledError(Exception):
    """The conversion was cancelled; nothing of it is left."""


def convert(
    source: Path,
    target: Path,
    dtype: DType = "bfloat16",
    bits: int = 0,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    cancelled: threading.Event | None = None,
    limit: int = LIMIT_BYTES,
) -> Converted:
    """Convert the .nemo file `source` into the folder `target`, which does not exist or is empty. Blocks.

    bits: 0, or 8 or 4 to quantise the layers that can be; limit: bytes that the archive may hold unpacked
    on_progress: called in this thread

    Raises UserError with one line, or ConversionCancelledError; then `target` is as it was before and nothing lies
    beside it.
    """
    source, target = source.expanduser().absolute(), target.expanduser().absolute()
    _refuse_unusable(source, target)
    removal.sweep(target.parent, target.name)
    try:
        with disk.new_folder(target) as building:
            on_progress(Progress("starting"))
            job = Job(source, building, dtype, bits, limit)
            done = ask(
                CHILD_MODULE,
                job,
                Done,
                "the conversion",
                cancelled,
                progress=(Progress,),
                on_progress=lambda message: on_progress(message) if isinstance(message, Progress) else None,
            )
            if done is None:
                raise ConversionCancelledError
            on_progress(Progress("saving"))
            _give_way(target, building)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY or isinstance(error, FileExistsError):
            raise UserError(f"{target} is no longer empty", "choose another folder") from error
        raise UserError(f"{target}: {error.strerror or error}", "choose a folder that can be written") from error
    return Converted(target, done.report)


def _refuse_unusable(source: Path, target: Path) -> None:
    darwin.check_here(source)
    if not source.exists():
        raise UserError(f"{source} does not exist", "give the path of a .nemo file")
    if not source.is_file():
        raise UserError(f"{source} is no file", "give the path of a .nemo file")
    if not os.access(source, os.R_OK):
        raise UserError(f"{source} cannot be read", "check its permissions")
    try:
        used = target.is_symlink() or (target.exists() and (not target.is_dir() or _holds_something(target)))
    except OSError as error:
        raise UserError(f"{target}: {error.strerror or error}", "choose another folder") from error
    if used:
        raise UserError(f"{target} exists and is not an empty folder", "choose another one or remove it first")


def _holds_something(folder: Path) -> bool:
    """Whether there is more in a folder than systems leave. Raises OSError."""
    return not all(disk.is_left_by_a_system(path.name) for path in folder.iterdir())


def _give_way(target: Path, building: Path) -> None:
    """Remove an empty folder; what systems have left in it goes into the new one. Raises OSError where more came."""
    moved = []
    try:
        for path in [path for path in target.iterdir() if disk.is_left_by_a_system(path.name)]:
            moved.append(path)
            path.rename(building / path.name)
        target.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        for path in moved:
            with contextlib.suppress(OSError):
                (building / path.name).rename(path)
        raise


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
        if path.is_dir() and _holds_something(path):
            return Target(path, "that folder is not empty: choose another one, or remove it first")
        return Target(path, free=disk.free(path) or 0)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Target(path, f"it cannot be used ({reason}): choose another folder")


def _there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return False
