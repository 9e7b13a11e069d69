"""The nano Whisper in the layouts of its three readers: transformers, mlx-whisper, and OpenAI's own checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import nano, tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


HF_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What transformers reads: a WhisperForConditionalGeneration with its tokenizer and feature extractor."""

MLX_FILES = ("config.json", "weights.safetensors")
"""What mlx-whisper reads: MLX's parameter names and array orders."""

OPENAI_FILES = ("nano.en.pt",)
"""What whisper-mps reads: one file made by torch.save."""

NON_SPEECH = (
    *(1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 357, 366, 438, 532, 685),
    *(705, 796, 930, 1058, 1220, 1267, 1279, 1303, 1343, 1377, 1391, 1635, 1782, 1875, 2162, 2361, 2488, 3467, 4008),
    *(4211, 4600, 4808, 5299, 5855, 6329, 7203, 9609, 9959, 10563, 10786, 11420, 11709, 11907, 13163, 13697, 13700),
    *(14808, 15306, 16410, 16791, 17992, 19203, 19510, 20724, 22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283),
    *(40493, 40549, 47282, 49146),
)
"""Tokens that Whisper never says, of GPT-2's vocabulary: `non_speech_tokens` of openai/whisper, whisper/tokenizer.py;
the same ids as NON_SPEECH_TOKENS of transformers' configuration_whisper.py."""

SUPPRESSED = (
    *NON_SPEECH,
    tokenizer.START,
    *(tokenizer.TRANSLATE, tokenizer.TRANSCRIBE),
    *(tokenizer.START_OF_PREVIOUS - 1, tokenizer.START_OF_PREVIOUS, tokenizer.NO_SPEECH),
)
"""With the special tokens that `_get_suppress_tokens` of whisper/decoding.py adds, which are what transformers must
suppress too for all to give the same words."""

BEGIN_SUPPRESSED = (220, tokenizer.ENDOFTEXT)
"""A lone space and the end of text: not as the first token."""

