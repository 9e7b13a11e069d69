"""Whether weights that lie under another name are what a backend reads: their header says, without loading them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from speedtest_tui.core.caches.structure import SAFETENSORS_HEADER_MAX

MLX_NAMES = ("encoder.conv1.weight", "decoder.token_embedding.weight", "encoder.blocks.0.mlp1.weight")
"""Tensors of every Whisper that mlx-whisper 0.4 reads; OpenAI's own file has `mlp.0`, transformers has `layers`."""
CONVOLUTION_WIDTH = 3
"""Of Whisper's first layer: MLX stores it in the middle, PyTorch at the end."""


def fits_mlx_whisper(weights: Path) -> str:
    """Why mlx-whisper could not read these weights, as the end of a sentence; "" where it can."""
    try:
        header = _header(weights)
    except (OSError, ValueError, struct.error):
        return "cannot be read as safetensors"
    if any(name.startswith("model.encoder.layers.") for name in header):
        return "has its weights under transformers' names"
    if missing := [name for name in MLX_NAMES if name not in header]:
        return f"has no {missing[0]}: it is not Whisper as MLX keeps it"
    shape = header[MLX_NAMES[0]].get("shape", [])
    if len(shape) != 3 or shape[1] != CONVOLUTION_WIDTH:
        return "has its weights in PyTorch's order"
    return ""


def _header(path: Path) -> dict[str, dict[str, Any]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > SAFETENSORS_HEADER_MAX:
            raise ValueError("longer than any header")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("no header")
    return {name: entry for name, entry in header.items() if isinstance(entry, dict)}
