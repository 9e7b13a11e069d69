"""Canary's network in MLX: parakeet-mlx's FastConformer, and a Transformer decoder that keeps its keys and values.

Parameter names are NeMo's, without the underscores that would hide them from MLX (`_embedding`, `_decoder`), and `head`
for `log_softmax.mlp.layer0`. Batches hold hypotheses about one clip, so nothing is padded and nothing masked but the
future.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
from mlx import nn

from backends.canary.architecture import Architecture, Decoder, Encoder

BLOCK = 128
"""Positions by which a cache grows: seldom enough for a token's cost to stay the same."""


class Cache:
    """One layer's keys and values, (batch, heads, positions, head width): what was written, and what was heard."""

    def __init__(self) -> None:
        self.length = 0
        self.written: tuple[Any, Any] | None = None
        self.heard: tuple[Any, Any] | None = None

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        """Add the newest positions; return all of them."""
        start, self.length = self.length, self.length + keys.shape[2]
        grown = []
        for old, new in zip(self.written or (None, None), (keys, values), strict=True):
            buffer = old
            if buffer is None or buffer.shape[2] < self.length:
                batch, heads, _, width = new.shape
                size = math.ceil(self.length / BLOCK) * BLOCK
                buffer = mx.zeros((batch, heads, size, width), new.dtype)
                if old is not None:
                    buffer[:, :, :start] = old[:, :, :start]
            buffer[:, :, start : self.length] = new
            grown.append(buffer)
        self.written = (grown[0], grown[1])
        return grown[0][:, :, : self.length], grown[1][:, :, : self.length]

    def reorder(self, rows: Any) -> None:
        """Let row i go on from what was row `rows[i]`; more rows than before are fine."""
        for name in ("written", "heard"):
            pair = getattr(self, name)
            if pair is not None:
                setattr(self, name, (pair[0][rows], pair[1][rows]))


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention, scaled by the root of a head's width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.query_net = nn.Linear(width, width)
        self.key_net = nn.Linear(width, width)
        self.value_net = nn.Linear(width, width)
        self.out_projection = nn.Linear(width, width)

    def split(self, x: Any) -> Any:
        batch, positions, width = x.shape
        return x.reshape(batch, positions, self.heads, width // self.heads).transpose(0, 2, 1, 3)

    def keys(self, x: Any) -> tuple[Any, Any]:
        return self.split(self.key_net(x)), self.split(self.value_net(x))

    def __call__(self, x: Any, keys: Any, values: Any, mask: Any = None) -> Any:
        found = mx.fast.scaled_dot_product_attention(
            self.split(self.query_net(x)), keys, values, scale=self.scale, mask=mask
        )
        return self.out_projection(found.transpose(0, 2, 1, 3).reshape(x.shape))


class FeedForward(nn.Module):  # type: ignore[misc]
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.dense_in = nn.Linear(decoder.hidden_size, decoder.inner_size)
        self.dense_out = nn.Linear(decoder.inner_size, decoder.hidden_size)
        self.activation = nn.relu if decoder.activation == "relu" else nn.gelu

    def __call__(self, x: Any) -> Any:
        return self.dense_out(self.activation(self.dense_in(x)))


class Block(nn.Module):  # type: ignore[misc]
    """Self-attention, attention to the encoder, feed-forward; LayerNorm before each."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        width, heads = decoder.hidden_size, decoder.num_attention_heads
        self.layer_norm_1, self.layer_norm_2, self.layer_norm_3 = (nn.LayerNorm(width) for _ in range(3))
        self.first_sub_layer = Attention(width, heads)
        self.second_sub_layer = Attention(width, heads)
        self.third_sub_layer = FeedForward(decoder)

    def __call__(self, x: Any, states: Any, mask: Any, cache: Cache) -> Any:
        normed = self.layer_norm_1(x)
        x = x + self.first_sub_layer(normed, *cache.extend(*self.first_sub_layer.keys(normed)), mask)
        if cache.heard is None:
            cache.heard = self.second_sub_layer.keys(states)
        x = x + self.second_sub_layer(self.layer_norm_2(x), *cache.heard)
        return x + self.third_sub_layer(self.layer_norm_3(x))


class Embedding(nn.Module):  # type: ignore[misc]
    """Tokens plus positions; the fixed positions are sinusoids divided by the root of the width."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(decoder.rows, decoder.hidden_size)
        self.layer_norm = nn.LayerNorm(decoder.hidden_size)
        if decoder.learnt_positions:
            self.position_embedding = nn.Embedding(decoder.max_sequence_length, decoder.hidden_size)
        else:
            self._sinusoids = sinusoids(decoder.max_sequence_length, decoder.hidden_size)

    def __call__(self, ids: Any, start: int) -> Any:
        positions = mx.arange(start, start + ids.shape[1])
        embedded = self.token_embedding(ids)
        table = self.position_embedding if "position_embedding" in self else self._sinusoids.__getitem__
        return self.layer_norm(embedded + table(positions).astype(embedded.dtype))


class Layers(nn.Module):  # type: ignore[misc]
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.layers = [Block(decoder) for _ in range(decoder.num_layers)]
        self.final_layer_norm = nn.LayerNorm(decoder.hidden_size) if decoder.final_norm else None

    def __call__(self, x: Any, states: Any, mask: Any, caches: list[Cache]) -> Any:
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, states, mask, cache)
        return x if self.final_layer_norm is None else self.final_layer_norm(x)


