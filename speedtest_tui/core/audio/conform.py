"""Blocks of decoded audio to the one clip form: mono, 16 kHz, float32, values in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import FileIO
from typing import TYPE_CHECKING, Any

from backends.base import SAMPLE_RATE
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Samples

    Block = NDArray[np.float32]
    """Decoded samples, float32, shape (frames, channels)."""


MAX_SECONDS = 4 * 3600
"""Longer audio is refused: four hours are 0.9 GB of samples here and again in every backend's process."""

RATES = (4_000, 768_000)
"""Lowest and highest sampling rate believed, in Hz: the lowest of the VOC format and the highest of converters sold.
A header that claims 1 Hz would turn each decoded block into gigabytes."""

AGAIN = "record or export it again"

CANCELLED = 1e-3
"""Share of the loudest channel's energy below which a mean says that the channels cancel each other: 30 dB. A single
speaker in one of 22 channels loses 27 dB."""


def as_float(values: NDArray[Any]) -> Block:
    """Samples of any PCM type as float32 with full scale at 1; unsigned types have their zero in the middle."""
    import numpy as np

    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(np.float32, copy=False)
    if values.dtype.kind not in "iu":
        raise TypeError(f"samples must be integers or floats, not {values.dtype}")
    scale = np.float32(2.0 ** (8 * values.dtype.itemsize - 1))
    floats = values.astype(np.float32)
    if values.dtype.kind == "u":
        floats -= scale
    floats /= scale
    return floats


def too_long(shown: str) -> UserError:
    """What is longer than MAX_SECONDS, by its own account or as far as it was read."""
    return UserError(f"{shown} is longer than {MAX_SECONDS // 3600} hours", "use a shorter part of it")


class Conformer:
    """Mixes blocks down to mono, resamples them to 16 kHz and keeps them in one growing array.

    The mean of the channels is what a single microphone would have got of a speaker between them, and cannot clip.
    Where the channels cancel each other, `loudest` names one to take instead of the mean, as `channel`.
    """

    def __init__(
        self,
        shown: str,
        channel: int | None = None,
        tell: Callable[[float], None] = lambda _: None,
        target: FileIO | None = None,
    ) -> None:
        """target: a file that gets the samples as they come, little-endian, instead of an array in memory"""
        import numpy as np

        if target is not None:
            target.seek(0)
            target.truncate()
        self._target = target
        self._shown = shown
        self._channel = channel
        self.tell = tell
        self._samples: Samples = np.empty(0, dtype=np.float32)
        self._used = 0
        self._rate = 0.0
        self._resampler: Any = None
        self._above = 0
        self._peak = 0.0
        self._energy: list[float] = []
        self._mean_energy = 0.0

    @property
    def count(self) -> int:
        """How many samples there are so far."""
        return self._used

    @property
    def seconds(self) -> float:
        """How much there is so far."""
        return self._used / SAMPLE_RATE

    def add(self, block: Block, rate: float) -> None:
        """Append a block, shape (frames, channels). Raises UserError for samples or rates that no speech has."""
        import numpy as np

        if not RATES[0] <= rate <= RATES[1]:
            allowed = f"from {RATES[0]} to {RATES[1]} Hz"
            raise UserError(f"{self._shown} has a sampling rate of {rate:.0f} Hz", f"use a file with a rate {allowed}")
        if not block.size:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mono = self._mono(block)
        peak = float(np.abs(mono).max())
        if not np.isfinite(peak):
            raise UserError(f"{self._shown} has samples that are NaN or infinite", AGAIN)
        if peak > 1:
            self._peak = max(self._peak, peak)
            self._above += int(np.count_nonzero(np.abs(mono) > 1))
            np.clip(mono, -1, 1, out=mono)
        for samples in self._resample(mono, rate):
            self._append(samples)
        self.tell(self.seconds)

    def finish(self) -> Samples:
        """Flush the resampler and return all samples, none where a file got them; nothing can be added afterwards."""
        for samples in self._flush():
            self._append(samples)
        self._samples.resize(self._used if self._target is None else 0, refcheck=False)
        return self._samples

    def warnings(self) -> list[str]:
        times = f"the largest {self._peak:.4g} times full scale"
        return [f"{self._above} samples above full scale were clamped, {times}"] if self._above else []

    def loudest(self) -> int | None:
        """The loudest channel where the mean of all is far below it (they cancel each other), else None."""
        if self._channel is not None or len(self._energy) < 2:
            return None
        channel = max(range(len(self._energy)), key=self._energy.__getitem__)
        return channel if self._mean_energy < CANCELLED * self._energy[channel] else None

    def _mono(self, block: Block) -> Samples:
        import numpy as np

        if self._channel is not None:
            return block[:, min(self._channel, block.shape[1] - 1)].copy()
        # Channel by channel: numpy's mean over so short an axis takes four times as long.
        mono: Samples = block[:, 0].copy()
        for channel in range(1, block.shape[1]):
            mono += block[:, channel]
        mono *= np.float32(1 / block.shape[1])
        if block.shape[1] > 1:
            self._energy += [0.0] * (block.shape[1] - len(self._energy))
            for channel in range(block.shape[1]):
                self._energy[channel] += float(np.vdot(block[:, channel], block[:, channel]))
            self._mean_energy += float(np.vdot(mono, mono))
        return mono

    def _resample(self, mono: Samples, rate: float) -> Iterator[Samples]:
        if rate != self._rate:
            # A broadcast or chained stream may change its rate on the way.
            yield from self._flush()
            self._rate = rate
            if rate != SAMPLE_RATE:
                import soxr

                # HQ is exact to 20 bits (soxr.h), finer than any 16-bit recording.
                self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        yield mono if self._resampler is None else self._resampler.resample_chunk(mono)

    def _flush(self) -> Iterator[Samples]:
        if self._resampler is not None:
            import numpy as np

            yield self._resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
            self._resampler = None

    def _append(self, samples: Samples) -> None:
        import numpy as np

        end = self._used + len(samples)
        if end > MAX_SECONDS * SAMPLE_RATE:
            raise too_long(self._shown)
        if self._target is not None:
            data = np.clip(samples, -1, 1).astype("<f4", copy=False).data.cast("B")
            while data:
                data = data[self._target.write(data) :]
            self._used = end
            return
        if end > len(self._samples):
            # Reallocated in place where the system can (mremap); an eighth more keeps the peak near the clip's size.
            self._samples.resize(end + end // 8 + SAMPLE_RATE, refcheck=False)
        # Resampling overshoots at steep edges, so that full scale in the file may come out slightly above it.
        np.clip(samples, -1, 1, out=self._samples[self._used : end])
        self._used = end
