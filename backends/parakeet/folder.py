"""Opening a folder of parakeet-mlx as it is stored, which the library's own `from_pretrained` does not do.

That casts every parameter to bfloat16 (packed ones would be destroyed by it) and makes no quantised layers. Here the
numbers keep their format, and layers whose scales are in the file are quantised ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.base import BackendError


def open_folder(folder: Path) -> Any:
    """Load `config.json` and `model.safetensors`. Raises BackendError of kind "model".

    Every parameter must be there once and have its shape.
    """
    import mlx.core as mx
    from mlx import nn
    from parakeet_mlx.utils import from_config

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights: Any = mx.load(str(folder / "model.safetensors"))
        model = from_config(config)
        nn.quantize(model, class_predicate=lambda path, module: packing(weights, path, module))
        model.load_weights(list(weights.items()))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        raise BackendError(f"parakeet-mlx cannot read this folder: {text:.300}", kind="model") from error
    model.eval()
    return model


def is_quantised(folder: Path) -> bool:
    """Whether the folder's configuration says so; the library cannot read such folders. Raises OSError, ValueError."""
    return "quantization" in json.loads((folder / "config.json").read_text(encoding="utf-8"))


def packing(weights: Mapping[str, Any], path: str, module: Any) -> bool | dict[str, int]:
    """Group size and bits of a quantised layer, which follow from its shapes; False for plain ones."""
    scales, packed = weights.get(f"{path}.scales"), weights.get(f"{path}.weight")
    if scales is None or packed is None or not hasattr(module, "to_quantized"):
        return False
    width = module.weight.shape[-1]
    return {"group_size": width // scales.shape[-1], "bits": packed.shape[-1] * 32 // width}
