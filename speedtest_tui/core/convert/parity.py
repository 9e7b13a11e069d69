"""The proof of a conversion: the same random input for both sides, and how far they may be apart at each stage.

`parity_torch` computes the source's side, `parity_mlx` that of the converted folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core.convert.numbers import Format
from speedtest_tui.core.convert.recipe import Recipe
from speedtest_tui.core.convert.report import StageFigure, form_name
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Outputs = dict[str, Floats]
    """Stage by stage; heads as log-probabilities over their last axis."""


Kind = Literal["max_difference", "relative"]

EXACT_BOUND = 1e-4
"""The largest difference that float32 may have anywhere, as an absolute number."""

RELATIVE_BOUNDS = {"float16": 0.03, "bfloat16": 0.08, "8-bit": 0.2, "4-bit": 0.8}
"""Root mean square of the difference, relative to the spread of the source's own values, that other formats may have.

Parakeet's 24 layers with random weights show 0.0025, 0.019, 0.13 and 0.32. Two matrices that change places in the
smallest of models cost more than 0.1, so that packing to 4 bits proves little but that nothing is badly wrong.
"""


def compare(source: Outputs, result: Outputs, form: Format) -> tuple[StageFigure, ...]:
    """One figure for each stage, in their order."""
    name = form_name(form.dtype, form.bits)
    exact = name == "float32"
    bound = EXACT_BOUND if exact else RELATIVE_BOUNDS[name]
    return tuple(
        _figure(stage, ours, result[stage], bound, "max_difference" if exact else "relative")
        for stage, ours in source.items()
    )


def _figure(stage: str, source: Floats, result: Floats, bound: float, kind: Kind) -> StageFigure:
    import numpy as np

    if source.shape != result.shape:
        raise UserError(
            f"the {stage} has shape {result.shape} after conversion, {source.shape} before", "please report this"
        )
    difference = result.astype(np.float64) - source
    # Log-probabilities have a common offset that says nothing: their spread is what a difference is measured by.
    scale = float(np.std(source.astype(np.float64)))
    relative = float(np.sqrt(np.mean(difference**2))) / max(scale, 1e-12)
    share = None if stage == ENCODER else float(np.mean(source.argmax(-1) == result.argmax(-1)))
    largest = float(np.abs(difference).max())
    # Written so that NaN fails.
    ok = (largest if kind == "max_difference" else relative) <= bound
    return StageFigure(stage, largest, relative, share, bound, kind, ok)


def refuse_failed(figures: tuple[StageFigure, ...]) -> None:
    """Raise UserError for the first stage that is too far off."""
    for figure in figures:
        if not figure.ok:
            raise UserError(
                f"the converted model differs from the checkpoint: {figure.stage}, {sentence(figure)}",
                "nothing was kept; please report this",
            )


def sentence(figure: StageFigure) -> str:
    """A figure in words."""
    parts = [f"largest difference {figure.max_difference:.1e}", f"relative {figure.relative:.1e}"]
    if figure.share is not None:
        parts.append(f"same choice at {figure.share:.1%}")
    return ", ".join(parts)


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
