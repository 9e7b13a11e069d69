"""What a Canary folder's config.json says of the model, whichever program wrote it.

Three programs are known: this one's converter (NeMo's yaml as JSON), canary-mlx 0.1 (flat `transf_decoder`) and
mlx-audio 0.6 (`model_type`: "canary"). What cannot be computed faithfully is refused by name; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backends.base import BackendError

Layout = Literal["nemo", "canary-mlx", "mlx-audio"]
Config = Mapping[str, Any]

_MEL = {"features": 128, "window_size": 0.025, "window_stride": 0.01, "n_fft": 512}
"""What canary-1b-v2 was trained with; mlx-audio leaves it out."""

PROMPT_FORMATS = ("canary", "canary2")


@dataclass(frozen=True)
class Encoder:
    """A FastConformer; the names are those of NeMo's yaml."""

    feat_in: int
    n_layers: int
    d_model: int
    n_heads: int
    ff_expansion_factor: int
    subsampling_factor: int
    conv_kernel_size: int
    subsampling_conv_channels: int
    pos_emb_max_len: int
    use_bias: bool
    xscaling: bool


@dataclass(frozen=True)
class Decoder:
    """A Transformer decoder with LayerNorm before each sub-layer. `rows` counts embedding rows, padding included."""

    num_layers: int
    hidden_size: int
    inner_size: int
    num_attention_heads: int
    max_sequence_length: int
    rows: int
    learnt_positions: bool
    final_norm: bool
    activation: Literal["relu", "gelu"]


@dataclass(frozen=True)
class Search:
    """How far and how wide NeMo was told to search. `delta`: tokens beyond the number of encoder steps, -1 for any."""

    beam: int = 1
    length_penalty: float = 0.0
    delta: int = -1
    greedy: bool = False
    """NeMo's greedy search ends one token earlier than its beam search, which writes the first outside its count."""


@dataclass(frozen=True)
class Architecture:
    """All of a model but its weights and tokenizers. `mel` holds NeMo's names of the preprocessor's settings."""

    layout: Layout
    encoder: Encoder
    decoder: Decoder
    search: Search
    prompt_format: str
    mel: Mapping[str, Any]
    tokenizer: Mapping[str, Any]

    @property
    def step_seconds(self) -> float:
        """Seconds of sound for each encoder step."""
        return float(self.mel.get("window_stride", 0.01)) * self.encoder.subsampling_factor


def refused(what: str) -> BackendError:
    """A model that this program does not run."""
    return BackendError(f"this Canary model cannot be run here: {what}", kind="model")


