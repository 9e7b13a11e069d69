"""The source weights in PyTorch, one layer in memory at a time.

NeMo's CTC head, transducer and Canary decoder as plain PyTorch functions on the source weights.

NeMo's FastConformer encoder as plain PyTorch functions on the source weights, for one clip without padding.

Written from NeMo's definition and checked against NeMo itself (tests/nemo): it shares no code with what it proves.
Weights are asked for when their layer is computed, so that one layer is in memory at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.convert.parity import ENCODER, Inputs, head_name
from speedtest_tui.core.convert.recipe import DecoderSizes, EncoderSizes, Recipe, TransducerSizes

if TYPE_CHECKING:
    from speedtest_tui.core.convert.parity import Outputs


def run(recipe: Recipe, checkpoint: Checkpoint, inputs: Inputs) -> Outputs:
    """Compute every stage in float32. Raises UserError, OSError."""
    import torch

    # It runs beside the writing, which has a core of its own.
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))

    def weights(name: str) -> Any:
        return torch.from_numpy(checkpoint.read(name))

    with torch.inference_mode():
        states = encoder(weights, recipe.encoder, torch.from_numpy(inputs.mel))
        found = {ENCODER: states.numpy()}
        if recipe.ctc_labels:
            prefix = "ctc_decoder" if recipe.transducer else "decoder"
            found[head_name("ctc")] = ctc(weights, prefix, states).numpy()
        if recipe.transducer:
            labels, durations = transducer(weights, recipe.transducer, states, inputs.labels)
            found[head_name("joint")] = labels.numpy()
            if recipe.transducer.durations:
                found[head_name("durations")] = durations.numpy()
        if recipe.decoder:
            decoder = canary(weights, recipe.decoder, recipe.encoder.width, states, inputs.ids)
            found[head_name("decoder")] = decoder.numpy()
    return found


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


Weights = Callable[[str], Any]
"""Gives the tensor (float32) of a NeMo name."""

NORM_EPSILON = 1e-5


def encoder(weights: Weights, sizes: EncoderSizes, mel: Any) -> Any:
    """Encoder output (steps, width) of a mel spectrogram (frames, bins)."""
    x = subsample(weights, sizes, mel)
    if sizes.scaled:
        x = x * math.sqrt(sizes.width)
    positions = relative_positions(len(x), sizes.width)
    for number in range(sizes.layers):
        x = layer(Scoped(weights, f"encoder.layers.{number}."), sizes, x, positions)
    return x


class Scoped:
    """The weights below a prefix, with the few operations that every layer has."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self._weights, self._prefix = weights, prefix

    def __call__(self, name: str) -> Any:
        return self._weights(self._prefix + name)

    def linear(self, name: str, x: Any, bias: bool = True) -> Any:
        import torch.nn.functional as F

        return F.linear(x, self(f"{name}.weight"), self(f"{name}.bias") if bias else None)

    def norm(self, name: str, x: Any) -> Any:
        import torch.nn.functional as F

        return F.layer_norm(x, x.shape[-1:], self(f"{name}.weight"), self(f"{name}.bias"), NORM_EPSILON)


def subsample(weights: Weights, sizes: EncoderSizes, mel: Any) -> Any:
    """Convolutions of stride 2 over time and frequency, then a linear layer."""
    import torch.nn.functional as F

    scope = Scoped(weights, "encoder.pre_encode.")

    def conv(x: Any, number: int, stride: int, padding: int, groups: int = 1) -> Any:
        return F.conv2d(x, scope(f"conv.{number}.weight"), scope(f"conv.{number}.bias"), stride, padding, 1, groups)

    x = F.relu(conv(mel[None, None], 0, 2, 1))
    for step in range(1, sizes.halvings):
        x = conv(x, 3 * step - 1, 2, 1, groups=sizes.channels)
        x = F.relu(conv(x, 3 * step, 1, 0))
    frames = x.shape[2]
    return scope.linear("out", x[0].transpose(0, 1).reshape(frames, -1))


def relative_positions(steps: int, width: int) -> Any:
    """Sinusoids for the distances steps - 1 down to -(steps - 1), shape (2 steps - 1, width)."""
    import torch

    distances = torch.arange(steps - 1, -steps, -1, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    return torch.stack([torch.sin(distances * rates), torch.cos(distances * rates)], dim=2).reshape(-1, width)


def layer(weights: Scoped, sizes: EncoderSizes, x: Any, positions: Any) -> Any:
    x = x + 0.5 * feed_forward(weights, sizes, "1", x)
    x = x + relative_attention(weights, sizes, weights.norm("norm_self_att", x), positions)
    x = x + convolution(weights, sizes, weights.norm("norm_conv", x))
    x = x + 0.5 * feed_forward(weights, sizes, "2", x)
    return weights.norm("norm_out", x)


def feed_forward(weights: Scoped, sizes: EncoderSizes, number: str, x: Any) -> Any:
    import torch.nn.functional as F

    hidden = weights.linear(
        f"feed_forward{number}.linear1", weights.norm(f"norm_feed_forward{number}", x), sizes.biases
    )
    return weights.linear(f"feed_forward{number}.linear2", F.silu(hidden), sizes.biases)


def relative_attention(weights: Scoped, sizes: EncoderSizes, x: Any, positions: Any) -> Any:
    """Self-attention with relative positions, as in Transformer-XL (arXiv 1901.02860, section 3.3)."""
    import torch

    steps, head = len(x), sizes.width // sizes.heads

    def heads(name: str, value: Any, bias: bool) -> Any:
        split = weights.linear(f"self_attn.linear_{name}", value, bias).reshape(-1, sizes.heads, head)
        return split.transpose(0, 1)

    query, key, value = (heads(name, x, sizes.biases) for name in ("q", "k", "v"))
    place = heads("pos", positions, False)
    u, v = weights("self_attn.pos_bias_u")[:, None], weights("self_attn.pos_bias_v")[:, None]
    by_content = (query + u) @ key.transpose(1, 2)
    by_distance = (query + v) @ place.transpose(1, 2)
    # Row i of `by_distance` begins with distance steps - 1; the distance of column j is i - j.
    rows, columns = torch.arange(steps)[:, None], torch.arange(steps)[None]
    by_distance = by_distance.gather(2, (steps - 1 - rows + columns).expand(sizes.heads, -1, -1))
    shares = torch.softmax((by_content + by_distance) / math.sqrt(head), dim=-1)
    mixed = (shares @ value).transpose(0, 1).reshape(steps, sizes.width)
    return weights.linear("self_attn.linear_out", mixed, sizes.biases)


def convolution(weights: Scoped, sizes: EncoderSizes, x: Any) -> Any:
    import torch.nn.functional as F

    def conv(name: str, value: Any, padding: int = 0, groups: int = 1) -> Any:
        bias = weights(f"conv.{name}.bias") if sizes.biases else None
        return F.conv1d(value, weights(f"conv.{name}.weight"), bias, 1, padding, 1, groups)

    x = F.glu(conv("pointwise_conv1", x.T[None]), dim=1)
    x = conv("depthwise_conv", x, sizes.kernel // 2, sizes.width)
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (weights(f"conv.batch_norm.{name}") for name in names)
    x = F.batch_norm(x, mean, variance, scale, shift, eps=NORM_EPSILON)
    return conv("pointwise_conv2", F.silu(x))[0].T
