"""The mel spectrogram that NVIDIA's NeMo computes, in numpy: what Parakeet and Canary were trained on.

The steps are those of NeMo 3.0 (`FilterbankFeatures`): pre-emphasis, a symmetric Hann window of 25 ms in the middle of
512 samples, power, mel filters after Slaney, log(x + 2^-24), and each mel bin brought to mean 0 and variance 1 over the
clip. Computed in float64: it equals NeMo run in float64 to 1e-5, while NeMo's usual float32 is itself up to 1e-4 away
from that in quiet bins (and turns silence into a constant that consists of nothing but rounding).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]


LOG_GUARD = 2.0**-24
DEVIATION_GUARD = 1e-5
TORCH_ROUNDS_UP = [19, 68, 150, 155, 158, 235, 329, 337]
TORCH_ROUNDS_DOWN = [267, 358]
"""Where a cosine of the 400-sample window is one unit in the last place above or below the nearest float32."""

BLOCK_FRAMES = 128
"""Frames that are transformed at a time: what is in work then stays in the processor's cache."""


@dataclass(frozen=True)
class MelSettings:
    """`bins` mel bins of `sample_rate` audio; window, hop and Fourier transform in samples."""

    bins: int = 80
    sample_rate: int = 16_000
    window: int = 400
    hop: int = 160
    n_fft: int = 512
    preemphasis: float = 0.97


def settings_of(preprocessor: Mapping[str, Any]) -> MelSettings:
    """The settings that a NeMo model's `preprocessor` names. Raises ValueError for a kind that this module is not."""
    expected = {
        "normalize": "per_feature", "window": "hann", "log": True, "mag_power": 2.0, "frame_splicing": 1,
        "exact_pad": False, "log_zero_guard_type": "add", "log_zero_guard_value": LOG_GUARD, "mel_norm": "slaney",
        "lowfreq": 0, "pad_value": 0, "use_torchaudio": False,
    }  # fmt: skip
    for name, value in expected.items():
        found = preprocessor.get(name, value)
        if found != value and not (name == "log_zero_guard_value" and abs(found - value) < 1e-12):
            raise ValueError(f"preprocessor.{name} is {found!r}, not {value!r}")
    rate = int(preprocessor.get("sample_rate", 16_000))
    if preprocessor.get("highfreq") not in (None, rate / 2):
        raise ValueError(f"preprocessor.highfreq is {preprocessor['highfreq']!r}")
    window = preprocessor.get("n_window_size") or round(rate * float(preprocessor.get("window_size", 0.02)))
    hop = preprocessor.get("n_window_stride") or round(rate * float(preprocessor.get("window_stride", 0.01)))
    return MelSettings(
        bins=int(preprocessor.get("features", 64)),
        sample_rate=rate,
        window=int(window),
        hop=int(hop),
        n_fft=int(preprocessor.get("n_fft") or 1 << (int(window) - 1).bit_length()),
        preemphasis=float(preprocessor.get("preemph", 0.97) or 0),
    )


def nemo_mel(samples: Floats, settings: MelSettings = MelSettings()) -> Floats:
    """Return the normalised log-mel spectrogram of a clip, shape (len(samples) // hop, bins).

    NeMo returns one frame more and tells its length apart; that frame is zero and its models do not look at it.
    A clip of less than two frames has no variance, so that nothing but zeros comes of it.
    """
    mel = _log_mel(np.asarray(samples, np.float32), settings)
    if len(mel):
        mel -= mel.mean(axis=0)
        variance = np.einsum("tb,tb->b", mel, mel) / max(1, len(mel) - 1)
        mel /= np.sqrt(variance) + DEVIATION_GUARD
    return mel.astype(np.float32)


