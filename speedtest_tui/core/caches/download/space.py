"""Whether there is room for what is to come."""

from __future__ import annotations

import shutil
from pathlib import Path

from speedtest_tui.core.caches import locations
from speedtest_tui.core.caches.download.failures import no_room

MARGIN_BYTES = 64 << 20
"""What must be left afterwards: a file system that is full to the brim troubles everything else on it."""


def free(place: Path) -> int | None:
    """Bytes left where a folder is, or would be; None where the system does not say."""
    try:
        return shutil.disk_usage(locations.existing_parent(place)).free
    except OSError:
        return None


def require(missing: int, place: Path) -> None:
    """Raises Failure where so many bytes do not fit."""
    left = free(place)
    if missing and left is not None and left < missing + MARGIN_BYTES:
        raise no_room(missing + MARGIN_BYTES, left, place)
