"""The one form of audio that everything here works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backends.base import SAMPLE_RATE

if TYPE_CHECKING:
    from backends.base import Samples
    from speedtest_tui.core.audio.level import Level


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
    level: as it was measured, None where nobody has
    demo: whether it is the one that comes with the program
    """

    samples: Samples
    name: str
    path: Path | None = None
    reference: str | None = None
    warnings: tuple[str, ...] = field(default=())
    speech: bool = True
    level: Level | None = field(default=None, repr=False)
    demo: bool = False

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def measured(self) -> Level:
        """Its level, measured now where that was not done."""
        from speedtest_tui.core.audio.level import measure

        return self.level or measure(self.samples)

    def sha256(self) -> str:
        """Hash of the little-endian float32 samples, in lower-case hex."""
        return hashlib.sha256(self.data()).hexdigest()

    def data(self) -> memoryview:
        """The samples as little-endian float32 bytes, without a copy: an hour of them is 230 MB."""
        return self.samples.astype("<f4", order="C", copy=False).data.cast("B")
