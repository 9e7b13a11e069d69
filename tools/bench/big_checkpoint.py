"""Write a .nemo with the sizes of parakeet-tdt-0.6b-v2 and random weights: 2.5 GB, and a minute of work."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from speedtest_tui.core.convert.keymap import rules_of
from speedtest_tui.core.convert.recipe import recipe_of

LABELS, WIDTH, PREDICTOR = 1024, 1024, 640
DURATIONS = [0, 1, 2, 3, 4]
MODULES = "nemo.collections.asr.modules."


def config(layers: int) -> dict[str, Any]:
    pieces = [f"piece{number}" for number in range(LABELS)]
    return {
        "target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel",
        "preprocessor": {
            "sample_rate": 16000, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01,
            "window": "hann", "features": 128, "n_fft": 512, "dither": 1e-5, "pad_to": 0,
        },
        "tokenizer": {"type": "bpe", "model_path": "nemo:tokenizer.model"},
        "model_defaults": {"tdt_durations": DURATIONS},
        "encoder": {
            "_target_": MODULES + "ConformerEncoder", "feat_in": 128, "n_layers": layers, "d_model": WIDTH,
            "use_bias": False, "subsampling": "dw_striding", "subsampling_factor": 8,
            "subsampling_conv_channels": 256, "ff_expansion_factor": 4, "n_heads": 8, "xscaling": False,
            "conv_kernel_size": 9, "att_context_size": [-1, -1],
        },
        "decoder": {
            "_target_": MODULES + "RNNTDecoder", "normalization_mode": None, "blank_as_pad": True,
            "vocab_size": LABELS, "prednet": {"pred_hidden": PREDICTOR, "pred_rnn_layers": 2, "dropout": 0.2},
        },
        "joint": {
            "_target_": MODULES + "RNNTJoint", "num_classes": LABELS, "vocabulary": pieces, "num_extra_outputs": 5,
            "jointnet": {"joint_hidden": PREDICTOR, "activation": "relu", "dropout": 0.2},
        },
        "decoding": {"strategy": "greedy", "model_type": "tdt", "durations": DURATIONS, "greedy": {"max_symbols": 10}},
    }  # fmt: skip


def write(target: Path, layers: int) -> None:
    """Weights are of a size that keeps the activations of 24 layers in bounds."""
    import torch

    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Any] = {}
    for rule in rules_of(recipe_of(config(layers))):
        for source in rule.sources:
            value = torch.randn(rule.shape, generator=generator)
            if source.endswith("running_var"):
                value = 0.5 + value.abs()
            elif "norm" in source and source.endswith("weight"):
                value = 1 + 0.1 * value
            else:
                value *= 0.7 / value[0].numel() ** 0.5 if value.dim() > 1 else 0.1
            weights[source] = value
    # YAML is a superset of JSON.
    texts = {"model_config.yaml": json.dumps(config(layers)).encode(), "tokenizer.model": b"no tokenizer"}
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, tarfile.open(target, "w") as archive:
        for name, content in texts.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        torch.save(weights, Path(folder) / "model_weights.ckpt")
        archive.add(Path(folder) / "model_weights.ckpt", "./model_weights.ckpt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, metavar="OUT.nemo")
    parser.add_argument("--layers", type=int, default=24, help="of the encoder (default %(default)s)")
    chosen = parser.parse_args()
    write(chosen.target, chosen.layers)
