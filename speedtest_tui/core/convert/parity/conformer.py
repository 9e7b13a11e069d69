"""NeMo's FastConformer encoder as plain PyTorch functions on the source weights, for one clip without padding.

Written from NeMo's definition and checked against NeMo itself (tests/nemo): it shares no code with what it proves.
Weights are asked for when their layer is computed, so that one layer is in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from speedtest_tui.core.convert.recipe import EncoderSizes

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
    x = x + attention(weights, sizes, weights.norm("norm_self_att", x), positions)
    x = x + convolution(weights, sizes, weights.norm("norm_conv", x))
    x = x + 0.5 * feed_forward(weights, sizes, "2", x)
    return weights.norm("norm_out", x)


def feed_forward(weights: Scoped, sizes: EncoderSizes, number: str, x: Any) -> Any:
    import torch.nn.functional as F

    hidden = weights.linear(
        f"feed_forward{number}.linear1", weights.norm(f"norm_feed_forward{number}", x), sizes.biases
    )
    return weights.linear(f"feed_forward{number}.linear2", F.silu(hidden), sizes.biases)


def attention(weights: Scoped, sizes: EncoderSizes, x: Any, positions: Any) -> Any:
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