def _log_mel(samples: Floats, settings: MelSettings) -> Doubles:
    """Log-mel before normalisation, in blocks of frames."""
    count = len(samples) // settings.hop
    half = settings.n_fft // 2
    padded = np.zeros(len(samples) + 2 * half)
    inner = padded[half : half + len(samples)]
    inner[:] = samples
    inner[1:] -= settings.preemphasis * samples[:-1].astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[:: settings.hop][:count]
    window, slopes = centred_window(settings), _slopes(settings)
    mel = np.empty((count, settings.bins))
    for start in range(0, count, BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        spectrum = np.fft.rfft(frames[block] * window)
        power = spectrum.real**2
        power += spectrum.imag**2
        mel[block] = slopes.apply(power)
    mel += LOG_GUARD
    return np.log(mel, out=mel)


@functools.cache
def centred_window(settings: MelSettings) -> Doubles:
    """A symmetric Hann window in the middle of `n_fft` samples, as torch.stft places it. Shape (n_fft,)."""
    window = np.zeros(settings.n_fft)
    left = (settings.n_fft - settings.window) // 2
    window[left : left + settings.window] = hann(settings.window)
    return window


def hann(length: int) -> Floats:
    """The symmetric Hann window as torch computes it in float32; checkpoints hold it as `featurizer.window`.

    Its last digit matters: beside a loud tone it decides what the quiet bins hold. So the few cosines that torch rounds
    the other way are taken as it rounds them.
    """
    angles = np.arange(length, dtype=np.float32) * np.float32(2 * np.pi / (length - 1))
    cosines = np.cos(angles.astype(np.float64)).astype(np.float32)
    if length == 400:
        for positions, towards in ((TORCH_ROUNDS_UP, 2), (TORCH_ROUNDS_DOWN, -2)):
            cosines[positions] = np.nextafter(cosines[positions], np.float32(towards))
    return np.float32(0.5) - np.float32(0.5) * cosines


@functools.cache
def filterbank(settings: MelSettings) -> Floats:
    """Slaney's mel filters with his normalisation, as librosa computes them. Shape (bins, n_fft // 2 + 1)."""
    edges = _edges(settings)
    frequencies = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
    slopes = edges[:, None] - frequencies
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    filters: Floats = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    filters *= area  # rounded twice, as librosa does
    return filters


class _Slopes:
    """The filters as what they are: up to an edge and down from it, so that a frequency counts in two filters at most.

    As a matrix product they would take as long on one core, and wake up all others with it.
    """

    def __init__(self, settings: MelSettings) -> None:
        filters = filterbank(settings).astype(np.float64)
        edges = _edges(settings)
        frequencies = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
        places = np.searchsorted(edges, frequencies, side="right") - 1
        # A row of zeros before and behind: what lies outside of all filters counts there.
        padded = np.pad(filters, ((1, 1), (0, 0)))
        everywhere = np.arange(len(frequencies))
        self._falling = padded[np.minimum(places, settings.bins), everywhere]
        self._rising = padded[np.minimum(places + 1, settings.bins + 1), everywhere]
        starts = np.searchsorted(places, np.arange(settings.bins + 2))
        self._starts = np.minimum(starts[:-1], len(frequencies) - 1)
        self._empty = starts[:-1] == starts[1:]

    def apply(self, power: Doubles) -> Doubles:
        """Mel power (frames, bins) of spectral power (frames, frequencies)."""
        rising, falling = (self._sums(power * weights) for weights in (self._rising, self._falling))
        return rising[:, :-1] + falling[:, 1:]

    def _sums(self, weighted: Doubles) -> Doubles:
        """Sums between neighbouring edges."""
        sums: Doubles = np.add.reduceat(weighted, self._starts, axis=1)
        sums[:, self._empty] = 0
        return sums


@functools.cache
def _slopes(settings: MelSettings) -> _Slopes:
    return _Slopes(settings)


def _edges(settings: MelSettings) -> Doubles:
    """Where filters begin, peak and end, in Hz: three neighbours are one filter. Shape (bins + 2,)."""
    return _from_mel(np.linspace(0, _to_mel(settings.sample_rate / 2), settings.bins + 2))


LINEAR_HZ, LINEAR_MEL = 1000.0, 15.0
"""Below 1000 Hz Slaney's scale is linear with 15 mel there; above, 27 mel are a factor of 6.4."""
LOG_STEP = np.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < LINEAR_HZ:
        return hertz * LINEAR_MEL / LINEAR_HZ
    return float(LINEAR_MEL + np.log(hertz / LINEAR_HZ) / LOG_STEP)


def _from_mel(mel: Doubles) -> Doubles:
    return np.where(mel < LINEAR_MEL, mel * LINEAR_HZ / LINEAR_MEL, LINEAR_HZ * np.exp(LOG_STEP * (mel - LINEAR_MEL)))
