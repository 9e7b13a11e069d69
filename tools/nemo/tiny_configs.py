"""NeMo configurations of models that are as small as each family can be, every one with something of its own.

What varies on purpose: biases, xscaling, a joint network without dropout (its layers are then numbered otherwise), two
LSTM layers, 128 mel bins, unequal widths of encoder and decoder, prompts and kinds of tokenizer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

Config = dict[str, Any]

WIDTH, LABELS = 16, 40
MODULES = "nemo.collections.asr.modules."
DURATIONS = [0, 1, 2, 3, 4]


def preprocessor(bins: int = 80) -> Config:
    return {
        "_target_": MODULES + "AudioToMelSpectrogramPreprocessor", "sample_rate": 16000, "normalize": "per_feature",
        "window_size": 0.025, "window_stride": 0.01, "window": "hann", "features": bins, "n_fft": 512, "log": True,
        "frame_splicing": 1, "dither": 0.0, "pad_to": 0, "pad_value": 0.0,
    }  # fmt: skip


def encoder(bins: int = 80, layers: int = 1, width: int = WIDTH, **changes: Any) -> Config:
    return {
        "_target_": MODULES + "ConformerEncoder", "feat_in": bins, "feat_out": -1, "n_layers": layers,
        "d_model": width, "use_bias": False, "subsampling": "dw_striding", "subsampling_factor": 8,
        "subsampling_conv_channels": 8, "causal_downsampling": False, "ff_expansion_factor": 2,
        "self_attention_model": "rel_pos", "n_heads": 2, "att_context_size": [-1, -1],
        "att_context_style": "regular", "xscaling": False, "untie_biases": True, "pos_emb_max_len": 500,
        "conv_kernel_size": 5, "conv_norm_type": "batch_norm", "conv_context_size": None, "dropout": 0.1,
        "dropout_pre_encoder": 0.1, "dropout_emb": 0.0, "dropout_att": 0.1, **changes,
    }  # fmt: skip


def base(tokenizer: Path, bins: int = 80, **changes: Any) -> Config:
    return {
        "sample_rate": 16000, "log_prediction": False, "train_ds": None, "validation_ds": None, "test_ds": None,
        "tokenizer": {"dir": str(tokenizer), "type": "bpe"},
        "preprocessor": preprocessor(bins), "encoder": encoder(bins, **changes),
        "optim": {"name": "adamw", "lr": 1e-3},
    }  # fmt: skip


def ctc_head() -> Config:
    return {"_target_": MODULES + "ConvASRDecoder", "feat_in": None, "num_classes": -1, "vocabulary": []}


def ctc(tokenizer: Path) -> Config:
    return {
        **base(tokenizer, use_bias=True, xscaling=True, layers=2),
        "decoder": ctc_head(),
        "decoding": {"strategy": "greedy_batch"},
    }


def transducer(tokenizer: Path, durations: list[int], dropout: float, lstm_layers: int, **changes: Any) -> Config:
    defaults: Config = {"enc_hidden": WIDTH, "pred_hidden": 12, "joint_hidden": 20}
    decoding: Config = {"strategy": "greedy", "greedy": {"max_symbols": 5}}
    loss: Config = {"loss_name": "default"}
    joint: Config = {}
    if durations:
        defaults |= {"tdt_durations": durations, "num_tdt_durations": len(durations)}
        decoding |= {"model_type": "tdt", "durations": durations}
        loss = {"loss_name": "tdt", "tdt_kwargs": {"durations": durations}}
        joint = {"num_extra_outputs": len(durations)}
    return {
        **base(tokenizer, **changes),
        "model_defaults": defaults,
        "decoder": {
            "_target_": MODULES + "RNNTDecoder", "normalization_mode": None, "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": 12, "pred_rnn_layers": lstm_layers, "t_max": None, "dropout": 0.0},
        },
        "joint": {
            "_target_": MODULES + "RNNTJoint", "log_softmax": None, "preserve_memory": False,
            "fuse_loss_wer": False, "fused_batch_size": -1,
            "jointnet": {"joint_hidden": 20, "activation": "relu", "dropout": dropout}, **joint,
        },
        "decoding": decoding,
        "loss": loss,
    }  # fmt: skip


def hybrid(tokenizer: Path) -> Config:
    head = {"decoder": ctc_head(), "decoding": {"strategy": "greedy_batch"}, "ctc_loss_weight": 0.3}
    return {
        **transducer(tokenizer, DURATIONS, 0.2, 1, use_bias=False),
        "aux_ctc": {**head, "use_cer": False, "ctc_reduction": "mean_batch"},
    }


def canary(tokenizer: Config, prompt: str, width: int, decoder_width: int, bins: int = 128) -> Config:
    decoder = {
        "max_sequence_length": 96, "num_token_types": 0, "embedding_dropout": 0.1,
        "learn_positional_encodings": False, "hidden_size": decoder_width, "inner_size": 2 * decoder_width,
        "num_layers": 2, "num_attention_heads": 2, "ffn_dropout": 0.1, "attn_score_dropout": 0.1,
        "attn_layer_dropout": 0.1, "hidden_act": "relu", "pre_ln": True, "vocab_size": None,
    }  # fmt: skip
    head = "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier"
    loss = "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss"
    return {
        **base(Path(), bins, width=width),
        "label_smoothing": 0.0,
        "prompt_format": prompt,
        "prompt_defaults": prompt_defaults(prompt),
        "model_defaults": {"asr_enc_hidden": width, "lm_enc_hidden": decoder_width, "lm_dec_hidden": decoder_width},
        "tokenizer": tokenizer,
        "transf_encoder": {
            "_target_": MODULES + "transformer.transformer_encoders.TransformerEncoder", "num_layers": 0,
            "hidden_size": decoder_width, "inner_size": 2 * decoder_width, "num_attention_heads": 2,
        },
        "transf_decoder": {
            "_target_": MODULES + "transformer.get_nemo_transformer", "model_name": None, "pretrained": False,
            "encoder": None, "pre_ln_final_layer_norm": True, "config_dict": decoder,
        },
        "head": {
            "_target_": head, "num_layers": 1, "activation": "relu", "log_softmax": True,
            "hidden_size": decoder_width, "num_classes": None, "dropout": 0.0, "use_transformer_init": True,
        },
        "decoding": {
            "strategy": "beam", "return_best_hypothesis": True,
            "beam": {"beam_size": 1, "len_pen": 0.0, "max_generation_delta": 40},
        },
        "loss": {"_target_": loss, "label_smoothing": 0.0, "pad_id": None},
    }  # fmt: skip


def prompt_defaults(prompt: str) -> list[Config]:
    if prompt == "canary":
        slots = {"source_lang": "en", "target_lang": "de", "task": "translate", "pnc": "yes"}
        return [{"role": "user", "slots": slots}]
    slots = {
        "decodercontext": "", "source_lang": "en", "target_lang": "de", "emotion": "<|emo:undefined|>",
        "pnc": "yes", "itn": "no", "diarize": "no", "timestamp": "no",
    }  # fmt: skip
    return [{"role": "user", "slots": slots}, {"role": "user_partial", "slots": {"decodercontext": ""}}]
