"""Quantises a Whisper model of MLX's layout: `python -m quantised SOURCE TARGET`; writes a 4-bit `weights.npz`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GROUP, BITS = 32, 4
"""The usual group of 64 does not divide the nano model's width of 96."""


def chosen(name: str, layer: Any) -> bool:
    """What the decoder does for each token. The rest sees 1,500 frames at once: on a processor that takes 20 s."""
    return hasattr(layer, "to_quantized") and name.startswith("decoder.") and "cross_attn" not in name


def quantise(source: Path, target: Path) -> None:
    """As the conversion of mlx-examples/whisper does; the older repositories of mlx-community hold such files."""
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten
    from mlx_whisper.load_models import load_model

    model = load_model(str(source), dtype=mx.float16)
    nn.quantize(model, GROUP, BITS, class_predicate=chosen)
    weights = dict(tree_flatten(model.parameters()))
    mx.savez(str(target / "weights.npz"), **weights)
    config = json.loads((source / "config.json").read_text())
    config["quantization"] = {"group_size": GROUP, "bits": BITS}
    (target / "config.json").write_text(json.dumps(config, indent=2))


if __name__ == "__main__":
    quantise(Path(sys.argv[1]), Path(sys.argv[2]))
