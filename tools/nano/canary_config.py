"""What nano Canary is made of: NeMo's configuration, and the two tokenizers of which its vocabulary consists."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import yaml

WIDTH, ENCODER_LAYERS, DECODER_LAYERS, HEADS = 96, 4, 2, 4
LONGEST_TEXT = 512
"""Positions that the decoder knows, its prompt included."""

SPECIALS = (
    *("<|startofcontext|>", "<|emo:undefined|>", "<|en|>", "<|itn|>", "<|noitn|>"),
    *("<|timestamp|>", "<|notimestamp|>", "<|diarize|>", "<|nodiarize|>"),
)
"""Beside NeMo's own: no speech, pad, end of text, start of transcript, with and without punctuation."""


def parakeet_tokenizer(parakeet: Path, folder: Path) -> dict[str, Any]:
    """Put the tokenizer of a .nemo of one language into `folder`, under the names that NeMo looks for.

    Returns the whole configuration in the file. Raises KeyError where the file has no such tokenizer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(parakeet) as archive:
        members = {member.name.removeprefix("./"): member for member in archive.getmembers()}
        config: dict[str, Any] = yaml.safe_load(contents(archive, members["model_config.yaml"]))
        for key, name in (("model_path", "tokenizer.model"), ("vocab_path", "vocab.txt")):
            member = members[config["tokenizer"][key].removeprefix("nemo:")]
            (folder / name).write_bytes(contents(archive, member))
    slim(folder / "tokenizer.model")
    return config


def contents(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Read one member. Raises KeyError where it is no plain file."""
    file = archive.extractfile(member)
    if file is None:
        raise KeyError(member.name)
    return file.read()


def special_tokenizer(folder: Path) -> None:
    """Build the tokenizer of the prompt's tokens with NeMo's own program."""
    from nemo.collections.common.tokenizers.canary_tokenizer import CanaryTokenizer

    shutil.rmtree(folder, ignore_errors=True)
    CanaryTokenizer.build_special_tokenizer(list(SPECIALS), folder)
    # What it was trained from would otherwise be shipped.
    (folder / "train_text.txt").unlink(missing_ok=True)
    slim(folder / "tokenizer.model")


def slim(model: Path) -> None:
    """Take SentencePiece's table of Unicode normalisation, 240 KB, out of a model whose texts are plain ASCII."""
    from sentencepiece import sentencepiece_model_pb2

    parsed = sentencepiece_model_pb2.ModelProto()
    parsed.ParseFromString(model.read_bytes())
    parsed.normalizer_spec.name = "identity"
    parsed.normalizer_spec.precompiled_charsmap = b""
    model.write_bytes(parsed.SerializeToString())


def config(parakeet: dict[str, Any], tokenizers: Path) -> dict[str, Any]:
    """NeMo's configuration of the model, with preprocessor and encoder as in the Parakeet that it starts from."""
    modules = "nemo.collections.asr.modules."
    decoder = {
        "max_sequence_length": LONGEST_TEXT, "num_token_types": 0, "embedding_dropout": 0.05,
        "learn_positional_encodings": False, "hidden_size": WIDTH, "inner_size": 4 * WIDTH,
        "num_layers": DECODER_LAYERS, "num_attention_heads": HEADS, "ffn_dropout": 0.1, "attn_score_dropout": 0.05,
        "attn_layer_dropout": 0.1, "hidden_act": "relu", "pre_ln": True, "vocab_size": None,
    }  # fmt: skip
    slots = {
        "decodercontext": "", "source_lang": "<|en|>", "target_lang": "<|en|>", "emotion": "<|emo:undefined|>",
        "pnc": "<|pnc|>", "itn": "<|noitn|>", "diarize": "<|nodiarize|>", "timestamp": "<|notimestamp|>",
    }  # fmt: skip
    tokenizer = "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer"
    head = "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier"
    loss = "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss"
    return {
        "sample_rate": 16000, "label_smoothing": 0.1, "log_prediction": False, "prompt_format": "canary2",
        "prompt_defaults": [
            {"role": "user", "slots": slots}, {"role": "user_partial", "slots": {"decodercontext": ""}},
        ],
        "model_defaults": {"asr_enc_hidden": WIDTH, "lm_enc_hidden": WIDTH, "lm_dec_hidden": WIDTH},
        "train_ds": None, "validation_ds": None, "test_ds": None,
        "tokenizer": {
            "dir": None, "type": "agg",
            "langs": {name: {"dir": str(tokenizers / name), "type": "bpe"} for name in ("spl_tokens", "en")},
            "custom_tokenizer": {"_target_": tokenizer, "tokenizers": None},
        },
        "preprocessor": parakeet["preprocessor"], "encoder": parakeet["encoder"],
        "transf_encoder": {
            "_target_": modules + "transformer.transformer_encoders.TransformerEncoder",
            "num_layers": 0, "hidden_size": WIDTH, "inner_size": 4 * WIDTH, "num_attention_heads": HEADS,
        },
        "transf_decoder": {
            "_target_": modules + "transformer.get_nemo_transformer", "model_name": None, "pretrained": False,
            "encoder": None, "pre_ln_final_layer_norm": True, "config_dict": decoder,
        },
        "head": {
            "_target_": head, "num_layers": 1, "activation": "relu", "log_softmax": True, "hidden_size": WIDTH,
            "num_classes": None, "dropout": 0.0, "use_transformer_init": True,
        },
        "decoding": {
            "strategy": "beam", "return_best_hypothesis": True,
            "beam": {"beam_size": 1, "len_pen": 0.0, "max_generation_delta": 50},
        },
        "loss": {"_target_": loss, "label_smoothing": 0.1, "pad_id": None},
        "optim": {"name": "adamw", "lr": 1e-3},
    }  # fmt: skip
