"""The layout that mlx-whisper reads: MLX's parameter names and array orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from . import nano

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FILES = ("config.json", "weights.safetensors")


def parameters() -> dict[str, NDArray[np.generic]]:
    """Return the model with the names of mlx_whisper/whisper.py: float16, alignment_heads int32 of shape (4, 2).

    The positions of the encoder are computed by that library. Its convolutions hold (out, width, in), OpenAI's
    (out, in, width).
    """
    import numpy as np

    found: dict[str, NDArray[np.generic]] = {}
    for name, value in nano.expand().items():
        if name == nano.POSITIONS:
            continue
        if name.endswith(("conv1.weight", "conv2.weight")):
            found[name] = np.ascontiguousarray(value.transpose(0, 2, 1))
        else:
            found[name.replace(".mlp.0.", ".mlp1.").replace(".mlp.2.", ".mlp2.")] = value
    # Whisper's default where no heads were chosen by hand: all of the upper half of the decoder's layers.
    sizes = nano.dims()
    layers = range(sizes["n_text_layer"] // 2, sizes["n_text_layer"])
    heads = [(layer, head) for layer in layers for head in range(sizes["n_text_head"])]
    found["alignment_heads"] = np.array(heads, np.int32)
    return found


def write(folder: Path) -> tuple[str, ...]:
    """Write `FILES` into `folder`. Raises OSError."""
    from safetensors.numpy import save

    # mlx-whisper passes every key on as a model dimension, model_type alone excepted.
    config = {"model_type": "whisper", **nano.dims()}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    # One key of metadata: safetensors writes several in a different order each time.
    (folder / "weights.safetensors").write_bytes(save(parameters(), metadata={"format": "mlx"}))
    return FILES
