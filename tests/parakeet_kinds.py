"""Small Parakeet models with random weights, one of each kind that parakeet-mlx knows."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from parakeet_toy import CONFIG, VOCABULARY, WIDTH

KINDS = ("tdt", "rnnt", "ctc", "hybrid")
_MODELS = "nemo.collections.asr.models"
_CTC = {"feat_in": WIDTH, "num_classes": len(VOCABULARY), "vocabulary": VOCABULARY}


def config(kind: str) -> dict[str, Any]:
    """What the `config.json` of a kind holds."""
    made: dict[str, Any] = copy.deepcopy(CONFIG)
    if kind == "rnnt":
        made["model_defaults"] = {}
        made["joint"]["num_extra_outputs"] = 0
        made["decoding"] = {"greedy": {"max_symbols": 2}}
    elif kind == "ctc":
        made["target"] = f"{_MODELS}.ctc_bpe_models.EncDecCTCModelBPE"
        made["decoder"] = dict(_CTC)
        made["decoding"] = {"greedy": None}
    elif kind == "hybrid":
        made["target"] = f"{_MODELS}.hybrid_rnnt_ctc_bpe_models.EncDecHybridRNNTCTCBPEModel"
        made["aux_ctc"] = {"decoder": dict(_CTC)}
    return made


def write(kind: str, folder: Path, bits: int = 0) -> Path:
    """Write a model into a new folder; with `bits` its linear layers are quantised."""
    import mlx.core as mx
    from mlx import nn
    from parakeet_mlx.utils import from_config

    folder.mkdir(parents=True)
    mx.random.seed(3)
    model = from_config(config(kind))
    stored = config(kind)
    if bits:
        nn.quantize(model, 32, bits, class_predicate=lambda _, layer: _fits(layer))
        stored["quantization"] = {"group_size": 32, "bits": bits}
    model.save_weights(str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(stored))
    return folder


def _fits(layer: Any) -> bool:
    return hasattr(layer, "to_quantized") and layer.weight.shape[-1] % 32 == 0
