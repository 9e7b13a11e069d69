"""What a checkpoint is: its family and all its sizes, read off the configuration before any weight is touched."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from backends.nemo_mel import MelSettings, settings_of
from speedtest_tui.core.convert.config import FILE, Config, Section
from speedtest_tui.core.convert.tokenizers import TokenizerFile, tokenizer_files
from speedtest_tui.core.errors import UserError

Family = Literal["ctc", "rnnt", "tdt", "hybrid", "canary"]

MODELS = "nemo.collections.asr.models."
TARGETS = {
    MODELS + "ctc_bpe_models.EncDecCTCModelBPE": "ctc",
    MODELS + "rnnt_bpe_models.EncDecRNNTBPEModel": "rnnt",
    MODELS + "hybrid_rnnt_ctc_bpe_models.EncDecHybridRNNTCTCBPEModel": "hybrid",
    MODELS + "aed_multitask_models.EncDecMultiTaskModel": "canary",
    MODELS + "EncDecMultiTaskModel": "canary",
}
NAMES: dict[Family, str] = {
    "ctc": "Parakeet CTC", "rnnt": "Parakeet RNN-T", "tdt": "Parakeet TDT", "hybrid": "Parakeet TDT-CTC",
    "canary": "Canary",
}  # fmt: skip
SUPPORTED = "supported are Parakeet CTC, RNN-T, TDT and TDT-CTC hybrids with BPE, and Canary (EncDecMultiTaskModel)"


@dataclass(frozen=True)
class EncoderSizes:
    """A FastConformer. `channels`: of the subsampling convolutions; `factor`: mel frames for one step."""

    features: int
    layers: int
    width: int
    heads: int
    inner: int
    kernel: int
    channels: int
    factor: int
    biases: bool
    scaled: bool

    @property
    def halvings(self) -> int:
        return self.factor.bit_length() - 1

    @property
    def subsampled_features(self) -> int:
        """Mel bins that are left after every convolution of stride 2."""
        left = self.features
        for _ in range(self.halvings):
            left = (left - 1) // 2 + 1
        return left


@dataclass(frozen=True)
class TransducerSizes:
    """Predictor and joint network. `linear_index`: the place of the last layer among the joint's layers in NeMo."""

    labels: int
    embedded: int
    hidden: int
    lstm_layers: int
    joint: int
    activation: str
    outputs: int
    linear_index: int
    durations: int


@dataclass(frozen=True)
class DecoderSizes:
    """Canary's Transformer decoder. `rows`: vocabulary rounded up to a multiple of 8; `positions` where learnt."""

    rows: int
    width: int
    inner: int
    layers: int
    heads: int
    activation: str
    final_norm: bool
    longest: int
    learnt_positions: bool


@dataclass(frozen=True)
class Recipe:
    """All that the conversion of one checkpoint follows. `config` is what becomes config.json."""

    family: Family
    target: str
    config: Config
    explicit: tuple[str, ...]
    """Fields that were written out although the checkpoint leaves them to NeMo: readers have other defaults."""
    mel: MelSettings
    encoder: EncoderSizes
    tokenizer: tuple[TokenizerFile, ...]
    ctc_labels: int = 0
    transducer: TransducerSizes | None = None
    decoder: DecoderSizes | None = None

    @property
    def name(self) -> str:
        return NAMES[self.family]


