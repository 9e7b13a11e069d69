"""Whether a library can use the settings that it finds beside a model's weights: what it does not do without.

Proved by the libraries themselves, tests/unit/test_accepted_files.py: nothing is refused that one of them loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from speedtest_tui.core import disk
from speedtest_tui.core.models import structure

Settings = Mapping[str, Any]
Shapes = Mapping[str, list[int]]

MLX_WHISPER = (
    "n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_vocab", "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer",
)  # fmt: skip
"""mlx-whisper 0.4 `ModelDimensions`: all of them, and none has a default."""

TRANSFORMERS = {
    "d_model": 384, "vocab_size": 51865, "num_mel_bins": 80, "encoder_layers": 4, "decoder_layers": 4,
    "encoder_attention_heads": 6, "decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536,
    "max_source_positions": 1500, "max_target_positions": 448,
}  # fmt: skip
"""What transformers 5 `WhisperConfig` takes where its config.json says nothing: the tiny model."""

SHAPES: Mapping[str, tuple[str | int, ...]] = {
    "model.decoder.embed_tokens.weight": ("vocab_size", "d_model"),
    "model.decoder.embed_positions.weight": ("max_target_positions", "d_model"),
    "model.encoder.embed_positions.weight": ("max_source_positions", "d_model"),
    "model.encoder.conv1.weight": ("d_model", "num_mel_bins", 3),
    "model.encoder.layers.0.fc1.weight": ("encoder_ffn_dim", "d_model"),
    "model.decoder.layers.0.fc1.weight": ("decoder_ffn_dim", "d_model"),
}
"""Which of them show in the weights: others are refused, and of layers too few or too many the text is noise."""

_TDT = "model_type durations"
PARAKEET_SECTIONS = {
    "preprocessor": "sample_rate normalize window_size window_stride window features n_fft dither",
    "encoder": "feat_in n_layers d_model n_heads ff_expansion_factor subsampling_factor self_attention_model"
    " subsampling conv_kernel_size subsampling_conv_channels pos_emb_max_len",
    "decoder": "blank_as_pad vocab_size",
    "decoder.prednet": "pred_hidden pred_rnn_layers",
    "joint": "num_classes vocabulary",
    "joint.jointnet": "joint_hidden activation encoder_hidden pred_hidden",
    "aux_ctc.decoder": "feat_in num_classes vocabulary",
    "ctc": "feat_in num_classes vocabulary",
    "decoding": "",
}
"""What parakeet-mlx 0.5 `from_config` reads into dataclasses, and has no default for."""

_RNNT = ("preprocessor", "encoder", "decoder", "decoder.prednet", "joint", "joint.jointnet", "decoding")
_NEMO = "nemo.collections.asr.models."
PARAKEET = {
    f"{_NEMO}rnnt_bpe_models.EncDecRNNTBPEModel": _RNNT,
    f"{_NEMO}hybrid_rnnt_ctc_bpe_models.EncDecHybridRNNTCTCBPEModel": (*_RNNT, "aux_ctc.decoder"),
    f"{_NEMO}ctc_bpe_models.EncDecCTCModelBPE": ("preprocessor", "encoder", "ctc", "decoding"),
}
WORDS = ("normalize", "window", "self_attention_model", "subsampling", "activation", "model_type")
LISTS = ("vocabulary", "durations")

ANOTHER = "is of another model than the weights beside it"


def problem(found: Settings, name: str, reader: str, weights: Path | None) -> str:
    """What keeps a library from using the settings in a file; "" where nothing does, or nobody knows.

    name: of the file, as the sentence names it
    weights: the file with the model's numbers, as far as it is there and sound
    """
    if not isinstance(found, dict):
        return ""
    if name.endswith("config.json") and name != "config.json":
        return _feature_extractor(found, name)
    if not found:
        return f"{name} holds no settings"
    shapes = shapes_in(weights) if weights else {}
    what = READERS[reader](found, shapes) if reader in READERS else ""
    return f"{name} {what}" if what else ""


def shapes_in(weights: Path) -> Shapes:
    """The shapes of the tensors in a safetensors file; none of another one. Never raises."""
    try:
        status = weights.stat()
    except OSError:
        return {}
    return _shapes(weights, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _shapes(weights: Path, _inode: int, size: int, _mtime_ns: int) -> Shapes:
    if weights.suffix != ".safetensors":
        return {}
    try:
        with disk.opened_plain(weights) as file:
            tensors = structure.tensors_in(file, weights.name, size)[1]
        return {name: tensor["shape"] for name, tensor in tensors.items() if name != "__metadata__"}
    except (OSError, structure.Flaw, KeyError, TypeError):
        return {}


def _lacks(names: object) -> str:
    return f'has no "{names}", without which the model is not loaded'


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _mlx_whisper(found: Settings, _: Shapes) -> str:
    if lacking := next((name for name in MLX_WHISPER if name not in found), ""):
        return _lacks(lacking)
    if wrong := next((name for name in MLX_WHISPER if not _is_size(found[name])), ""):
        return f'has a "{wrong}" that is no size'
    return "" if isinstance(found.get("quantization"), dict | None) else 'has a "quantization" that says nothing'


def _transformers(found: Settings, shapes: Shapes) -> str:
    kind = found.get("model_type")
    if kind != "whisper":
        return f"is of a model of type {str(kind)[:40]!r}, not of Whisper" if kind else _lacks("model_type")
    if found.get("quantization_config"):  # packed numbers have other shapes
        shapes = {}
    given = {name: found.get(name, None if not shapes else usual) for name, usual in TRANSFORMERS.items()}
    if wrong := next((name for name, value in given.items() if not _is_size(value)), ""):
        return f'has a "{wrong}" that is no size' if wrong in found else _lacks(wrong)
    for side in ("encoder", "decoder"):
        layers = [name for name in shapes if re.fullmatch(rf"model\.{side}\.layers\.\d+\.fc1\.weight", name)]
        if layers and len(layers) != given[f"{side}_layers"]:
            return ANOTHER
    wanted = {name: [given.get(str(part), part) for part in shape] for name, shape in SHAPES.items()}
    return ANOTHER if any(shapes.get(name, shape) != shape for name, shape in wanted.items()) else ""


def _feature_extractor(found: Settings, name: str) -> str:
    """transformers 5 reads preprocessor_config.json whatever is in it, of processor_config.json one part."""
    alone = name == "processor_config.json" and not isinstance(found.get("feature_extractor"), dict)
    return f"{name} {_lacks('feature_extractor')}, and there is no preprocessor_config.json" if alone else ""


def _parakeet(found: Settings, _: Shapes) -> str:
    target = str(found.get("target") or "")
    if target not in PARAKEET:
        kind = target.rpartition(".")[2][:40]
        return f"is of a model of type {kind!r}, which parakeet-mlx does not know" if kind else _lacks("target")
    defaults = found.get("model_defaults")
    tdt = isinstance(defaults, dict) and defaults.get("tdt_durations") is not None
    if not tdt and target.endswith("HybridRNNTCTCBPEModel"):
        return _lacks("model_defaults.tdt_durations")
    for section in PARAKEET[target]:
        path = "decoder" if section == "ctc" else section
        part: Any = found
        for step in path.split("."):
            part = part.get(step) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            return _lacks(path)
        for name in (PARAKEET_SECTIONS[section] + (f" {_TDT}" if section == "decoding" and tdt else "")).split():
            expected = str if name in WORDS else list if name in LISTS else (int, float)
            if not isinstance(part.get(name), expected):
                return _lacks(f"{path}.{name}") if part.get(name) is None else f'has a "{path}.{name}" that is none'
    return ""


def _canary(found: Settings, _: Shapes) -> str:
    from backends.base import BackendError
    from backends.canary import architecture

    try:
        tokenizer = architecture.read(found).tokenizer
    except BackendError as error:
        return f"does not do: {error}"
    return "" if isinstance(tokenizer, dict) and tokenizer else _lacks("tokenizer")


READERS: Mapping[str, Callable[[Settings, Shapes], str]] = {
    "mlx-whisper": _mlx_whisper,
    "transformers": _transformers,
    "parakeet-mlx": _parakeet,
    "canary-mlx": _canary,
}