def read(config: Config) -> Architecture:
    """Read a config.json. Raises BackendError that names what is missing or unsupported."""
    try:
        layout = layout_of(config)
        prompt = config.get("prompt_format", "canary2" if layout == "mlx-audio" else "")
        if prompt not in PROMPT_FORMATS:
            raise refused(f"prompt format {prompt!r}; known are {' and '.join(PROMPT_FORMATS)}")
        if int((config.get("transf_encoder") or {}).get("num_layers") or 0) > 0:
            raise refused("it has a Transformer encoder behind the FastConformer")
        return Architecture(
            layout=layout,
            encoder=_encoder(config.get("encoder") or {}, layout),
            decoder=_decoder(config, layout),
            search=_search(config.get("decoding") or {}),
            prompt_format=prompt,
            mel={**_MEL, **(config.get("preprocessor") or {})},
            tokenizer=config.get("tokenizer") or {},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise refused(f"its config.json is incomplete ({type(error).__name__}: {error})") from error


def layout_of(config: Config) -> Layout:
    """Which program wrote the folder. Raises BackendError where none of the known ones did."""
    target = str(config.get("target", ""))
    if target.endswith("EncDecMultiTaskModel"):
        return "nemo"
    if target:
        raise refused(f"it is a {target.rpartition('.')[2]}, not an EncDecMultiTaskModel")
    if config.get("model_type") == "canary":
        return "mlx-audio"
    if isinstance(config.get("transf_decoder"), dict) and isinstance(config.get("head"), dict):
        return "canary-mlx"
    raise refused("its config.json is of no layout that is known (NeMo's own, canary-mlx's, mlx-audio's)")


def _encoder(given: Config, layout: Layout) -> Encoder:
    for name, wanted in (("self_attention_model", "rel_pos"), ("subsampling", "dw_striding")):
        if given.get(name, wanted) != wanted:
            raise refused(f"encoder with {name} {given[name]!r}")
    if given.get("conv_norm_type", "batch_norm") != "batch_norm":
        raise refused(f"encoder with conv_norm_type {given['conv_norm_type']!r}")
    context = given.get("att_context_size") or [-1, -1]
    if given.get("causal_downsampling") or list(context) != [-1, -1]:
        raise refused("its encoder is made for streaming (limited context or causal convolutions)")
    # mlx-audio leaves out what canary-1b-v2 has in common with its defaults.
    fallback = {"feat_in": 128, "n_layers": 32, "d_model": 1024, "n_heads": 8} if layout == "mlx-audio" else {}
    named = {**fallback, **given}
    channels = int(named.get("subsampling_conv_channels", 256))
    return Encoder(
        feat_in=int(named["feat_in"]),
        n_layers=int(named["n_layers"]),
        d_model=int(named["d_model"]),
        n_heads=int(named["n_heads"]),
        ff_expansion_factor=int(named.get("ff_expansion_factor", 4)),
        subsampling_factor=int(named.get("subsampling_factor", 8)),
        conv_kernel_size=int(named.get("conv_kernel_size", 9)),
        subsampling_conv_channels=int(named["d_model"]) if channels == -1 else channels,
        pos_emb_max_len=int(named.get("pos_emb_max_len", 5000)),
        use_bias=bool(named.get("use_bias", True)),
        xscaling=bool(named.get("xscaling", True)),
    )


def _decoder(config: Config, layout: Layout) -> Decoder:
    outer: Config = config.get("transf_decoder") or {}
    inner: Config = outer.get("config_dict") or outer.get("decoder") or outer
    if layout == "mlx-audio":
        width = int(config.get("enc_output_dim", 1024))
        inner = {"num_layers": 8, "num_attention_heads": 16, "inner_size": 4096, **inner, "hidden_size": width}
        inner = {"max_sequence_length": 1024, "pre_ln": True, **inner}
    rows = (config.get("head") or {}).get("num_classes") or inner.get("vocab_size") or config.get("vocab_size")
    if not isinstance(rows, int):
        raise refused("its config.json does not give the number of classes (head.num_classes)")
    if not inner.get("pre_ln", False):
        raise refused("decoder with LayerNorm behind its sub-layers (pre_ln: false)")
    if int(inner.get("num_token_types", 0) or 0) > 0:
        raise refused("decoder with token types")
    activation = inner.get("hidden_act", "relu")
    if activation not in ("relu", "gelu"):
        raise refused(f"decoder with activation {activation!r}")
    if int((config.get("head") or {}).get("num_layers", 1)) != 1:
        raise refused("head of more than one layer")
    return Decoder(
        num_layers=int(inner["num_layers"]),
        hidden_size=int(inner["hidden_size"]),
        inner_size=int(inner["inner_size"]),
        num_attention_heads=int(inner["num_attention_heads"]),
        max_sequence_length=int(inner.get("max_sequence_length", 512)),
        rows=rows,
        learnt_positions=bool(inner.get("learn_positional_encodings", False)),
        final_norm=bool(outer.get("pre_ln_final_layer_norm", inner.get("pre_ln_final_layer_norm", True))),
        activation=activation,
    )


def _search(given: Config) -> Search:
    greedy = given.get("strategy") in ("greedy", "greedy_batch")
    chosen: Config = given.get("greedy" if greedy else "beam") or {}
    return Search(
        beam=1 if greedy else max(1, int(chosen.get("beam_size", 1))),
        # NeMo 3.0 reads `length_penalty`; the `len_pen` of its own examples is without effect.
        length_penalty=0.0 if greedy else float(chosen.get("length_penalty", 0.0)),
        delta=int(chosen.get("max_generation_delta", -1)),
        greedy=greedy,
    )