class TransformerDecoder(nn.Module):  # type: ignore[misc]
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.embedding = Embedding(decoder)
        self.decoder = Layers(decoder)

    def __call__(self, ids: Any, states: Any, caches: list[Cache]) -> Any:
        start, count = caches[0].length, ids.shape[1]
        x = self.embedding(ids, start)
        mask = None
        if count > 1:
            rows, columns = mx.arange(start, start + count)[:, None], mx.arange(start + count)[None]
            mask = mx.where(columns > rows, -mx.inf, 0.0).astype(x.dtype)
        return self.decoder(x, states, mask, caches)


class Canary(nn.Module):  # type: ignore[misc]
    """The whole network. `encode` once for each clip, then `step` for each token."""

    def __init__(self, architecture: Architecture, projection: bool) -> None:
        super().__init__()
        self.encoder = conformer(architecture.encoder)
        if projection:
            self.encoder_decoder_proj = nn.Linear(architecture.encoder.d_model, architecture.decoder.hidden_size)
        self.transf_decoder = TransformerDecoder(architecture.decoder)
        self.head = nn.Linear(architecture.decoder.hidden_size, architecture.decoder.rows)

    def encode(self, mel: Any) -> Any:
        """States (1, steps, decoder width) of a clip's mel (frames, bins)."""
        hidden, _ = self.encoder(mel[None])
        return self.encoder_decoder_proj(hidden) if "encoder_decoder_proj" in self else hidden

    def caches(self) -> list[Cache]:
        return [Cache() for _ in self.transf_decoder.decoder.layers]

    def step(self, ids: Any, states: Any, caches: list[Cache]) -> Any:
        """Logits (batch, n, rows), float32, behind each of the newest `ids` (batch, n)."""
        return self.head(self.transf_decoder(ids, states, caches)).astype(mx.float32)


def sinusoids(positions: int, width: int) -> Any:
    """Sines at even, cosines at odd places, (positions, width), as NeMo's FixedPositionalEncoding."""
    rates = mx.exp(mx.arange(0, width, 2, dtype=mx.float32) * (-math.log(10000.0) / width))
    angles = mx.arange(positions, dtype=mx.float32)[:, None] * rates
    return mx.stack([mx.sin(angles), mx.cos(angles)], axis=2).reshape(positions, width) / math.sqrt(width)


def conformer(encoder: Encoder) -> Any:
    """parakeet-mlx's FastConformer of these dimensions."""
    from parakeet_mlx.conformer import Conformer, ConformerArgs

    return Conformer(
        ConformerArgs(
            feat_in=encoder.feat_in,
            n_layers=encoder.n_layers,
            d_model=encoder.d_model,
            n_heads=encoder.n_heads,
            ff_expansion_factor=encoder.ff_expansion_factor,
            subsampling_factor=encoder.subsampling_factor,
            self_attention_model="rel_pos",
            subsampling="dw_striding",
            conv_kernel_size=encoder.conv_kernel_size,
            subsampling_conv_channels=encoder.subsampling_conv_channels,
            pos_emb_max_len=encoder.pos_emb_max_len,
            use_bias=encoder.use_bias,
            xscaling=encoder.xscaling,
        )
    )
