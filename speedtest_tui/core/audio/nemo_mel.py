"""NeMo's mel spectrogram. It lives in `backends.nemo_mel`: backends compute it too, and never import the core."""

from __future__ import annotations

from backends.nemo_mel import (
    DEVIATION_GUARD,
    LOG_GUARD,
    MelSettings,
    centred_window,
    filterbank,
    hann,
    nemo_mel,
    settings_of,
)

__all__ = [
    "DEVIATION_GUARD",
    "LOG_GUARD",
    "MelSettings",
    "centred_window",
    "filterbank",
    "hann",
    "nemo_mel",
    "settings_of",
]
