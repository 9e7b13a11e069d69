"""Writes small Canary models with random weights: `python -m canary_toy FOLDER`; reads NeMo's archives with torch."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPECIALS = (
    *("<|nospeech|>", "<pad>", "<|endoftext|>", "<|startoftranscript|>", "<|pnc|>", "<|nopnc|>", "<|startofcontext|>"),
    *("<|emo:undefined|>", "<|en|>", "<|de|>", "<|itn|>", "<|noitn|>", "<|timestamp|>", "<|notimestamp|>"),
    *("<|diarize|>", "<|nodiarize|>", "<|transcribe|>", "<|translate|>", "<|0|>", "<|1|>", "<|2|>", "<|3|>"),
)
ENGLISH = ("<unk>", "▁the", "▁quick", "▁fox", "s", "▁a", "b", "c", "▁d", ".")
GERMAN = ("<unk>", "▁der", "▁die", "▁fox", "n", "<|en|>")
"""The last two also stand elsewhere: a search over all parts would find the wrong ids."""

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4


def sentencepiece(pieces: Sequence[str], kind: int = 1) -> bytes:
    """A SentencePiece model that holds nothing but pieces."""
    out = bytearray()
    for piece in pieces:
        text = piece.encode()
        number = UNKNOWN if piece == "<unk>" else kind
        # The piece, a score of 0.0, the type.
        message = bytes((0x0A, len(text))) + text + b"\x15\0\0\0\0" + bytes((0x18, number))
        out += bytes((0x0A, len(message))) + message
    return bytes(out)


def config(prompt: str = "canary2", width: int = 16, decoder_width: int = 16, layers: int = 2) -> dict[str, Any]:
    rows = len(SPECIALS) + 1 + len(ENGLISH) + len(GERMAN)
    parts = {name: {"type": "bpe", "model_path": f"nemo:{name}.model"} for name in ("spl_tokens", "en", "de")}
    return {
        "target": "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel",
        "prompt_format": prompt,
        "preprocessor": {"features": 80, "window_size": 0.025, "window_stride": 0.01, "n_fft": 512},
        "encoder": {
            "feat_in": 80, "n_layers": 1, "d_model": width, "n_heads": 2, "ff_expansion_factor": 2,
            "subsampling_factor": 8, "conv_kernel_size": 5, "subsampling_conv_channels": 8, "xscaling": False,
        },
        "transf_decoder": {
            "pre_ln_final_layer_norm": True,
            "config_dict": {
                "max_sequence_length": 300, "num_token_types": 0, "hidden_size": decoder_width,
                "inner_size": 2 * decoder_width, "num_layers": layers, "num_attention_heads": 2, "pre_ln": True,
                "hidden_act": "relu", "vocab_size": None,
            },
        },
        "head": {"num_layers": 1, "num_classes": (rows + 7) // 8 * 8},
        "decoding": {"strategy": "beam", "beam": {"beam_size": 1, "max_generation_delta": 20}},
        "tokenizer": {"type": "agg", "langs": parts},
    }  # fmt: skip


def nemo_name(name: str) -> str:
    """The name in NeMo's checkpoints of one of our parameters."""
    name = name.replace("transf_decoder.embedding.", "transf_decoder._embedding.")
    name = name.replace("transf_decoder.decoder.", "transf_decoder._decoder.")
    return name.replace("head.", "log_softmax.mlp.layer0.") if name.startswith("head.") else name


def write(folder: Path, seed: int = 3, **changes: Any) -> Path:
    """Write config.json, model.safetensors and the tokenizers; `changes` go to `config`."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from backends.canary import architecture
    from backends.canary.model import Canary

    settings = config(**changes)
    found = architecture.read(settings)
    mx.random.seed(seed)
    model = Canary(found, projection=found.encoder.d_model != found.decoder.hidden_size)
    # MLX begins with embeddings so small that every search would take the same path.
    weights = {nemo_name(k): 3 * v if "embedding.weight" in k else v for k, v in tree_flatten(model.parameters())}
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "spl_tokens.model").write_bytes(sentencepiece(("<unk>", *SPECIALS), USER_DEFINED))
    (folder / "en.model").write_bytes(sentencepiece(ENGLISH))
    (folder / "de.model").write_bytes(sentencepiece(GERMAN))
    return folder


def unpack(archive: Path, folder: Path) -> Path:
    """Turn a Canary .nemo of our own fixtures into a folder, with torch: no converter takes part."""
    import mlx.core as mx
    import torch
    import yaml

    with tarfile.open(archive, "r:*") as opened:
        files = {m.name.removeprefix("./"): opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]
    weights = {}
    for name, value in torch.load(io.BytesIO(files.pop("model_weights.ckpt")), weights_only=True).items():
        if name.startswith("preprocessor.") or name.endswith(("num_batches_tracked", "pos_enc")):
            continue
        order = {4: (0, 2, 3, 1), 3: (0, 2, 1)}.get(value.ndim)
        weights[name] = mx.array((value.permute(order) if order else value).contiguous().numpy())
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    (folder / "config.json").write_text(json.dumps(yaml.safe_load(files.pop("model_config.yaml"))))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]))
