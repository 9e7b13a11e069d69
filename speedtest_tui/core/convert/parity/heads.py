"""NeMo's CTC head, transducer and Canary decoder as plain PyTorch functions on the source weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from speedtest_tui.core.convert.parity.conformer import Scoped, Weights
from speedtest_tui.core.convert.recipe import DecoderSizes, TransducerSizes


def ctc(weights: Weights, prefix: str, states: Any) -> Any:
    """Log-probabilities (steps, labels + 1) of the CTC head called `prefix`."""
    import torch.nn.functional as F

    scope = Scoped(weights, f"{prefix}.decoder_layers.0.")
    return F.linear(states, scope("weight")[:, :, 0], scope("bias")).log_softmax(-1)


def transducer(weights: Weights, sizes: TransducerSizes, states: Any, labels: Sequence[int]) -> tuple[Any, Any]:
    """Log-probabilities of labels with blank, (steps, len(labels) + 1, ...), after each beginning of `labels`.

    The second are those of the durations; of a model without durations they have no columns.
    """
    import torch

    scope = Scoped(weights, "joint.")
    predicted = scope.linear("pred", predictor(weights, sizes, labels))
    encoded = scope.linear("enc", states)
    activation = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[sizes.activation]
    outputs = scope.linear(f"joint_net.{sizes.linear_index}", activation(encoded[:, None] + predicted[None]))
    return outputs[..., : sizes.labels + 1].log_softmax(-1), outputs[..., sizes.labels + 1 :].log_softmax(-1)


def predictor(weights: Weights, sizes: TransducerSizes, labels: Sequence[int]) -> Any:
    """LSTM output (len(labels) + 1, hidden); the first step sees zeros."""
    import torch

    prefix = "decoder.prediction."
    embedded = weights(f"{prefix}embed.weight")[list(labels)]
    lstm = torch.nn.LSTM(sizes.embedded, sizes.hidden, sizes.lstm_layers)
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            parameter.copy_(weights(f"{prefix}dec_rnn.lstm.{name}"))
        out: Any = lstm(torch.cat([torch.zeros(1, sizes.embedded), embedded]))[0]
    return out


def canary(weights: Weights, sizes: DecoderSizes, encoder_width: int, states: Any, ids: Sequence[int]) -> Any:
    """Log-probabilities (len(ids), rows) behind every id, padding rows included."""
    import torch

    if encoder_width != sizes.width:
        states = Scoped(weights, "").linear("encoder_decoder_proj", states)
    embedding = Scoped(weights, "transf_decoder._embedding.")
    if sizes.learnt_positions:
        places = embedding("position_embedding.weight")[: len(ids)]
    else:
        places = fixed_positions(len(ids), sizes.width)
    x = embedding.norm("layer_norm", embedding("token_embedding.weight")[list(ids)] + places)
    future = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    for number in range(sizes.layers):
        scope = Scoped(weights, f"transf_decoder._decoder.layers.{number}.")
        normed = scope.norm("layer_norm_1", x)
        x = x + attention(scope, "first_sub_layer", sizes.heads, normed, memory=normed, mask=future)
        x = x + attention(scope, "second_sub_layer", sizes.heads, scope.norm("layer_norm_2", x), memory=states)
        hidden = scope.linear("third_sub_layer.dense_in", scope.norm("layer_norm_3", x))
        hidden = torch.relu(hidden) if sizes.activation == "relu" else torch.nn.functional.gelu(hidden)
        x = x + scope.linear("third_sub_layer.dense_out", hidden)
    if sizes.final_norm:
        x = Scoped(weights, "transf_decoder._decoder.").norm("final_layer_norm", x)
    return Scoped(weights, "log_softmax.mlp.").linear("layer0", x).log_softmax(-1)


def fixed_positions(count: int, width: int) -> Any:
    """Sinusoids divided by the root of the width, (count, width)."""
    import torch

    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    angles = torch.arange(count, dtype=torch.float32)[:, None] * rates
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=2).reshape(count, width) / math.sqrt(width)


def attention(scope: Scoped, name: str, heads: int, x: Any, *, memory: Any, mask: Any = None) -> Any:
    import torch

    width = x.shape[-1]

    def split(part: str, value: Any) -> Any:
        return scope.linear(f"{name}.{part}", value).reshape(-1, heads, width // heads).transpose(0, 1)

    query, key, value = split("query_net", x), split("key_net", memory), split("value_net", memory)
    scores = query @ key.transpose(1, 2) / math.sqrt(width // heads)
    if mask is not None:
        scores = scores + mask
    mixed = torch.softmax(scores, dim=-1) @ value
    return scope.linear(f"{name}.out_projection", mixed.transpose(0, 1).reshape(-1, width))