RENAMED = (
    (r"^(encoder|decoder)\.blocks\.", r"model.\1.layers."),
    (r"^(encoder|decoder)\.", r"model.\1."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
    (r"\.token_embedding\.", ".embed_tokens."),
    (r"\.ln(_post)?\.", ".layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn\.", ".self_attn."),
    (r"_attn\.(query|key|value)\.", lambda match: f"_attn.{match[1][0]}_proj."),
    (r"_attn\.out\.", "_attn.out_proj."),
)
"""From OpenAI's names to those of transformers' modeling_whisper.py, one after the other."""


def renamed(name: str) -> str:
    """Return transformers' name for one of OpenAI's parameters."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def hf_parameters(weights: nano.Weights) -> dict[str, NDArray[np.float16]]:
    """Return a model with transformers' names, float16. `proj_out` is tied to the embedding and has no entry."""
    return {renamed(name): value for name, value in weights.items()}


def config(sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return `config.json` of an English-only model with these ModelDimensions."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "is_encoder_decoder": True,
        "activation_function": "gelu",
        "vocab_size": sizes["n_vocab"],
        "num_mel_bins": sizes["n_mels"],
        "d_model": sizes["n_audio_state"],
        "encoder_layers": sizes["n_audio_layer"],
        "encoder_attention_heads": sizes["n_audio_head"],
        "encoder_ffn_dim": 4 * sizes["n_audio_state"],
        "decoder_layers": sizes["n_text_layer"],
        "decoder_attention_heads": sizes["n_text_head"],
        "decoder_ffn_dim": 4 * sizes["n_text_state"],
        "max_source_positions": sizes["n_audio_ctx"],
        "max_target_positions": sizes["n_text_ctx"],
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "bos_token_id": tokenizer.ENDOFTEXT,
        "eos_token_id": tokenizer.ENDOFTEXT,
        "pad_token_id": tokenizer.ENDOFTEXT,
        "decoder_start_token_id": tokenizer.START,
        "dtype": "float16",
    }


def generation_config() -> dict[str, Any]:
    """Return `generation_config.json`, with the meanings that openai/whisper-tiny.en gives these keys.

    No `lang_to_id`, no `task_to_id` and no forced tokens: an English-only model is started by START alone, followed by
    NO_TIMESTAMPS where no times are asked for, which transformers adds itself.
    """
    sizes = nano.dims()
    # Whisper's default where no heads were chosen by hand: all of the upper half of the decoder's layers.
    layers = range(sizes["n_text_layer"] // 2, sizes["n_text_layer"])
    return {
        "alignment_heads": [[layer, head] for layer in layers for head in range(sizes["n_text_head"])],
        "begin_suppress_tokens": list(BEGIN_SUPPRESSED),
        "bos_token_id": tokenizer.START,
        "decoder_start_token_id": tokenizer.START,
        "eos_token_id": tokenizer.ENDOFTEXT,
        "is_multilingual": False,
        "max_initial_timestamp_index": 50,
        "max_length": sizes["n_text_ctx"],
        "no_timestamps_token_id": tokenizer.NO_TIMESTAMPS,
        "pad_token_id": tokenizer.ENDOFTEXT,
        "prev_sot_token_id": tokenizer.START_OF_PREVIOUS,
        "return_timestamps": False,
        "suppress_tokens": list(SUPPRESSED),
    }


def preprocessor_config() -> dict[str, Any]:
    """Return `preprocessor_config.json`: Whisper's mel spectrogram (whisper/audio.py); filters are computed from it."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": nano.dims()["n_mels"],
        "sampling_rate": 16000,
        "n_fft": 400,
        "hop_length": 160,
        "chunk_length": 30,
        "n_samples": 480000,
        "nb_max_frames": 3000,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def special_tokens_map() -> dict[str, Any]:
    """Return `special_tokens_map.json`. A pad token is there: transformers needs one for more than one clip at once."""
    end = "<|endoftext|>"
    return {
        **dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), end),
        "additional_special_tokens": tokenizer.special_tokens(),
    }


def tokenizer_config() -> dict[str, Any]:
    """Return `tokenizer_config.json`."""
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": 1024,
        "return_attention_mask": False,
        **special_tokens_map(),
    }


def write_hf(folder: Path) -> tuple[str, ...]:
    """Write `HF_FILES` into `folder`, with neither transformers nor torch. Raises OSError, ImportError without lzma."""
    from safetensors.numpy import save

    documents = {
        "config.json": config(nano.dims()),
        "generation_config.json": generation_config(),
        "preprocessor_config.json": preprocessor_config(),
        "special_tokens_map.json": special_tokens_map(),
        "tokenizer_config.json": tokenizer_config(),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.tokenizer_json(), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(save(hf_parameters(nano.expand()), metadata={"format": "pt"}))
    return HF_FILES


def mlx_parameters(weights: nano.Weights, heads: list[list[int]]) -> dict[str, NDArray[np.generic]]:
    """Return a model with the names of mlx_whisper/whisper.py: float16, alignment_heads int32 of shape (n, 2).

    The positions of the encoder are computed by that library. Its convolutions hold (out, width, in), OpenAI's
    (out, in, width).
    heads: layer and head of each
    """
    import numpy as np

    found: dict[str, NDArray[np.generic]] = {}
    for name, value in weights.items():
        if name == nano.POSITIONS:
            continue
        if name.endswith(("conv1.weight", "conv2.weight")):
            found[name] = np.ascontiguousarray(value.transpose(0, 2, 1))
        else:
            found[name.replace(".mlp.0.", ".mlp1.").replace(".mlp.2.", ".mlp2.")] = value
    found["alignment_heads"] = np.array(heads, np.int32)
    return found


def write_mlx(folder: Path) -> tuple[str, ...]:
    """Write `MLX_FILES` into `folder`. Raises OSError."""
    from safetensors.numpy import save

    # mlx-whisper passes every key on as a model dimension, model_type alone excepted.
    config = {"model_type": "whisper", **nano.dims()}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    parameters = mlx_parameters(nano.expand(), generation_config()["alignment_heads"])
    # One key of metadata: safetensors writes several in a different order each time.
    (folder / "weights.safetensors").write_bytes(save(parameters, metadata={"format": "mlx"}))
    return MLX_FILES


def write_openai(folder: Path) -> tuple[str, ...]:
    """Write `OPENAI_FILES` into `folder`: {"dims": ..., "model_state_dict": float16 tensors}.

    Imports torch, the only layout that does. Raises OSError, ImportError where torch is missing.
    """
    import io

    import torch

    state = {name: torch.from_numpy(value) for name, value in nano.expand().items()}
    checkpoint = io.BytesIO()  # on a full disk torch.save would raise its own RuntimeError, without the reason
    torch.save({"dims": nano.dims(), "model_state_dict": state}, checkpoint)
    (folder / OPENAI_FILES[0]).write_bytes(checkpoint.getvalue())
    return OPENAI_FILES
