"""What is compared: the same random input for both sides, and the names of the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speedtest_tui.core.convert.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Outputs = dict[str, Floats]
    """Stage by stage; heads as log-probabilities over their last axis."""

FRAMES, LABELS, IDS = 240, 8, 16
LARGE, FRAMES_OF_LARGE = 100, 24
"""From this many million encoder weights on fewer frames will do: every weight takes part in each of them."""

SEED = 160

ENCODER = "encoder"
HEADS = {"ctc": "CTC head", "joint": "predictor and joint network", "durations": "durations", "decoder": "decoder"}


def head_name(key: str) -> str:
    return HEADS[key]


@dataclass(frozen=True)
class Inputs:
    """A mel spectrogram (frames, bins), labels for the predictor, ids for Canary's decoder."""

    mel: Floats
    labels: tuple[int, ...]
    ids: tuple[int, ...]


def random_inputs(recipe: Recipe) -> Inputs:
    """The same for the same sizes: a proof can be repeated."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    sizes = recipe.encoder
    # Of a layer's weights two feed-forward blocks are half, attention and convolution the rest.
    millions = sizes.layers * (4 * sizes.inner * sizes.width + 8 * sizes.width**2) / 1e6
    frames = FRAMES if millions < LARGE else FRAMES_OF_LARGE
    labels = recipe.transducer.labels if recipe.transducer else 1
    rows = recipe.decoder.rows - 8 if recipe.decoder else 1
    return Inputs(
        mel=rng.standard_normal((frames, sizes.features), np.float32),
        labels=tuple(int(label) for label in rng.integers(0, labels, LABELS)),
        ids=tuple(int(token) for token in rng.integers(0, max(1, rows), IDS)),
    )