def recipe_of(config: Config) -> Recipe:
    """Read a configuration. Raises UserError that names what is not supported or missing."""
    try:
        return _recipe_of(config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # NeMo's fields are many; those that are only copied are not asked for with a type.
        raise UserError(
            f"{FILE} has a value of a wrong kind ({error!s:.80})", "download the checkpoint again"
        ) from error


def _recipe_of(config: Config) -> Recipe:
    top = Section(config)
    target = top.text("target")
    if target not in TARGETS:
        raise UserError(
            f"the checkpoint is a {target.rpartition('.')[2]} ({target}), which cannot be converted", SUPPORTED
        )
    family: Family = TARGETS[target]  # type: ignore[assignment]
    tdt = bool((config.get("model_defaults") or {}).get("tdt_durations"))
    if family == "rnnt" and tdt:
        family = "tdt"
    if family == "hybrid" and not tdt:
        raise UserError("the checkpoint is an RNN-T with a CTC head, which parakeet-mlx does not know", SUPPORTED)
    written = copy.deepcopy(config)
    explicit: list[str] = []
    encoder = _encoder(top.section("encoder"), written, explicit)
    try:
        mel = settings_of(top.section("preprocessor").values)
    except (ValueError, TypeError) as error:
        raise UserError(f"the model hears another mel spectrogram: {error}", "it cannot be converted") from error
    if mel.bins != encoder.features:
        raise UserError(
            f"preprocessor.features is {mel.bins}, encoder.feat_in {encoder.features}", "download the checkpoint again"
        )
    found = Recipe(family, target, written, (), mel, encoder, tokenizer_files(top.section("tokenizer")))
    if family == "canary":
        found = replace(found, decoder=_canary(top))
    else:
        _make_readable(written, explicit)
    if family in ("rnnt", "tdt", "hybrid"):
        found = replace(found, transducer=_transducer(top, written, explicit))
    if family == "ctc":
        found = replace(found, ctc_labels=_ctc(top.section("decoder"), written["decoder"], encoder.width))
    if family == "hybrid":
        head = top.section("aux_ctc").section("decoder")
        found = replace(found, ctc_labels=_ctc(head, written["aux_ctc"]["decoder"], encoder.width))
    return replace(found, explicit=tuple(explicit))


def _explicit(written: Config, section: str, name: str, value: object, explicit: list[str]) -> None:
    if written[section].get(name) != value:
        written[section][name] = value
        explicit.append(f"{section}.{name}")


def _encoder(given: Section, written: Config, explicit: list[str]) -> EncoderSizes:
    given.must_be(
        "_target_",
        "nemo.collections.asr.modules.ConformerEncoder",
        "nemo.collections.asr.modules.conformer_encoder.ConformerEncoder",
    )
    given.must_be("subsampling", "dw_striding")
    given.must_be("self_attention_model", "rel_pos")
    given.must_be("conv_norm_type", "batch_norm")
    given.must_be("causal_downsampling", False)
    given.must_be("att_context_style", "regular")
    given.must_be("att_context_size", [-1, -1], None)
    given.must_be("conv_context_size", None)
    given.must_be("reduction", None)
    given.must_be("subsampling_factor", 8, 4, 2)
    width = given.count("d_model")
    given.must_be("feat_out", -1, width, None)
    if not given.has("subsampling"):
        given.must_be("subsampling", "dw_striding (the checkpoint names none)")
    channels = (
        width if given.values.get("subsampling_conv_channels", -1) == -1 else given.count("subsampling_conv_channels")
    )
    expansion = given.count("ff_expansion_factor", 4)
    sizes = EncoderSizes(
        features=given.count("feat_in"), layers=given.layers("n_layers"), width=width, heads=given.count("n_heads", 4),
        inner=width * expansion, kernel=given.count("conv_kernel_size", 31), channels=channels,
        factor=given.count("subsampling_factor", 4), biases=given.flag("use_bias", True),
        scaled=given.flag("xscaling", True),
    )  # fmt: skip
    if width % sizes.heads or width % 2 or sizes.kernel % 2 == 0:
        raise UserError(
            f"the encoder has width {width}, {sizes.heads} heads and kernel {sizes.kernel}", "NeMo makes no such model"
        )
    settled = {
        "n_heads": sizes.heads, "ff_expansion_factor": expansion, "subsampling_conv_channels": channels,
        "subsampling_factor": sizes.factor, "conv_kernel_size": sizes.kernel, "use_bias": sizes.biases,
        "xscaling": sizes.scaled, "self_attention_model": "rel_pos",
        "pos_emb_max_len": given.count("pos_emb_max_len", 5000), "att_context_size": [-1, -1],
    }  # fmt: skip
    for name, value in settled.items():
        _explicit(written, "encoder", name, value, explicit)
    return sizes


def _make_readable(written: Config, explicit: list[str]) -> None:
    """Give parakeet-mlx the preprocessor's fields in the types that it checks for."""
    preprocessor = written["preprocessor"]
    settings = settings_of(preprocessor)
    settled = {
        "normalize": "per_feature", "window": "hann", "features": settings.bins, "n_fft": settings.n_fft,
        "sample_rate": settings.sample_rate, "window_size": settings.window / settings.sample_rate,
        "window_stride": settings.hop / settings.sample_rate, "dither": float(preprocessor.get("dither") or 0),
        "pad_to": 0,
    }  # fmt: skip
    for name, value in settled.items():
        _explicit(written, "preprocessor", name, value, explicit)


def _ctc(given: Section, written: Config, width: int) -> int:
    given.must_be(
        "_target_",
        "nemo.collections.asr.modules.ConvASRDecoder",
        "nemo.collections.asr.modules.conv_asr.ConvASRDecoder",
    )
    labels = len(given.texts("vocabulary"))
    if given.values.get("num_classes", -1) not in (-1, labels):
        raise UserError(
            f"the CTC head has {given.values['num_classes']} classes, its vocabulary {labels}",
            "download the checkpoint again",
        )
    written |= {"feat_in": width, "num_classes": labels}
    return labels


def _transducer(top: Section, written: Config, explicit: list[str]) -> TransducerSizes:
    decoder, joint, decoding = top.section("decoder"), top.section("joint"), top.section("decoding")
    decoder.must_be(
        "_target_", "nemo.collections.asr.modules.RNNTDecoder", "nemo.collections.asr.modules.rnnt.RNNTDecoder"
    )
    decoder.must_be("normalization_mode", None)
    decoder.must_be("blank_as_pad", True)
    joint.must_be("_target_", "nemo.collections.asr.modules.RNNTJoint", "nemo.collections.asr.modules.rnnt.RNNTJoint")
    predictor, network = decoder.section("prednet"), joint.section("jointnet")
    hidden = predictor.count("pred_hidden")
    predictor.must_be("rnn_hidden_size", -1, None, hidden)
    network.must_be("activation", "relu", "tanh", "sigmoid")
    labels = decoder.count("vocab_size")
    if len(joint.texts("vocabulary")) != labels or joint.count("num_classes") != labels:
        raise UserError(
            f"predictor and joint network know different numbers of labels ({labels}, {joint.count('num_classes')})",
            "download the checkpoint again",
        )
    durations = (top.values.get("model_defaults") or {}).get("tdt_durations") or []
    joint.must_be("num_extra_outputs", len(durations), *([] if durations else [None]))
    sizes = TransducerSizes(
        labels=labels, embedded=hidden, hidden=hidden, lstm_layers=predictor.layers("pred_rnn_layers"),
        joint=network.count("joint_hidden"), activation=network.text("activation"),
        outputs=labels + 1 + len(durations), linear_index=2 if network.values.get("dropout") else 1,
        durations=len(durations),
    )  # fmt: skip
    written["joint"]["jointnet"] |= {"encoder_hidden": top.section("encoder").count("d_model"), "pred_hidden": hidden}
    if durations:
        _explicit(written, "decoding", "model_type", "tdt", explicit)
        _explicit(written, "decoding", "durations", list(durations), explicit)
    # Without a limit parakeet-mlx can go on writing labels at one step for ever; NeMo takes 10.
    greedy = dict(decoding.values.get("greedy") or {})
    limit = greedy.get("max_symbols") or greedy.get("max_symbols_per_step") or 10
    _explicit(written, "decoding", "greedy", {**greedy, "max_symbols": int(limit)}, explicit)
    return sizes


def _canary(top: Section) -> DecoderSizes:
    if ((top.values.get("transf_encoder") or {}).get("num_layers") or 0) > 0:
        top.section("transf_encoder").must_be("num_layers", 0)
    outer, head = top.section("transf_decoder"), top.section("head")
    outer.must_be("model_name", None)
    inner = outer.section("config_dict")
    inner.must_be("pre_ln", True)
    inner.must_be("num_token_types", 0)
    inner.must_be("hidden_act", "relu", "gelu")
    head.must_be("num_layers", 1)
    top.must_be("prompt_format", "canary", "canary2")
    rows = head.count("num_classes", inner.values.get("vocab_size"))
    width = inner.count("hidden_size")
    encoder = top.section("encoder").count("d_model")
    defaults = top.section("model_defaults")
    if (defaults.count("asr_enc_hidden"), defaults.count("lm_dec_hidden")) != (encoder, width):
        raise UserError("model_defaults and the widths of encoder and decoder differ", "download the checkpoint again")
    return DecoderSizes(
        rows=8 * ceil(rows / 8), width=width, inner=inner.count("inner_size"), layers=inner.layers("num_layers"),
        heads=inner.count("num_attention_heads"), activation=inner.text("hidden_act", "relu"),
        final_norm=outer.flag("pre_ln_final_layer_norm", True), longest=inner.count("max_sequence_length", 512),
        learnt_positions=inner.flag("learn_positional_encodings", False),
    )  # fmt: skip
