"""What the weights of a Canary folder are called, in each known layout, and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backends.canary.architecture import Layout

Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


NEMO = _rules(
    (r"^transf_decoder\._embedding\.", "transf_decoder.embedding."),
    (r"^transf_decoder\._decoder\.", "transf_decoder.decoder."),
    (r"^log_softmax\.mlp\.layer0\.", "head."),
)
CANARY_MLX = _rules(
    (r"^head\.classifier\.", "head."),
    (r"^transf_decoder\.(token_embedding|position_embedding)\.", r"transf_decoder.embedding.\1."),
    (r"^transf_decoder\.embedding_layer_norm\.", "transf_decoder.embedding.layer_norm."),
    (r"^transf_decoder\.(layers|final_layer_norm)\.", r"transf_decoder.decoder.\1."),
    (r"_sub_layer\.linear_q\.", "_sub_layer.query_net."),
    (r"_sub_layer\.linear_k\.", "_sub_layer.key_net."),
    (r"_sub_layer\.linear_v\.", "_sub_layer.value_net."),
    (r"_sub_layer\.linear_out\.", "_sub_layer.out_projection."),
    (r"_sub_layer\.linear1\.", "_sub_layer.dense_in."),
    (r"_sub_layer\.linear2\.", "_sub_layer.dense_out."),
)
MLX_AUDIO = _rules(
    (r"^encoder\.projection\.", "encoder_decoder_proj."),
    (r"^encoder\.conformer\.", "encoder."),
    (r"^decoder\.embedding\.", "transf_decoder.embedding.token_embedding."),
    (r"^decoder\.embedding_layer_norm\.", "transf_decoder.embedding.layer_norm."),
    (r"^decoder\.final_norm\.", "transf_decoder.decoder.final_layer_norm."),
    (r"^decoder\.output_proj\.", "head."),
    (r"^decoder\.blocks\.(\d+)\.", r"transf_decoder.decoder.layers.\1."),
    (r"\.self_attn_norm\.", ".layer_norm_1."),
    (r"\.cross_attn_norm\.", ".layer_norm_2."),
    (r"\.ff_norm\.", ".layer_norm_3."),
    (r"^(transf_decoder.*)\.self_attn\.", r"\1.first_sub_layer."),
    (r"^(transf_decoder.*)\.cross_attn\.", r"\1.second_sub_layer."),
    (r"\.q_proj\.", ".query_net."),
    (r"\.k_proj\.", ".key_net."),
    (r"\.v_proj\.", ".value_net."),
    (r"\.out_proj\.", ".out_projection."),
    (r"^(transf_decoder.*)\.ff1\.", r"\1.third_sub_layer.dense_in."),
    (r"^(transf_decoder.*)\.ff2\.", r"\1.third_sub_layer.dense_out."),
)
RULES: Mapping[Layout, Rules] = {"nemo": NEMO, "canary-mlx": CANARY_MLX, "mlx-audio": MLX_AUDIO}


def layout_of(names: set[str], declared: Layout) -> Layout:
    """Which layout the weights have; mlx-audio also reads folders that keep the names of the other two."""
    if declared == "mlx-audio" and not any(name.startswith("decoder.blocks.") for name in names):
        return "canary-mlx" if "head.classifier.weight" in names else "nemo"
    return declared


def renamed(name: str, layout: Layout) -> str:
    """The name of a parameter of `backends.canary.model`."""
    for pattern, replacement in RULES[layout]:
        name = pattern.sub(replacement, name)
    return name
