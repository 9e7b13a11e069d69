"""Whisper's log-mel spectrogram in torch, in two steps: training mixes and colours the power in between.

The constants are those of openai/whisper, whisper/audio.py; the filters are the file that mlx-whisper carries.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

SAMPLE_RATE, WINDOW, HOP, BANDS = 16_000, 400, 160, 80
FRAMES_PER_SECOND = SAMPLE_RATE // HOP


def whisper_assets() -> Path:
    """Return the folder of mlx-whisper's mel filters and GPT-2 ranks. Raises ImportError where it is not installed."""
    found = find_spec("mlx_whisper")
    if found is None or not found.submodule_search_locations:
        raise ImportError("mlx-whisper is not installed", name="mlx_whisper")
    return Path(found.submodule_search_locations[0]) / "assets"


class LogMel:
    """The filters and the window, read once."""

    def __init__(self) -> None:
        filters = np.load(whisper_assets() / "mel_filters.npz")[f"mel_{BANDS}"]
        self.filters = torch.from_numpy(filters).float()
        self.window = torch.hann_window(WINDOW)

    def power(self, samples: torch.Tensor) -> torch.Tensor:
        """Map float32 (batch, n) at 16 kHz to (batch, 80, n // 160), linear power."""
        spectrum = torch.stft(samples, WINDOW, HOP, window=self.window, return_complex=True)
        return self.filters @ (spectrum[..., :-1].abs() ** 2)

    @staticmethod
    def log(power: torch.Tensor) -> torch.Tensor:
        """Whisper's normalisation: log10, at most 8 (80 dB) below the clip's maximum, then (x + 4) / 4."""
        log = power.clamp(min=1e-10).log10()
        return (torch.maximum(log, log.amax((1, 2), keepdim=True) - 8) + 4) / 4
