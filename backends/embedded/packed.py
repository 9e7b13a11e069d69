"""A converted model in one file: its folder as a zip archive that is not compressed, as float16 hardly gets smaller.

The files come out byte for byte as `speedtest-tui convert` wrote them, its proof (conversion.json) among them, so
unpacking needs neither numpy nor the libraries that the conversion took.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that every file gets: the same folder then gives the same bytes."""


def files(archive: Path) -> tuple[str, ...]:
    """Return the names of the files that `write` makes. Raises OSError, also where the archive is damaged."""
    with _opened(archive) as opened:
        names = tuple(sorted(opened.namelist()))
    if not names or any(Path(name).name != name for name in names):
        raise _damaged(archive)
    return names


def write(archive: Path, folder: Path) -> tuple[str, ...]:
    """Write the files into `folder`, which exists. Raises OSError, also where the archive is damaged."""
    names = files(archive)
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
