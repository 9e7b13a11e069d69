"""What nano Parakeet is made of: NeMo's configuration of a TDT-CTC hybrid with a FastConformer encoder."""

from __future__ import annotations

from typing import Any

from tdt_loss import DURATIONS, SIGMA

WIDTH, LAYERS, BINS = 96, 4, 80


def config(tokenizer_folder: str) -> dict[str, Any]:
    """The model's configuration, for a SentencePiece tokenizer in a folder."""
    modules, durations = "nemo.collections.asr.modules.", list(DURATIONS)
    return {
        "sample_rate": 16000, "log_prediction": False, "skip_nan_grad": False,
        "train_ds": None, "validation_ds": None, "test_ds": None,
        "preprocessor": {
            "_target_": modules + "AudioToMelSpectrogramPreprocessor", "sample_rate": 16000,
            "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01, "window": "hann",
            "features": BINS, "n_fft": 512, "log": True, "frame_splicing": 1, "dither": 1e-5, "pad_to": 0,
            "pad_value": 0.0,
        },
        "spec_augment": {
            "_target_": modules + "SpectrogramAugmentation", "freq_masks": 2, "time_masks": 2, "freq_width": 12,
            "time_width": 0.05,
        },
        "tokenizer": {"dir": tokenizer_folder, "type": "bpe"},
        "model_defaults": {
            "enc_hidden": WIDTH, "pred_hidden": WIDTH, "joint_hidden": WIDTH, "tdt_durations": durations,
            "num_tdt_durations": len(durations),
        },
        "encoder": {
            "_target_": modules + "ConformerEncoder", "feat_in": BINS, "feat_out": -1, "n_layers": LAYERS,
            "d_model": WIDTH, "use_bias": False, "subsampling": "dw_striding", "subsampling_factor": 8,
            "subsampling_conv_channels": 64, "causal_downsampling": False, "ff_expansion_factor": 4,
            "self_attention_model": "rel_pos", "n_heads": 4, "att_context_size": [-1, -1],
            "att_context_style": "regular", "xscaling": False, "untie_biases": True, "pos_emb_max_len": 5000,
            "conv_kernel_size": 9, "conv_norm_type": "batch_norm", "conv_context_size": None, "dropout": 0.05,
            "dropout_pre_encoder": 0.05, "dropout_emb": 0.0, "dropout_att": 0.05, "stochastic_depth_drop_prob": 0.0,
            "stochastic_depth_mode": "linear", "stochastic_depth_start_layer": 1,
        },
        "decoder": {
            "_target_": modules + "RNNTDecoder", "normalization_mode": None, "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": WIDTH, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.1},
        },
        "joint": {
            "_target_": modules + "RNNTJoint", "log_softmax": None, "preserve_memory": False, "fuse_loss_wer": False,
            "fused_batch_size": -1, "jointnet": {"joint_hidden": WIDTH, "activation": "relu", "dropout": 0.1},
            "num_extra_outputs": len(durations),
        },
        "decoding": {
            "strategy": "greedy_batch", "model_type": "tdt", "durations": durations, "greedy": {"max_symbols": 10},
        },
        "loss": {
            "loss_name": "tdt",
            "tdt_kwargs": {"fastemit_lambda": 0.0, "durations": durations, "sigma": SIGMA, "omega": 0.1},
        },
        "aux_ctc": {
            "ctc_loss_weight": 0.3, "use_cer": False, "ctc_reduction": "mean_batch",
            "decoding": {"strategy": "greedy_batch"},
            "decoder": {
                "_target_": modules + "ConvASRDecoder", "feat_in": None, "num_classes": -1, "vocabulary": [],
            },
        },
        "optim": {"name": "adamw", "lr": 1e-3},
    }  # fmt: skip
