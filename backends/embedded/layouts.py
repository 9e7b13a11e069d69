"""The models that this package carries, and the layouts that each can be written in: "nano/mlx", "canary-nano/mlx".

A converted model ships in one file: its folder as a zip archive that is not compressed, as float16 hardly gets smaller.
The files come out byte for byte as `speedtest-tui convert` wrote them, its proof (conversion.json) among them, so
unpacking needs neither numpy nor the libraries that the conversion took.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from . import nano, ports, whisper

FORMAT = 1
"""Raise it when any layout's files change for the same compact model: folders unpacked before are then made again."""

PARAKEET = Path(__file__).with_name("parakeet-nano.zip")
CANARY = Path(__file__).with_name("canary-nano.zip")

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that every packed file gets: the same folder then gives the same bytes."""


@dataclass(frozen=True)
class Writer:
    """One model in one layout. `compact`: the file that ships; `files`: the names of those that `write` makes."""

    compact: Path
    files: Callable[[], tuple[str, ...]]
    write: Callable[[Path], tuple[str, ...]]


def packed_files(archive: Path) -> tuple[str, ...]:
    """Return the names of the files that `unpack` makes. Raises OSError, also where the archive is damaged."""
    with _opened(archive) as opened:
        names = tuple(sorted(opened.namelist()))
    if not names or any(Path(name).name != name for name in names):
        raise _damaged(archive)
    return names


def unpack(archive: Path, folder: Path) -> tuple[str, ...]:
    """Write the files into `folder`, which exists. Raises OSError, also where the archive is damaged."""
    names = packed_files(archive)
    with _opened(archive) as opened:
        for name in names:
            (folder / name).write_bytes(opened.read(name))
    return names


def pack(folder: Path, archive: Path) -> None:
    """Make an archive of the files in `folder`, which has no folders in it. Raises OSError."""
    with ZipFile(archive, "w", ZIP_STORED) as made:
        for path in sorted(folder.iterdir()):
            made.writestr(ZipInfo(path.name, LONG_AGO), path.read_bytes())


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(archive) as opened:
            yield opened
    except BadZipFile as error:
        raise _damaged(archive) from error


def _damaged(archive: Path) -> OSError:
    return OSError(errno.EIO, f"{archive.name} of this program is damaged and must be installed again", str(archive))


def _whisper(files: tuple[str, ...], write: Callable[[Path], tuple[str, ...]]) -> Writer:
    return Writer(nano.SOURCE, lambda: files, write)


def _converted(archive: Path) -> Writer:
    return Writer(archive, functools.partial(packed_files, archive), functools.partial(unpack, archive))


WRITERS: dict[str, Writer] = {
    "nano/hf": _whisper(whisper.HF_FILES, whisper.write_hf),
    "nano/mlx": _whisper(whisper.MLX_FILES, whisper.write_mlx),
    "nano/openai": _whisper(whisper.OPENAI_FILES, whisper.write_openai),
    "nano/ct2": _whisper(ports.CT2_FILES, ports.write_ct2),
    "nano/ggml": _whisper(ports.GGML_FILES, ports.write_ggml),
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
