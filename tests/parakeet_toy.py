"""Writes a small Parakeet-TDT model with random weights: `python -m parakeet_toy FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

VOCABULARY = ["▁the", "▁a", "b", "c", "d", "▁e", "f", ".", "▁g", "h"]
WIDTH, HIDDEN = 32, 16
CONFIG = {
    "target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel",
    "model_defaults": {"tdt_durations": [0, 1, 2, 3, 4]},
    "preprocessor": {
        "sample_rate": 16000, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01,
        "window": "hann", "features": 80, "n_fft": 512, "dither": 0.0,
    },
    "encoder": {
        "feat_in": 80, "n_layers": 1, "d_model": WIDTH, "n_heads": 2, "ff_expansion_factor": 2,
        "subsampling_factor": 8, "self_attention_model": "rel_pos", "subsampling": "dw_striding",
        "conv_kernel_size": 5, "subsampling_conv_channels": 16, "pos_emb_max_len": 5000,
    },
    "decoder": {
        "blank_as_pad": True, "vocab_size": len(VOCABULARY), "prednet": {"pred_hidden": HIDDEN, "pred_rnn_layers": 1},
    },
    "joint": {
        "num_classes": len(VOCABULARY), "vocabulary": VOCABULARY, "num_extra_outputs": 5,
        "jointnet": {"joint_hidden": HIDDEN, "activation": "relu", "encoder_hidden": WIDTH, "pred_hidden": HIDDEN},
    },
    "decoding": {"model_type": "tdt", "durations": [0, 1, 2, 3, 4], "greedy": {"max_symbols": 2}},
}  # fmt: skip


def write(folder: Path) -> None:
    """Write `config.json` and `model.safetensors`, the files that parakeet-mlx reads."""
    import mlx.core as mx
    from parakeet_mlx.utils import from_config

    mx.random.seed(3)
    from_config(CONFIG).save_weights(str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(CONFIG))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
